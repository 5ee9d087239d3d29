//! What people and programs read, of one change of every kind at once; and single rules.

use super::{Side, preview as of_sides, *};
use crate::model::{
    Cadence, Deadline, DeadlineFrom, FeasibilityPolicy, Location, Need, On, OnDeadline, PublishedPort, PublishedPorts,
    RealTime, Release, Repeat, RtPolicy, Schedule, ScheduleName, ServiceTarget, Start, Target, Task, TaskId,
    TaskProtocol, Timestamp, looks_secret,
};
use crate::schedule::Placed;
use crate::schedule::timeline::fixtures::{MS, schedule, task};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

type Schedules = BTreeMap<ScheduleName, Schedule>;

/// The service `press/logger` is published at port 7001 of this host.
fn preview(before: &Schedules, after: &Schedules, now: Timestamp) -> Preview {
    let ports = BTreeMap::from([(7000, PublishedPort { host_ip: None, port: 7001 })]);
    let mut placed = Placed::default();
    placed.put("press/logger".parse().unwrap(), "127.0.0.1", PublishedPorts::Listed(ports));
    let side = |schedules| Side { schedules, placed: &placed };
    of_sides(side(before), side(after), now)
}

fn now() -> Timestamp {
    "2026-03-27T12:00:00Z".parse().unwrap()
}

fn cron(expression: &str, zone: &str) -> Start {
    Start::Cron(Cadence::parse(expression, zone).unwrap())
}

fn at(file: &str, line: u32) -> Location {
    Location { file: format!("schedules/{file}.yaml").into(), line, column: 3 }
}

fn named(name: &str, start: Start, tasks: Vec<Task>) -> Schedule {
    let tasks = tasks.into_iter().zip(7..).map(|(task, line)| Task { at: at(name, line), ..task });
    Schedule {
        name: ScheduleName::new(name),
        title: name.to_owned(),
        at: at(name, 2),
        start,
        ..schedule(tasks.collect())
    }
}

fn schedules(all: Vec<Schedule>) -> Schedules {
    all.into_iter().map(|schedule| (schedule.name.clone(), schedule)).collect()
}

fn timed(id: &str, due: u32, estimate: u32) -> Task {
    let release = Release::Timed { at: MS * due, repeat: None };
    Task { release, estimate: Some(MS * estimate), ..task(id) }
}

fn need(task: &str, on: On, implied: bool) -> Need {
    Need { task: TaskId::new(task), on, implied, at: at("s", 1) }
}

fn parameters(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn within(after: u32) -> Option<Deadline> {
    Some(Deadline { after: MS * after, from: DeadlineFrom::Release, action: OnDeadline::Cancel })
}

/// One change of every kind.
fn commit() -> Preview {
    let gains = json!({"gain": {"x": 1, "y": 2}, "api_token": "old", "users": [{"name": "a", "password": "b"}]});
    let home = Task { needs: vec![need("warm-up", On::Always, true)], ..timed("home-axes", 50, 250) };
    let control = Task { parameters: parameters(&gains), ..timed("control", 400, 20) };
    let before = schedules(vec![
        named("legacy", Start::Manual, vec![timed("clean", 0, 10)]),
        named(
            "nightly",
            cron("0 6 * * *", "UTC"),
            vec![timed("warm-up", 0, 40), home.clone(), control.clone(), timed("report", 600, 50)],
        ),
        named("still", Start::OnCommit, vec![task("a"), task("b")]),
    ]);
    let gains = json!({"gain": {"x": 2, "y": 2}, "api_token": "new", "users": [], "mode": "fast"});
    let release = Release::Timed { at: MS * 400, repeat: Some(Repeat { period: MS * 50, count: 5 }) };
    let service = "press/logger".parse().unwrap();
    let target = Target::Service(ServiceTarget { service, port: 7000, tls_name: None });
    let log = Task { target, needs: vec![need("control", On::Failure, false)], ..timed("log", 700, 30) };
    let nightly = vec![
        timed("warm-up", 0, 40),
        Task { deadline: within(200), needs: vec![], ..home },
        Task {
            release,
            parameters: parameters(&gains),
            real_time: RealTime { policy: RtPolicy::Fifo { priority: 80 }, cpu: Some(2) },
            ..control
        },
        log,
    ];
    let check = Target::Command(vec!["sh".to_owned(), "-c".to_owned(), "df -h".to_owned()]);
    let after = schedules(vec![
        Schedule {
            jitter: Duration::from_secs(300),
            feasibility: FeasibilityPolicy::Error,
            description: Some("Every night\nbefore the shift".to_owned()),
            ..named("nightly", cron("30 2 * * *", "Europe/Berlin"), nightly)
        },
        named("still", Start::OnCommit, vec![task("b"), task("a")]),
        named("verify", Start::OnCommit, vec![Task { target: check, ..timed("disk", 0, 100) }]),
    ]);
    preview(&before, &after, now())
}

/// Without colour codes.
fn stripped(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn the_terminal_shows_what_changes_and_what_follows() {
    insta::assert_snapshot!(stripped(&text(&commit())));
}

#[test]
fn markdown_has_its_signs_in_column_zero() {
    insta::assert_snapshot!(markdown(&commit()));
}

#[test]
fn json_is_an_interface() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&crate::api::dto::Preview::from(&commit())).unwrap());
}

#[test]
fn no_change_prints_nothing() {
    let all = schedules(vec![named("a", Start::OnCommit, vec![task("a")])]);
    let same = preview(&all, &all, now());
    assert_eq!((text(&same), markdown(&same), same.verdict()), (String::new(), String::new(), "no schedule changes"));
}

/// The task changes from one task to another with the same id: kind and field names.
fn told(before: Task, after: Task) -> Option<(ChangeKind, Vec<String>)> {
    let change = |task| schedules(vec![named("s", Start::Manual, vec![task])]);
    let preview = preview(&change(before), &change(after), now());
    let task = preview.schedules.first()?.tasks.first()?;
    Some((task.change, task.fields.iter().map(|field| field.field.clone()).collect()))
}

#[test]
fn a_task_moves_when_its_release_or_its_needs_change() {
    let release = |at, repeat| Task { release: Release::Timed { at: MS * at, repeat }, ..task("a") };
    let repeat = |period, count| Some(Repeat { period: MS * period, count });
    let moved = |fields: &[&str]| Some((ChangeKind::Moved, fields.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(told(release(1, None), release(2, None)), moved(&["scheduled-time"]));
    assert_eq!(told(release(1, repeat(5, 2)), release(1, repeat(5, 3))), moved(&["count"]));
    assert_eq!(told(release(1, None), release(1, repeat(5, 1))), moved(&["period", "count"]));
    let needing = |need| Task { needs: vec![need], ..task("a") };
    let explicit = || needing(need("b", On::Always, false));
    assert_eq!(told(explicit(), needing(need("b", On::Always, true))), moved(&["needs"]));
    assert_eq!(told(explicit(), needing(need("b", On::Success, false))), moved(&["needs"]));
    let both = Task { priority: 9, ..explicit() };
    assert_eq!(told(task("a"), both), moved(&["needs", "priority"]));
    assert_eq!(
        told(task("a"), Task { critical: true, ..task("a") }),
        Some((ChangeKind::Changed, vec!["critical".into()]))
    );
}

#[test]
fn place_and_the_order_of_needs_are_no_change() {
    let needs = |names: [&str; 2]| names.map(|name| need(name, On::Success, false)).to_vec();
    let one = Task { needs: needs(["b", "c"]), ..task("a") };
    let other = Task { needs: needs(["c", "b"]), at: at("elsewhere", 99), ..task("a") };
    assert_eq!(told(one, other), None);
    let of = |name: &str| schedules(vec![Schedule { at: at(name, 9), ..named("s", Start::Manual, vec![]) }]);
    assert!(preview(&of("a"), &of("b"), now()).is_empty());
}

#[test]
fn the_order_of_tasks_is_told_since_it_decides_who_goes_first() {
    let of = |ids: [&str; 3]| schedules(vec![named("s", Start::Manual, ids.map(task).to_vec())]);
    let preview = preview(&of(["a", "b", "c"]), &of(["b", "a", "d"]), now());
    let [change] = preview.schedules.as_slice() else { panic!("{preview:?}") };
    let order = FieldChange { field: "order".to_owned(), old: Some("a, b".to_owned()), new: Some("b, a".to_owned()) };
    assert_eq!(change.fields, [order]);
}

#[test]
fn words_of_a_command_are_told_apart() {
    let command = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Task { target: Target::Command(words), ..task("a") }
    };
    assert_eq!(told(command(&["a b"]), command(&["a", "b"])), Some((ChangeKind::Changed, vec!["target".into()])));
    let map = Task { protocol: TaskProtocol::Map, ..task("a") };
    assert_eq!(told(task("a"), map), Some((ChangeKind::Changed, vec!["protocol".into()])));
}

mod parameter {
    use super::*;

    fn changes(old: &Value, new: &Value) -> Vec<String> {
        let dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let all = parameters::differences(&super::parameters(old), &super::parameters(new));
        all.into_iter().map(|one| format!("{}: {} → {}", one.field, dash(one.old), dash(one.new))).collect()
    }

    #[test]
    fn changes_are_told_by_path() {
        let (old, new) = (json!({"gain": {"x": 1, "y": 1}, "p": [[1, 2], 3]}), json!({"gain": {"x": 2, "y": 1}}));
        assert_eq!(changes(&old, &new), ["parameters.gain.x: 1 → 2", "parameters.p: [[1,2],3] → –"]);
        let new = json!({"gain": 1.0, "p": [[1, "2"], 3]});
        assert_eq!(
            changes(&old, &new),
            ["parameters.gain: {\"x\":1,\"y\":1} → 1.0", "parameters.p[0][1]: 2 → \"2\""],
            "types count"
        );
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let with = |secret: &str| {
            json!({
                "db": {"password": secret}, "auth": {"user": secret}, "tokens": [secret],
                "list": [{"key": secret}, secret.len()], "same": {"private": 1},
            })
        };
        let all = changes(&with("hunter2"), &with("hunter22"));
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all.iter().all(|one| !one.contains("hunter")), "{all:?}");
        let whole = changes(&json!({}), &with("hunter2"));
        assert!(whole.iter().all(|one| !one.contains("hunter")), "{whole:?}");
        assert!(whole.contains(&"parameters.list: – → [{\"key\":\"‹hidden›\"},7]".to_owned()), "{whole:?}");
        assert!(looks_secret("db_password") && !looks_secret("gain"));
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let list = |last: u32| json!({"points": (0..100).chain([last]).chain(0..last).collect::<Vec<u32>>()});
        let [one] = &changes(&list(7), &list(8))[..] else { panic!() };
        assert!(one.contains(",7,0,1,2") && one.contains(",8,0,1,2") && one.chars().count() < 145, "{one}");
    }
}

mod start_times {
    use super::*;

    fn shown(start: Start, now: &str) -> Vec<String> {
        let schedule = named("s", start, vec![]);
        upcoming(&schedule, now.parse().unwrap(), 3).into_iter().map(|time| time.local).collect()
    }

    #[test]
    fn berlin_skips_to_the_end_of_the_gap() {
        let times = shown(cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T00:00:00Z");
        let [first, gap, last] = &times[..] else { panic!("{times:?}") };
        assert_eq!(first, "2026-03-28 02:30:00+01:00 Europe/Berlin");
        assert_eq!(gap, "2026-03-29 03:00:00+02:00 Europe/Berlin");
        assert_eq!(last, "2026-03-30 02:30:00+02:00 Europe/Berlin");
    }

    #[test]
    fn berlin_tells_the_two_passes_of_the_fold_apart() {
        let times = shown(cron("*/30 * * * *", "Europe/Berlin"), "2026-10-25T00:00:00Z");
        let expected = ["02:30:00+02:00", "02:00:00+01:00", "02:30:00+01:00"];
        assert_eq!(times, expected.map(|time| format!("2026-10-25 {time} Europe/Berlin")));
        let once = shown(cron("30 2 * * *", "Europe/Berlin"), "2026-10-25T00:00:00Z");
        assert_eq!(
            once[..2].join(" "),
            "2026-10-25 02:30:00+02:00 Europe/Berlin 2026-10-26 02:30:00+01:00 Europe/Berlin"
        );
    }

    #[test]
    fn jitter_over_the_gap_shows_the_new_offset() {
        let jitter = Duration::from_secs(6 * 3600);
        let schedule = Schedule { jitter, ..named("nightly", cron("50 1 * * *", "Europe/Berlin"), vec![]) };
        let [time] = &upcoming(&schedule, "2026-03-28T12:00:00Z".parse().unwrap(), 1)[..] else { panic!() };
        assert!(time.at > "2026-03-29T01:00:00Z".parse().unwrap(), "{time:?}");
        assert!(time.local.contains("+02:00"), "{time:?}");
    }

    #[test]
    fn an_instant_that_has_come_has_passed() {
        let of = |at: &str| Starts::of(&named("s", Start::At(at.parse().unwrap()), vec![]), now());
        assert_eq!(of("2026-03-27T13:00:00+01:00"), Starts::Passed, "this is now");
        assert!(matches!(of("2026-03-27T12:00:00.5Z"), Starts::At { jitter_ns: 0, times } if times.len() == 1));
    }

    #[test]
    fn an_instant_ahead_is_told_in_utc() {
        let at = Start::At("2026-03-27T13:00:01+01:00".parse().unwrap());
        assert_eq!(shown(at, "2026-03-27T12:00:00Z"), ["2026-03-27 12:00:01+00:00 UTC"]);
    }

    #[test]
    fn what_nobody_times_has_no_times() {
        let of = |start: Start| {
            (shown(start.clone(), "2026-01-01T00:00:00Z").len(), Starts::of(&named("s", start, vec![]), now()))
        };
        assert_eq!(of(Start::OnCommit), (0, Starts::OnCommit));
        assert_eq!(of(Start::Manual), (0, Starts::ByHand));
    }
}

#[test]
fn markdown_text_opens_nothing() {
    let hostile = "a|b `c` <d> **e** [f](https://g) @h #1 www.i.j &amp; \\";
    let harmless = "a\\|b \\`c\\` &lt;d&gt; \\*\\*e\\*\\* \\[f\\](https:_//g) @_h #_1 www_.i.j &amp;amp; \\\\";
    assert_eq!(escape::cell(hostile).replace('\u{200b}', "_"), harmless);
}

/// How many lines there are, and how many of them open or close a code block.
fn skeleton(markdown: &str) -> (usize, usize) {
    (markdown.lines().count(), markdown.lines().filter(|line| line.starts_with("```")).count())
}

#[test]
fn nothing_from_a_repo_breaks_out() {
    let of = |word: &str| {
        let value = json!({word: word, "list": [word]});
        let one = Task {
            id: TaskId::new(word),
            at: Location { file: word.into(), line: 1, column: 1 },
            target: Target::Command(vec![word.to_owned()]),
            parameters: parameters(&value),
            deadline: within(1),
            ..timed("a", 0, 100)
        };
        let from = schedule(vec![Task { parameters: parameters(&json!({"list": [0], word: 0})), ..one.clone() }]);
        let all = |schedule| BTreeMap::from([(ScheduleName::new(word), schedule)]);
        let (title, description) = (word.to_owned(), Some(word.to_owned()));
        let name = ScheduleName::new(word);
        let after = Schedule { name, title, description, tasks: vec![one], ..from.clone() };
        preview(&all(from), &all(after), now())
    };
    let harmless = markdown(&of("x"));
    for word in
        ["a\n```\n# b", "```", "a | b", "<img src=x>", "</details>", "@all", "[a](http://b)", "\u{1b}[2J", "\r\n- x"]
    {
        let (markdown, text) = (markdown(&of(word)), stripped(&text(&of(word))));
        assert_eq!(skeleton(&markdown), skeleton(&harmless), "{word:?}\n{markdown}");
        let outside: String = markdown.split("```").step_by(2).collect();
        let ours = outside
            .replace("<sub>", "")
            .replace("</sub>", "")
            .replace("<details><summary>", "")
            .replace("</summary>", "");
        let ours = ours.replace("\n</details>\n", "");
        assert!(
            !ours.contains('<') && !ours.contains("@all") && !ours.contains("[a]") && !ours.contains("://"),
            "{ours}"
        );
        assert!(!text.contains('\u{1b}') && !markdown.contains('\u{1b}') && !text.contains('\r'), "{text}");
    }
}

#[test]
fn a_very_long_list_is_cut_and_counted() {
    let tasks = (0..150).map(|at| timed(&format!("t{at}"), 0, 1)).collect();
    let of = |tasks| schedules(vec![named("s", Start::Manual, tasks)]);
    let long = preview(&of(vec![]), &of(tasks), now());
    assert_eq!(long.verdict(), "1 schedule changes: 1 changed (150 tasks added)");
    assert!(text(&long).contains("… and 50 more") && markdown(&long).contains("# … and 50 more"));
}
