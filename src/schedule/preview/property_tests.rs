//! What holds for every pair of commits and every schedule.

use super::{Side, preview as of_sides, *};
use crate::api::dto;
use crate::model::{
    Cadence, Location, Need, On, Release, Repeat, Schedule, ScheduleName, Start, Target, Task, TaskId, Timestamp,
};
use crate::schedule::Placed;
use crate::schedule::agenda::jittered;
use crate::schedule::timeline::fixtures::{MS, schedule, task};
use proptest::prelude::*;
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Schedules = BTreeMap<ScheduleName, Schedule>;

fn preview(before: &Schedules, after: &Schedules, now: Timestamp) -> Preview {
    let placed = Placed::default();
    let side = |schedules| Side { schedules, placed: &placed };
    of_sides(side(before), side(after), now)
}

fn starts() -> impl Strategy<Value = Start> {
    let expression = prop_oneof![
        Just("30 2 * * *"),
        Just("*/20 * * * *"),
        Just("0 6 1 * *"),
        Just("*/7 * * * * *"),
        Just("0 0 29 2 *"),
    ];
    let zone = prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Australia/Lord_Howe"), Just("America/New_York")];
    prop_oneof![
        1 => Just(Start::OnCommit),
        1 => Just(Start::Manual),
        1 => (0i64..2_000_000_000).prop_map(|at| Start::At(Timestamp::from_second(at).unwrap())),
        6 => (expression, zone).prop_map(|(cron, zone)| Start::Cron(Cadence::parse(cron, zone).unwrap())),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let release = prop_oneof![
        Just(Release::Sequential),
        (1u32..3, prop::option::of(1u32..3)).prop_map(|(due, period)| Release::Timed {
            at: MS * due,
            repeat: period.map(|period| Repeat { period: MS * period, count: 2 }),
        }),
    ];
    let needs = prop::sample::subsequence(vec!["a", "b"], 0..=2);
    let one = (release, needs, 0u8..2, 0u32..2, 1u32..9, any::<bool>());
    let one = one.prop_map(|(release, needs, priority, gain, line, command)| Task {
        release,
        needs: needs.into_iter().map(need).collect(),
        priority,
        parameters: Map::from_iter([("gain".to_owned(), json!({"x": gain, "key": gain}))]),
        target: if command { Target::Command(vec!["true".to_owned()]) } else { task("server").target },
        at: Location { file: "s.yaml".into(), line, column: 1 },
        ..task("")
    });
    let named = |(id, task)| Task { id: TaskId::new(id), ..task };
    prop::collection::btree_map("t[0-5]", one, 0..6)
        .prop_map(move |all| all.into_iter().map(named).collect::<Vec<Task>>())
        .prop_shuffle()
}

fn need(task: &str) -> Need {
    let at = Location { file: "s.yaml".into(), line: 1, column: 1 };
    Need { task: TaskId::new(task), on: On::Success, implied: false, at }
}

fn one() -> impl Strategy<Value = Schedule> {
    (starts(), 0u64..600, tasks()).prop_map(|(start, jitter, tasks)| Schedule {
        start,
        jitter: Duration::from_secs(jitter / 300 * jitter),
        ..schedule(tasks)
    })
}

fn commits() -> impl Strategy<Value = Schedules> {
    prop::collection::btree_map("[abc]", one(), 0..3).prop_map(|all| {
        let named = |(name, schedule): (String, Schedule)| {
            let name = ScheduleName::new(name);
            (name.clone(), Schedule { name, ..schedule })
        };
        all.into_iter().map(named).collect()
    })
}

/// Everything that counts but the order of the tasks, and nothing of place.
fn content(schedule: &Schedule) -> (dto::Schedule, BTreeMap<String, dto::Task>) {
    let mut alone = dto::Schedule::new(schedule.clone(), &crate::schedule::Placed::default());
    let tasks = std::mem::take(&mut alone.tasks).into_iter().map(|task| (task.id.clone(), task));
    let tasks = tasks.collect();
    (alone, tasks)
}

/// Whether the tasks that both have stand in another order.
fn reordered(before: Option<&Schedule>, after: Option<&Schedule>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let ids = |one: &Schedule, other: &Schedule| -> Vec<TaskId> {
        let there = |id: &TaskId| other.tasks.iter().any(|task| task.id == *id);
        one.tasks.iter().map(|task| task.id.clone()).filter(there).collect()
    };
    ids(before, after) != ids(after, before)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn equal_commits_change_nothing(all in commits()) {
        prop_assert!(preview(&all, &all, now()).is_empty());
    }

    #[test]
    fn exactly_what_differs_is_named_and_once(before in commits(), after in commits()) {
        let preview = preview(&before, &after, now());
        let names: Vec<&ScheduleName> = preview.schedules.iter().map(|schedule| &schedule.name).collect();
        let all: BTreeSet<&ScheduleName> = before.keys().chain(after.keys()).collect();
        let differ = |name: &&ScheduleName| {
            let (old, new) = (before.get(name), after.get(name));
            old.map(content) != new.map(content) || reordered(old, new)
        };
        prop_assert_eq!(names, all.into_iter().filter(differ).collect::<Vec<_>>());
        for change in &preview.schedules {
            let tasks = |side: &Schedules| side.get(&change.name).map_or(BTreeMap::new(), |one| content(one).1);
            let (old, new) = (tasks(&before), tasks(&after));
            let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let differing: Vec<&str> = ids.into_iter().filter(|id| old.get(*id) != new.get(*id)).map(String::as_str).collect();
            let mut named: Vec<&str> = change.tasks.iter().map(|task| task.task.as_str()).collect();
            named.sort_unstable();
            prop_assert_eq!(named, differing);
            prop_assert!(change.tasks.iter().all(|task| !task.fields.is_empty()));
        }
    }

    #[test]
    fn the_way_back_is_the_reverse(before in commits(), after in commits()) {
        let reversed = |fields: &[FieldChange]| -> BTreeSet<(String, Option<String>, Option<String>)> {
            fields.iter().map(|one| (one.field.clone(), one.new.clone(), one.old.clone())).collect()
        };
        let straight = |fields: &[FieldChange]| -> BTreeSet<(String, Option<String>, Option<String>)> {
            fields.iter().map(|one| (one.field.clone(), one.old.clone(), one.new.clone())).collect()
        };
        let opposite = |kind| match kind {
            ChangeKind::Added => ChangeKind::Removed,
            ChangeKind::Removed => ChangeKind::Added,
            kind => kind,
        };
        let (there, back) = (preview(&before, &after, now()), preview(&after, &before, now()));
        prop_assert_eq!(there.schedules.len(), back.schedules.len());
        for (one, other) in there.schedules.iter().zip(&back.schedules) {
            prop_assert_eq!((&one.name, one.change), (&other.name, opposite(other.change)));
            prop_assert_eq!(straight(&one.fields), reversed(&other.fields));
            let tasks: BTreeMap<&TaskId, &TaskChange> = other.tasks.iter().map(|task| (&task.task, task)).collect();
            for task in &one.tasks {
                prop_assert_eq!(task.change, opposite(tasks[&task.task].change));
                prop_assert_eq!(straight(&task.fields), reversed(&tasks[&task.task].fields));
            }
        }
    }

    #[test]
    fn upcoming_times_are_due_times_with_their_delay(
        one in one(), now in 0i64..2_000_000_000, count in 0usize..8,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        let times = upcoming(&one, now, count);
        prop_assert!(times.len() <= count);
        prop_assert!(times.iter().all(|time| time.at > now && time.at == jittered(&one.name, time.due, one.jitter)));
        prop_assert!(times.windows(2).all(|pair| pair[0].at < pair[1].at));
        match &one.start {
            Start::OnCommit | Start::Manual => prop_assert!(times.is_empty()),
            Start::At(at) => prop_assert_eq!(times.len(), usize::from(*at > now && count > 0)),
            Start::Cron(cadence) => {
                prop_assert_eq!(times.len(), count);
                prop_assert!(times.iter().all(|time| cadence.previous(time.due) == Some(time.due)));
                let nothing_between = |after, due| cadence.next(after) == Some(due);
                prop_assert!(times.first().is_none_or(|time| nothing_between(now, time.due)));
                prop_assert!(times.windows(2).all(|pair| nothing_between(pair[0].due, pair[1].due)));
            }
        }
    }
}
