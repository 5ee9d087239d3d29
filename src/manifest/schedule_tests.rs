//! Schedules, compiled: every key, both formats, and the forms that existing files have.

use super::tests::{desired, tree};
use super::*;
use crate::model::{
    DeadlineFrom, Missed, On, OnDeadline, Overlap, Release, Repeat, RtPolicy, Schedule, Start, Target, TaskAddress,
    TaskProtocol,
};
use crate::schedule::Placed;
use serde_json::json;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn schedule(path: &str, text: &str) -> Schedule {
    let desired = desired(&[(path, text)]);
    assert_eq!(desired.schedules.len(), 1, "{:?}", desired.notices);
    desired.schedules.into_values().next().unwrap()
}

/// How many notices there are beside those about open ports, which have a test of their own.
fn noticed(desired: &crate::model::Desired) -> usize {
    desired.notices.iter().filter(|notice| !notice.text.contains("published on all addresses")).count()
}

fn tasks(text: &str) -> Vec<crate::model::Task> {
    schedule("schedules/s.yaml", text).tasks
}

fn needs(task: &crate::model::Task) -> Vec<(&str, On, bool)> {
    task.needs.iter().map(|need| (need.task.as_str(), need.on, need.implied)).collect()
}

#[test]
fn every_key_arrives() {
    let control = schedule("schedules/control.yaml", include_str!("testdata/control.yaml"));
    assert_eq!((control.name.as_str(), control.title.as_str()), ("control-loop", "Control loop"));
    let Start::Cron(cadence) = &control.start else { panic!("{:?}", control.start) };
    assert_eq!((cadence.expression(), cadence.zone()), ("*/5 8-18 * * 1-5", "Europe/Berlin"));
    assert_eq!((control.missed, control.overlap), (Missed::RunAll(3), Overlap::Queue));
    assert_eq!((control.jitter, control.strict), (Duration::from_secs(2), true));

    let [sense, filter, calibrate] = &control.tasks[..] else { panic!() };
    let repeat = Some(Repeat { period: MS * 10, count: 100 });
    assert_eq!(sense.release, Release::Timed { at: MS * 502, repeat });
    let deadline = sense.deadline.unwrap();
    assert_eq!((deadline.after, deadline.from, deadline.action), (MS * 8, DeadlineFrom::Release, OnDeadline::Warn));
    assert_eq!(sense.estimate, Some(MS * 3));
    assert_eq!((sense.real_time.policy, sense.real_time.cpu), (RtPolicy::Fifo { priority: 70 }, Some(1)));
    assert_eq!((sense.priority, sense.max_retries, sense.retry_delay), (40, 2, MS * 100));
    let expected = json!({
        "count": 3, "rate": 1.5, "enabled": true, "label": "3", "version": "1.2.3", "none": null,
        "nested": {"list": [1, "two", false], "deep": {"x": -1}},
    });
    assert_eq!(serde_json::Value::Object(sense.parameters.clone()), expected);

    assert_eq!(filter.target, Target::Address(TaskAddress::Unix("/run/filter.sock".to_owned())));
    assert_eq!(needs(filter), [("sense", On::Success, false), ("calibrate", On::Always, false)]);
    assert_eq!((filter.protocol, filter.release, filter.critical), (TaskProtocol::Map, Release::Sequential, true));
    let policy = RtPolicy::Deadline { runtime: MS * 2, deadline: MS * 5, period: MS * 10 };
    assert_eq!((filter.real_time.policy, filter.real_time.cpu), (policy, None));

    assert_eq!(calibrate.target, Target::Command(vec!["calibrate".into(), "--fast".into(), "8".into()]));
    assert_eq!(calibrate.release, Release::Timed { at: MS * 250, repeat: None });
    let deadline = calibrate.deadline.unwrap();
    assert_eq!((deadline.after, deadline.from, deadline.action), (MS * 1000, DeadlineFrom::Run, OnDeadline::Abort));
    assert_eq!((calibrate.timeout, calibrate.start_timeout), (Duration::from_secs(30), MS * 1000));
    assert_eq!((calibrate.lease, calibrate.grace), (MS * 2000, MS * 500));
    assert_eq!((calibrate.priority, calibrate.max_retries), (90, 0));
    assert_eq!(calibrate.real_time.policy, RtPolicy::Other);
}

/// What JSON would hold as another value stays the text that it is.
#[test]
fn a_number_arrives_as_it_is_written_or_as_a_text() {
    let of = |parameters: &str| {
        let text = format!("schedule:\n  tasks:\n    - {{id: a, address: \"h:1\", parameters: {parameters}}}\n");
        serde_json::Value::Object(tasks(&text).remove(0).parameters)
    };
    for (written, expected) in [
        ("12_34", json!("12_34")),
        ("1_0.5", json!("1_0.5")),
        ("18446744073709551616", json!("18446744073709551616")),
        ("-9223372036854775809", json!("-9223372036854775809")),
        ("340282366920938463463374607431768211456", json!("340282366920938463463374607431768211456")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("9007199254740993", json!(9_007_199_254_740_993_u64)),
        ("0x1F", json!(31)),
        ("1e3", json!(1000.0)),
        ("-.5", json!(-0.5)),
    ] {
        assert_eq!(of(&format!("{{n: {written}}}"))["n"], expected, "{written}");
    }
    let kdl = "schedule {\n  task \"a\" address=\"h:1\" {\n    parameters {\n      n 12_34\n    }\n  }\n}\n";
    let kdl = schedule("schedules/s.kdl", kdl).tasks.remove(0);
    assert_eq!(kdl.parameters["n"], 1234, "KDL has `_` between digits");
}

#[test]
fn both_formats_mean_the_same() {
    let yaml = schedule("schedules/control.yaml", include_str!("testdata/control.yaml"));
    let kdl = schedule("schedules/control.kdl", include_str!("testdata/control.kdl"));
    // Places are left out of the form for programs.
    let form = |schedule| crate::api::dto::Schedule::new(schedule, &crate::schedule::Placed::default());
    assert_eq!(form(yaml), form(kdl));
}

#[test]
fn existing_files_compile_with_the_root_key_and_without_it() {
    let body = "name: hybrid\ndefaults: {deadline_us: 1000000, rt_policy: none, rt_priority: 50, cpu_affinity: -1}\n\
                tasks:\n  - {id: my_task, address: \"task4:50054\", mode: timed, scheduled_time_us: 1000000, parameters: {my_param: 123}}\n  \
                - {id: next, address: \"task4:50054\", mode: sequential, depends_on: my_task, scheduled_time_us: 0}\n  \
                - {id: last, address: \"task5:50055\", mode: sequential, depends_on: \"\"}\n";
    let rooted = format!("schedule:\n{}", body.lines().map(|line| format!("  {line}\n")).collect::<String>());
    for path in ["schedules/schedule_hybrid.yaml", "deployments/schedule_hybrid.yaml"] {
        for text in [body, rooted.as_str()] {
            let found = schedule(path, text);
            assert_eq!(found.name.as_str(), "hybrid");
            assert_eq!(found.start, Start::OnCommit);
            let [first, next, last] = &found.tasks[..] else { panic!() };
            assert_eq!(first.target.to_string(), "task4:50054");
            assert_eq!(first.parameters["my_param"], 123);
            assert_eq!(first.deadline.unwrap().after, MS * 1000);
            // One that names nothing follows the one before it, whatever became of that.
            assert_eq!(needs(next), [("my_task", On::Success, false)]);
            assert_eq!(needs(last), [("next", On::Always, true)]);
        }
    }
    let bare = "tasks:\n  - {id: a, address: \"h:1\", mode: timed, scheduled_time_us: 0}\n";
    assert_eq!(schedule("schedules/nightly jobs.yaml", bare).name.as_str(), "nightly-jobs");
}

#[test]
fn the_execution_decides_what_follows_what() {
    let with = |execution: &str| {
        let text = format!(
            "schedule:\n  {execution}\n  tasks:\n    - {{id: a, address: \"h:1\"}}\n    - {{id: t, address: \"h:2\", scheduled_time: 1s}}\n    \
             - {{id: b, address: \"h:3\"}}\n    - {{id: c, address: \"h:4\", depends_on: a}}\n    - {{id: d, address: \"h:5\"}}\n"
        );
        let tasks = tasks(&text);
        tasks
            .iter()
            .map(|task| needs(task).iter().map(|(id, ..)| *id).collect::<Vec<_>>().join("+"))
            .collect::<Vec<_>>()
    };
    assert_eq!(with(""), ["", "", "a", "a", "c"]);
    assert_eq!(with("execution: ordered"), ["", "", "a", "a", "c"]);
    assert_eq!(with("execution: serial"), ["", "", "a", "a+b", "c"]);
    assert_eq!(with("execution: graph"), ["", "", "", "a", ""]);
}

#[test]
fn a_deadline_that_looks_absolute_is_remarked() {
    let text = "schedule:\n  tasks:\n    - {id: a, address: \"h:1\", mode: timed, scheduled_time_us: 5000000, deadline_us: 6000000}\n";
    let desired = desired(&[("schedules/s.yaml", text)]);
    let [notice] = &desired.notices[..] else { panic!("{:?}", desired.notices) };
    assert!(notice.text.contains("11s after the start of the run") && notice.text.contains("deadline_from: run"));
}

#[test]
fn the_end_of_a_periodic_task_is_a_count_or_a_time() {
    let text = |end: &str| {
        format!("schedule:\n  tasks:\n    - {{id: a, address: \"h:1\", scheduled_time: 5ms, period: 10ms, {end}}}\n")
    };
    for (end, count) in [("count: 7", 7), ("until: 25ms", 2), ("until: 26ms", 3), ("until_us: 5001", 1)] {
        assert_eq!(tasks(&text(end))[0].release.occurrences(), count, "{end}");
    }
}

#[test]
fn task_servers_of_a_deployment_are_reached_where_they_are_published() {
    let deployment = "deployment:\n  name: rt\n  tasks:\n    - {id: one, hostname: task1, image: t, port: 50051}\n  services:\n    \
                      - {id: two, image: t, ports: [\"127.0.0.1:6000:50052\", \"6001:50053\"]}\n    - {id: three, image: t, network_mode: host}\n";
    let with = |target: &str| {
        let text = format!("schedule:\n  tasks: [{{id: a, mode: timed, scheduled_time_us: 0, {target}}}]\n");
        let desired = desired(&[("deployments/rt.yaml", deployment), ("schedules/s.yaml", &text)]);
        let noticed = noticed(&desired);
        let placed = Placed::here(&desired);
        let target = desired.schedules.into_values().next().unwrap().tasks.remove(0).target;
        (target.to_string(), placed.address(&target).unwrap().to_string(), noticed)
    };
    let expected = |name: &str, address: &str| (name.to_owned(), address.to_owned(), 0);
    assert_eq!(with("address: \"task1:50051\""), expected("rt/one", "127.0.0.1:50051"));
    assert_eq!(with("service: rt/one"), expected("rt/one", "127.0.0.1:50051"));
    assert_eq!(with("service: rt/two:50053"), expected("rt/two", "127.0.0.1:6001"));
    assert_eq!(with("address: \"two:50052\""), expected("rt/two", "127.0.0.1:6000"));
    assert_eq!(with("service: rt/three:7000"), expected("rt/three", "127.0.0.1:7000"));
    assert_eq!(with("address: \"elsewhere:1\""), expected("elsewhere:1", "elsewhere:1"));
    // Its port is not published: the name works only inside the network.
    assert_eq!(with("address: \"task1:9\"").2, 1);
}

#[test]
fn a_schedule_of_a_deployment_with_its_own_orchestrator_is_not_started_twice() {
    let deployment = "deployment:\n  name: rt\n  tasks: [{id: one, hostname: task1, image: t, port: 50051}]\n  \
                      orchestrator: {image: o, schedule_file: /s.yaml}\n";
    let start = |start: &str| {
        let text = format!("schedule:\n  {start}\n  tasks: [{{id: a, address: \"task1:50051\", mode: sequential}}]\n");
        let desired = desired(&[("deployments/rt.yaml", deployment), ("config/s.yaml", &text)]);
        let noticed = noticed(&desired);
        (desired.schedules.into_values().next().unwrap().start, noticed)
    };
    assert_eq!(start(""), (Start::Manual, 1));
    assert_eq!(start("start: on_commit"), (Start::OnCommit, 0));
}

#[test]
fn a_schedule_with_a_mistake_is_no_schedule() {
    let text = "schedule:\n  tasks:\n    - {id: a, address: \"h:1\", mode: sometimes}\n";
    let report = compile(&tree(&[("schedules/s.yaml", text.as_bytes())])).unwrap_err();
    assert!(report.to_string().contains("schedules/s.yaml:3:37"), "{report}");
}

#[test]
fn a_program_declares_its_variables_and_a_line_without_a_shell_is_noticed() {
    let text = "schedule:\n  tasks:\n    - {id: a, command: \"echo $HOME > f\", env: {MODE: fast, N: 3, TASK_ID: x}}\n    \
                - {id: b, command: [sh, -c, \"echo $HOME\"], env: [A=b=c]}\n";
    let desired = desired(&[("schedules/s.yaml", text)]);
    let schedule = desired.schedules.values().next().unwrap();
    let variables =
        |at: usize| schedule.tasks[at].environment.iter().map(|(a, b)| format!("{a}={b}")).collect::<Vec<_>>();
    assert_eq!(variables(0), ["MODE=fast", "N=3", "TASK_ID=x"]);
    assert_eq!(variables(1), ["A=b=c"]);
    let notices: Vec<String> = desired.notices.iter().map(|notice| format!("{notice:?}")).collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices.iter().any(|notice| notice.contains("this line is not run by a shell, so `$`")), "{notices:?}");
    assert!(notices.iter().any(|notice| notice.contains("`TASK_ID` is set when")), "{notices:?}");
    let elsewhere = "schedule:\n  tasks: [{id: a, address: \"h:1\", env: {A: b}}]\n";
    let report = compile(&tree(&[("schedules/s.yaml", elsewhere.as_bytes())])).unwrap_err();
    assert!(format!("{report:?}").contains("`env` is for a task with a `command`"), "{report:?}");
}

#[test]
fn a_task_server_that_is_open_to_everybody_is_noticed_once() {
    let notices = |ports: &str, task: &str| -> Vec<String> {
        let shop = format!("deployment: {{name: shop, services: [{{id: press, image: t, ports: [\"{ports}\"]}}]}}");
        let schedule = format!("schedule: {{name: s, tasks: [{{id: a, {task}}}, {{id: b, {task}}}]}}");
        let desired = desired(&[("deployments/shop.yaml", &shop), ("schedules/s.yaml", &schedule)]);
        let open = desired.notices.into_iter().filter(|notice| notice.text.contains("published on all addresses"));
        open.map(|notice| notice.text).collect()
    };
    for task in ["service: shop/press", "address: \"press:50051\""] {
        let told = notices("7051:50051", task);
        let [one] = &told[..] else { panic!("{task}: {told:?}") };
        assert!(one.contains("shop/press") && one.contains("`ports: [\"127.0.0.1:7051:50051\"]`"), "{one}");
        assert_eq!(notices("0.0.0.0:7051:50051", task).len(), 1, "{task}");
        assert!(notices("127.0.0.1:7051:50051", task).is_empty(), "{task}");
    }
    assert!(notices("7051:50051", "address: \"tls://press:50051\"").is_empty(), "TLS asks for a certificate");
    assert!(notices("7051:50051", "address: \"elsewhere:50051\"").is_empty());
}
