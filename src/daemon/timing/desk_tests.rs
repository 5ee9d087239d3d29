//! Examples of what the desk decides; that it never starts twice or loses anything is the simulation's.

use super::*;
use crate::daemon::timing::admission::RUNS_AT_ONCE;
use crate::manifest;
use crate::model::{FileEntry, FileKind, FileTree, OwnerId, Revision};
use crate::store::{RunStart, Store};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct Rig {
    ledger: Ledger,
    desk: Desk,
    /// What the last commit led to at once.
    taken: Vec<String>,
    /// How many commits there were.
    commits: u32,
    _folder: tempfile::TempDir,
}

/// A desk that has taken up a schedule `s` with these keys at ten o'clock.
fn rig(keys: &str) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Store::open(folder.path()).unwrap().ledger("default");
    let mut rig = Rig { ledger, desk: Desk::new("b1"), taken: Vec::new(), commits: 0, _folder: folder };
    rig.commit(keys, "2026-11-20T10:00:01Z");
    rig
}

impl Rig {
    fn commit(&mut self, keys: &str, now: &str) {
        self.commit_text(&format!("schedule:\n  name: s\n  {keys}\n  tasks: [{{id: one, address: \"h:1\"}}]\n"), now);
    }

    fn commit_text(&mut self, text: &str, now: &str) {
        self.commit_texts([text.to_owned()], now);
    }

    fn commit_texts(&mut self, texts: impl IntoIterator<Item = String>, now: &str) {
        let mut tree = FileTree::default();
        for (number, text) in texts.into_iter().enumerate() {
            let content: Arc<[u8]> = text.as_bytes().into();
            let size = content.len() as u64;
            let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size, content: Some(content) };
            tree.files.insert(format!("schedules/s{number}.yaml"), entry);
        }
        let desired = Arc::new(manifest::compile(&tree).unwrap_or_else(|report| panic!("{report}")));
        self.commits += 1;
        let revision = Revision {
            commit: CommitId::new(format!("c{}", self.commits)),
            reference: "main".to_owned(),
            summary: String::new(),
            author: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        let loaded = Loaded { revision, desired, ledger: self.ledger.clone(), owner: OwnerId::new("i/default") };
        self.desk.commit(loaded, at(now));
        self.taken = self.turn(now);
    }

    /// The due times that begin now, and the runs that are cancelled.
    fn turn(&mut self, now: &str) -> Vec<String> {
        let orders = self.desk.turn(at(now)).into_iter();
        let order = |order| match order {
            Order::Begin(begin) => begin.due.to_string(),
            Order::Cancel(run) => format!("cancel {run}"),
            Order::Follow(left) => format!("follow {}", left.id),
        };
        orders.map(order).collect()
    }

    /// The run under way is over; what begins then.
    fn end(&mut self, now: &str) -> Vec<String> {
        let run = self.desk.under_way().next().unwrap().to_owned();
        self.desk.ended(&ScheduleName::new("s"), &run, at(now));
        self.turn(now)
    }

    fn outcome(&self, due: &str) -> Option<FireOutcome> {
        let fire = self.ledger.fire_of(&ScheduleName::new("s"), &due.parse().unwrap()).unwrap();
        fire.map(|fire| fire.outcome)
    }
}

const HOURLY: &str = "start: {cron: \"0 * * * *\", zone: UTC}\n  missed: {run_all: 3}\n  overlap: ";

#[test]
fn the_latest_missed_runs_that_are_asked_for_run_one_after_the_other() {
    for overlap in ["skip", "queue"] {
        let mut rig = rig(&format!("{HOURLY}{overlap}"));
        assert_eq!(rig.turn("2026-11-20T16:30:00Z"), ["2026-11-20T14:00:00Z"], "{overlap}");
        assert_eq!(rig.end("2026-11-20T16:31:00Z"), ["2026-11-20T15:00:00Z"]);
        assert_eq!(rig.end("2026-11-20T16:32:00Z"), ["2026-11-20T16:00:00Z"]);
        assert!(rig.end("2026-11-20T16:33:00Z").is_empty());
        assert!(matches!(rig.outcome("2026-11-20T13:00:00Z"), Some(FireOutcome::Missed { missed: 3, .. })));
        let events = rig.ledger.store().events(&crate::store::EventFilter::default()).unwrap();
        let left_out = |event: &crate::store::Recorded| matches!(event.event.fact, Fact::RunLeftOut { count: 3, .. });
        assert!(events.iter().any(left_out), "an event says so: {events:?}");
    }
}

#[test]
fn a_run_that_is_asked_for_is_in_the_ledger_and_goes_by_the_overlap() {
    let mut rig = rig("start: manual");
    let name = ScheduleName::new("s");
    let now = at("2026-11-20T11:00:00Z");
    let asked = rig.desk.ask(&name, now).unwrap();
    let fire = rig.ledger.fire_of(&name, &asked.due).unwrap().unwrap();
    assert_eq!((fire.outcome, &fire.run), (FireOutcome::Started, &asked.run));
    assert_eq!(rig.turn("2026-11-20T11:00:00Z"), [asked.due.to_string()]);
    let refused = rig.desk.ask(&name, now).unwrap_err().to_string();
    assert!(refused.contains("earlier runs have not ended"), "{refused}");
    assert!(rig.end("2026-11-20T11:00:09Z").is_empty());
    assert!(rig.desk.ask(&name, now).is_ok());
    assert!(rig.desk.ask(&ScheduleName::new("t"), now).unwrap_err().to_string().contains("no schedule `t`"));
}

#[test]
fn of_missed_runs_that_replace_each_other_the_latest_begins_and_none_is_begun_for_nothing() {
    let mut rig = rig(&format!("{HOURLY}replace"));
    assert_eq!(rig.turn("2026-11-20T16:30:00Z"), ["2026-11-20T16:00:00Z"]);
    assert_eq!(rig.outcome("2026-11-20T15:00:00Z"), Some(FireOutcome::Replaced));
}

#[test]
fn a_clock_that_is_put_back_leaves_the_schedule_awake() {
    let mut rig = rig("start: {cron: \"0 * * * *\", zone: UTC}");
    assert_eq!(rig.turn("2036-01-01T00:00:00Z").len(), 1);
    rig.end("2036-01-01T00:00:01Z");
    rig.turn("2026-11-20T10:30:00Z");
    rig.desk.ended(&ScheduleName::new("s"), &RunId::new(""), at("2026-11-20T10:30:00Z"));
    assert!(rig.turn("2026-11-20T10:30:00Z").is_empty());
    assert_eq!(rig.desk.next(), Some(at("2026-11-20T10:59:57Z")));
    assert_eq!(rig.turn("2026-11-20T10:59:57Z"), ["2026-11-20T11:00:00Z"]);
}

#[test]
fn a_due_time_that_ran_by_a_clock_ahead_does_not_run_again() {
    let mut rig = rig("start: {cron: \"0 * * * *\", zone: UTC}");
    assert_eq!(rig.turn("2026-11-20T10:59:58Z"), ["2026-11-20T11:00:00Z"]);
    rig.end("2026-11-20T11:00:05Z");
    rig.desk.ended(&ScheduleName::new("s"), &RunId::new(""), at("2026-11-20T10:30:00Z"));
    assert!(rig.turn("2026-11-20T10:30:00Z").is_empty());
    assert_eq!(rig.desk.next(), Some(at("2026-11-20T11:59:57Z")));
    assert!(rig.turn("2026-11-20T11:00:00Z").is_empty());
}

#[test]
fn a_jitter_longer_than_the_time_between_due_times_skips_none() {
    let mut rig = rig("start: {cron: \"* * * * *\", zone: UTC}\n  jitter: 1h");
    let mut begun = 0;
    let mut now = at("2026-11-20T10:00:01Z");
    while now < at("2026-11-20T13:00:00Z") {
        now += SignedDuration::from_secs(1);
        let text = now.to_string();
        for due in rig.turn(&text) {
            let planned = jittered(&ScheduleName::new("s"), at(&due), std::time::Duration::from_secs(3600));
            assert!(planned.duration_since(now) <= AHEAD, "{due} is ordered at {now}");
            begun += 1;
            rig.end(&text);
        }
    }
    assert!(begun > 110, "{begun}");
    let all = rig.ledger.fires(None, 1000).unwrap();
    assert!(all.iter().all(|fire| fire.outcome == FireOutcome::Started));
}

#[test]
fn what_was_fired_and_had_not_begun_goes_through_admission() {
    let mut rig = rig(&format!("{HOURLY}allow"));
    assert_eq!(rig.turn("2026-11-20T12:00:05Z").len(), 2);
    // The daemon died, and the schedule is another one since.
    rig.desk = Desk::new("b1");
    let keys = "start: {cron: \"0 * * * *\", zone: UTC}\n  overlap: queue";
    let text = "2026-11-20T12:00:07Z";
    rig.desk.boot = "b1".to_owned();
    let before = rig.ledger.interrupted_runs("b1").unwrap();
    assert_eq!(before.len(), 2);
    let loaded = {
        let mut other = self::rig(keys);
        other.desk.current.take().unwrap()
    };
    rig.desk.commit(Loaded { ledger: rig.ledger.clone(), ..loaded }, at(text));
    assert_eq!(rig.turn(text), ["2026-11-20T11:00:00Z"]);
    assert_eq!(rig.outcome("2026-11-20T12:00:00Z"), Some(FireOutcome::Queued));
    assert_eq!(rig.end("2026-11-20T12:01:00Z"), ["2026-11-20T12:00:00Z"]);
}

#[test]
fn a_run_that_was_prepared_before_the_power_failed_is_not_begun_again() {
    let mut rig = rig(&format!("{HOURLY}skip"));
    assert_eq!(rig.turn("2026-11-20T10:59:58Z"), ["2026-11-20T11:00:00Z"]);
    let id = rig.desk.under_way().next().unwrap().to_owned();
    let due = DueKey::Instant(at("2026-11-20T11:00:00Z"));
    let (schedule, planned_at) = (ScheduleName::new("s"), at("2026-11-20T11:00:00Z"));
    let revision = CommitId::new("c1");
    let start =
        RunStart { id, schedule, due, revision, strict: false, planned_at, boot: "b1".to_owned(), process: None };
    rig.ledger.prepare_run(&start).unwrap();
    for (boot, begins) in [("b1", 1), ("b2", 0)] {
        let loaded = rig.desk.current.clone().unwrap();
        rig.desk = Desk::new(boot);
        rig.desk.commit(loaded, at("2026-11-20T11:00:03Z"));
        let orders = rig.turn("2026-11-20T11:00:03Z").into_iter();
        assert_eq!(orders.filter(|order| !order.starts_with("follow")).count(), begins, "boot {boot}");
    }
}

#[test]
fn what_an_interrupted_run_left_at_task_servers_counts_as_under_way() {
    for (overlap, counts) in [("skip", true), ("queue", true), ("replace", true), ("allow", false)] {
        let mut rig = rig(&format!("start: {{cron: \"0 * * * *\", zone: UTC}}\n  overlap: {overlap}"));
        rig.turn("2026-11-20T10:59:58Z");
        let id = rig.desk.under_way().next().unwrap().to_owned();
        let due = DueKey::Instant(at("2026-11-20T11:00:00Z"));
        let (schedule, planned_at) = (ScheduleName::new("s"), at("2026-11-20T11:00:00Z"));
        let (revision, boot) = (CommitId::new("c1"), "b1".to_owned());
        let start =
            RunStart { id: id.clone(), schedule, due, revision, strict: false, planned_at, boot, process: None };
        rig.ledger.prepare_run(&start).unwrap();
        rig.ledger.begin_run(&id, planned_at).unwrap();
        let loaded = rig.desk.current.clone().unwrap();
        rig.desk = Desk::new("b1");
        rig.desk.commit(loaded, at("2026-11-20T11:00:05Z"));
        let orders = rig.turn("2026-11-20T11:00:05Z");
        assert_eq!(orders == [format!("follow {id}")], counts, "{overlap}: {orders:?}");
        assert_eq!(rig.desk.under_way().count(), usize::from(counts), "{overlap}");
        let orders = rig.turn("2026-11-20T12:00:00Z");
        match overlap {
            "skip" => assert_eq!(rig.outcome("2026-11-20T12:00:00Z"), Some(FireOutcome::Skipped)),
            "queue" => assert_eq!(rig.end("2026-11-20T12:00:09Z"), ["2026-11-20T12:00:00Z"]),
            "replace" => assert_eq!(orders, [format!("cancel {id}")]),
            _ => assert_eq!(orders, ["2026-11-20T12:00:00Z"]),
        }
    }
}

#[test]
fn programs_that_an_interrupted_run_left_are_under_way_whatever_its_schedule_says_now() {
    let schedule = |name: &str, task: &str| {
        format!("schedule:\n  name: {name}\n  start: manual\n  overlap: allow\n  tasks: [{{id: one, {task}}}]\n")
    };
    let cases = [
        (schedule("s", "command: [sleep, \"60\"]"), true),
        (schedule("s", "address: \"h:1\""), false),
        (schedule("another", "address: \"h:1\""), true),
    ];
    for (text, follows) in cases {
        let mut rig = rig("start: manual");
        let asked = rig.desk.ask(&ScheduleName::new("s"), at("2026-11-20T11:00:00Z")).unwrap();
        rig.turn("2026-11-20T11:00:00Z");
        let (schedule, planned_at) = (ScheduleName::new("s"), at("2026-11-20T11:00:00Z"));
        let (revision, boot, due) = (CommitId::new("c1"), "b1".to_owned(), asked.due);
        let id = asked.run.unwrap();
        let start =
            RunStart { id: id.clone(), schedule, due, revision, strict: false, planned_at, boot, process: None };
        rig.ledger.prepare_run(&start).unwrap();
        rig.ledger.begin_run(&id, planned_at).unwrap();
        rig.desk = Desk::new("b1");
        rig.taken.clear();
        rig.commit_text(&text, "2026-11-20T11:00:05Z");
        let expected = if follows { vec![format!("follow {id}")] } else { Vec::new() };
        assert_eq!(rig.taken, expected, "{text}");
        assert_eq!(rig.desk.under_way().count(), usize::from(follows), "{text}");
        rig.desk.ended(&ScheduleName::new("s"), &id, at("2026-11-20T11:00:09Z"));
        assert!(rig.turn("2026-11-20T11:00:09Z").is_empty());
        assert_eq!(rig.desk.under_way().count(), 0, "{text}");
    }
}

#[test]
fn a_run_that_goes_on_in_a_terminal_is_left_alone() {
    let mut rig = rig("start: manual");
    for (id, process) in [("live", std::process::id()), ("dead", u32::MAX)] {
        let (schedule, due) = (ScheduleName::new("s"), DueKey::Manual(RunId::new(id)));
        let now = at("2026-11-20T10:00:00Z");
        rig.ledger.fire(&schedule, &due, FireOutcome::Started, Some(&RunId::new(id)), now).unwrap();
        let (revision, boot) = (CommitId::new("file"), "b1".to_owned());
        let start = RunStart {
            id: RunId::new(id),
            schedule,
            due,
            revision,
            strict: false,
            planned_at: now,
            boot,
            process: Some(process),
        };
        rig.ledger.prepare_run(&start).unwrap();
        rig.ledger.begin_run(&RunId::new(id), now).unwrap();
    }
    let loaded = rig.desk.current.clone().unwrap();
    rig.desk = Desk::new("b1");
    rig.desk.commit(loaded, at("2026-11-20T10:00:05Z"));
    rig.turn("2026-11-20T10:00:05Z");
    let state = |id: &str| rig.ledger.run(&RunId::new(id)).unwrap().unwrap().run.state;
    assert_eq!((state("live"), state("dead")), (crate::store::RunState::Running, crate::store::RunState::Interrupted));
}

#[test]
fn runs_that_may_overlap_are_bounded() {
    let mut rig = rig("start: {cron: \"* * * * * *\", zone: UTC}\n  overlap: allow");
    let mut now = at("2026-11-20T10:00:01Z");
    for _ in 0..60 {
        now += SignedDuration::from_secs(1);
        rig.turn(&now.to_string());
    }
    assert_eq!(rig.desk.under_way().count(), crate::schedule::agenda::ALLOWED_AT_ONCE);
    assert_eq!(rig.outcome("2026-11-20T10:00:59Z"), Some(FireOutcome::Skipped));
}

/// Schedules with the same keys, by number.
fn many(count: usize, keys: &str) -> Vec<String> {
    let one = |number| {
        format!("schedule:\n  name: s{number:03}\n  {keys}\n  tasks: [{{id: one, address: \"h{number}:1\"}}]\n")
    };
    (0..count).map(one).collect()
}

#[test]
fn runs_of_all_schedules_together_are_bounded() {
    let mut rig = rig("start: manual");
    rig.commit_texts(many(RUNS_AT_ONCE + 3, "start: {cron: \"0 * * * *\", zone: UTC}"), "2026-11-20T10:00:02Z");
    let begun = rig.turn("2026-11-20T11:00:00Z");
    assert_eq!((begun.len(), rig.desk.under_way().count()), (RUNS_AT_ONCE, RUNS_AT_ONCE));
    let left_out = |number: usize| {
        let name = ScheduleName::new(format!("s{number:03}"));
        let fire = rig.ledger.fire_of(&name, &"2026-11-20T11:00:00Z".parse().unwrap()).unwrap();
        fire.is_some_and(|fire| fire.outcome == FireOutcome::Skipped)
    };
    assert_eq!((0..RUNS_AT_ONCE + 3).filter(|number| left_out(*number)).count(), 3);
    rig.desk.ended(
        &ScheduleName::new("s000"),
        &rig.desk.runs[&ScheduleName::new("s000")].under_way[0].clone(),
        at("2026-11-20T11:59:00Z"),
    );
    assert_eq!(rig.turn("2026-11-20T12:00:00Z").len(), 1, "one place is free");
}

#[test]
fn the_disk_is_waited_for_once_for_all_that_is_due_at_one_time() {
    let mut rig = rig("start: manual");
    rig.commit_texts(many(60, "start: {cron: \"0 * * * *\", zone: UTC}"), "2026-11-20T10:00:02Z");
    let before = rig.ledger.store().flushes();
    assert_eq!(rig.turn("2026-11-20T10:59:58Z").len(), 60);
    assert_eq!(rig.ledger.store().flushes() - before, 1);
}

/// A schedule that runs once for each commit that changes it, at a service that is published at `port`.
fn at_a_service(port: u16, parameters: &str) -> [String; 2] {
    let service = format!("{{id: one, image: t, ports: [\"{port}:50051\"]}}");
    let task = format!("{{id: a, service: rt/one, parameters: {parameters}}}");
    [
        format!("deployment:\n  name: rt\n  services: [{service}]\n"),
        format!("schedule:\n  name: s\n  start: on_commit\n  tasks: [{task}]\n"),
    ]
}

#[test]
fn where_a_service_is_published_is_no_part_of_a_schedule_and_a_run_is_told_it() {
    let mut rig = rig("start: manual");
    rig.commit_texts(at_a_service(50051, "{}"), "2026-11-20T11:00:00Z");
    assert_eq!(rig.taken, ["commit:c2"]);
    rig.end("2026-11-20T11:00:05Z");
    rig.commit_texts(at_a_service(6001, "{}"), "2026-11-20T12:00:00Z");
    assert!(rig.taken.is_empty(), "{:?}", rig.taken);
    rig.desk.ask(&ScheduleName::new("s"), at("2026-11-20T12:00:01Z")).unwrap();
    let orders = rig.desk.turn(at("2026-11-20T12:00:01Z"));
    let [Order::Begin(begin)] = orders.as_slice() else { panic!("{orders:?}") };
    let task = begin.schedule.tasks.first().unwrap();
    assert_eq!(begin.placed.address(&task.target).unwrap().to_string(), "127.0.0.1:6001");
}

#[test]
fn a_form_that_an_earlier_version_stored_counts_as_unchanged() {
    let mut rig = rig("start: manual");
    rig.commit_texts(at_a_service(50051, "{}"), "2026-11-20T11:00:00Z");
    rig.end("2026-11-20T11:00:05Z");
    // The forms of that version held the address of a service.
    let (name, stored) = (ScheduleName::new("s"), "1:0123456789ab".to_owned());
    rig.ledger.see_schedules([(&name, stored)], &CommitId::new("c2"), at("2026-11-20T11:01:00Z")).unwrap();
    rig.commit_texts(at_a_service(50051, "{}"), "2026-11-20T12:00:00Z");
    assert!(rig.taken.is_empty(), "{:?}", rig.taken);
    rig.commit_texts(at_a_service(50051, "{x: 1}"), "2026-11-20T12:01:00Z");
    assert_eq!(rig.taken, ["commit:c4"]);
}
