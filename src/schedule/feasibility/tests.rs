//! Examples of each finding.

use super::*;
use crate::model::{
    Deadline, DeadlineFrom, Location, Missed, Need, On, OnDeadline, Overlap, RealTime, Release, Repeat, RtPolicy,
    ScheduleName, Start, Target, Task, TaskAddress, TaskId, TaskProtocol,
};
use std::time::Duration;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn schedule(tasks: Vec<Task>) -> Schedule {
    Schedule {
        name: ScheduleName::new("test"),
        title: "Test".to_owned(),
        description: None,
        at: at(1),
        start: Start::Manual,
        missed: Missed::Skip,
        overlap: Overlap::Skip,
        jitter: Duration::ZERO,
        strict: false,
        feasibility: FeasibilityPolicy::Error,
        tasks: tasks.into_iter().zip(2..).map(|(task, line)| Task { at: at(line), ..task }).collect(),
    }
}

fn at(line: u32) -> Location {
    Location { file: "schedules/test.yaml".into(), line, column: 3 }
}

/// A task at its own address, due at `due` ms, expected to run `estimate` ms.
pub(super) fn task(id: &str, due: u64, estimate: u64) -> Task {
    Task {
        id: TaskId::new(id),
        at: at(1),
        target: Target::Address(TaskAddress::Tcp(id.to_owned(), 7000)),
        protocol: TaskProtocol::Json,
        release: Release::Timed { at: ms(due), repeat: None },
        needs: Vec::new(),
        deadline: None,
        timeout: ms(60_000),
        start_timeout: ms(1000),
        lease: ms(1000),
        grace: ms(1000),
        estimate: Some(ms(estimate)),
        priority: 50,
        max_retries: 0,
        retry_delay: Duration::ZERO,
        critical: false,
        real_time: RealTime { policy: RtPolicy::Other, cpu: None },
        parameters: serde_json::Map::new(),
        environment: std::collections::BTreeMap::new(),
    }
}

pub(super) trait With: Sized {
    fn every(self, period: u64, count: u32) -> Self;
    fn server(self, name: &str) -> Self;
    fn within(self, after: u64, from: DeadlineFrom) -> Self;
    fn needs(self, task: &str, on: On) -> Self;
    fn sequential(self) -> Self;
    fn on(self, cpu: u32, policy: RtPolicy) -> Self;
}

impl With for Task {
    fn every(mut self, period: u64, count: u32) -> Self {
        let at = self.release.due(0).unwrap();
        self.release = Release::Timed { at, repeat: Some(Repeat { period: ms(period), count }) };
        self
    }

    fn server(mut self, name: &str) -> Self {
        self.target = Target::Address(TaskAddress::Tcp(name.to_owned(), 7000));
        self
    }

    fn within(mut self, after: u64, from: DeadlineFrom) -> Self {
        self.deadline = Some(Deadline { after: ms(after), from, action: OnDeadline::Warn });
        self
    }

    fn needs(mut self, task: &str, on: On) -> Self {
        self.needs.push(Need { task: TaskId::new(task), on, implied: false, at: at(1) });
        self
    }

    fn sequential(mut self) -> Self {
        self.release = Release::Sequential;
        self
    }

    fn on(mut self, cpu: u32, policy: RtPolicy) -> Self {
        self.real_time = RealTime { policy, cpu: Some(cpu) };
        self
    }
}

/// The findings as texts with their remedies, each after the line of its task.
fn told(tasks: Vec<Task>, cpus: Option<u32>) -> Vec<String> {
    let findings = feasibility(&schedule(tasks), cpus);
    findings.iter().map(|finding| format!("{}: {finding}. {}", finding.at.line, finding.remedy())).collect()
}

#[test]
fn a_deadline_shorter_than_the_estimate() {
    let tasks = vec![
        task("a", 0, 10).within(8, DeadlineFrom::Release),
        task("fits", 0, 10).within(10, DeadlineFrom::Release),
        task("b", 20, 10).within(25, DeadlineFrom::Run),
        task("late", 20, 10).within(20, DeadlineFrom::Run),
    ];
    assert_eq!(
        told(tasks, None),
        [
            "2: `a` is expected to run 10 ms, but has 8 ms until its deadline. \
             Give it at least 10 ms, or correct its estimate.",
            "4: `b` is expected to run 10 ms, but has 5 ms until its deadline. \
             Give it at least 10 ms, or correct its estimate.",
            "5: `late` is due 20 ms after the start of the run, but its deadline is 20 ms after it. \
             Set the deadline later than 20 ms, or count it from `release`.",
        ]
    );
}

#[test]
fn an_estimate_longer_than_the_period() {
    assert_eq!(
        told(vec![task("a", 0, 12).every(10, 5), task("once", 0, 12).every(10, 1)], None),
        ["2: `a` is expected to run 12 ms, but is due again every 10 ms: it falls behind more each time. \
          Set the period to 12 ms or longer, or correct the estimate."]
    );
}

#[test]
fn two_tasks_at_one_server_with_later_periods() {
    // b runs 8..13, 18..23, 28..33 and a is due at 10, 20, 30: late by 3 each time; at 0 it is not.
    let tasks = vec![task("a", 0, 4).every(10, 4).server("s"), task("b", 8, 5).every(10, 3).server("s")];
    assert_eq!(
        told(tasks, None),
        ["2: `a` starts up to 3 ms late at s:7000, where `b` is still running: 3 times, first at 10 ms. \
          Start `a` 3 ms later, run it at another task server, or let this one run several at once."]
    );
}

#[test]
fn very_many_overlaps_are_told_by_the_longest_and_a_count() {
    let tasks: Vec<Task> = (0..30).map(|n| task(&format!("t{n}"), 0, 1).server("s")).collect();
    let told = told(tasks, None);
    assert_eq!(told.len(), MAX_PAIRS + 1);
    assert!(told[0].starts_with("12: `t10` starts 10 ms late at s:7000, where `t9` is still running: at 0 s."));
    assert_eq!(
        told[MAX_PAIRS],
        "3: `t1`, `t2`, `t3`, `t4`, `t5`, `t6` and 3 more also start late at s:7000, less than those told above \
         (9 more pairs). Spread the tasks over time or over more task servers."
    );
}

#[test]
fn a_task_without_estimate_or_beyond_a_failure_takes_no_part() {
    let unknown = Task { estimate: None, ..task("unknown", 0, 0).server("s") };
    let rescue = task("rescue", 5, 10).server("s").needs("a", On::Failure);
    let after = task("after", 5, 10).server("s").needs("rescue", On::Success);
    assert_eq!(told(vec![task("a", 0, 10).server("s"), unknown, rescue, after], None), [""; 0]);
    // In any case it runs, and then it is in the way.
    let always = task("always", 5, 10).server("s").needs("rescue", On::Always);
    let rescue = task("rescue", 5, 10).needs("a", On::Failure);
    assert_eq!(told(vec![task("a", 0, 10).server("s"), rescue, always], None).len(), 1);
}

#[test]
fn a_chain_that_cannot_end_in_time() {
    let tasks = vec![
        task("load", 5, 20),
        task("quick", 0, 1),
        task("heat", 0, 30).sequential().needs("load", On::Success).needs("quick", On::Success),
        task("press", 0, 10).sequential().needs("heat", On::Success).within(60, DeadlineFrom::Run),
        task("open", 0, 5).sequential().needs("press", On::Always).within(70, DeadlineFrom::Run),
        task("timed", 50, 10).needs("heat", On::Success).within(12, DeadlineFrom::Release),
    ];
    assert_eq!(
        told(tasks, None),
        [
            "5: `press` ends 65 ms after the start of the run at the earliest, but its deadline is 60 ms after it \
             (the longest chain is `load` → `heat` → `press`). \
             Set the deadline to 65 ms or later, or let fewer tasks of the chain wait.",
            "7: `timed` ends 65 ms after the start of the run at the earliest, but its deadline is 62 ms after it \
             (the longest chain is `load` → `heat` → `timed`). \
             Set the deadline to 65 ms or later, or let fewer tasks of the chain wait.",
        ]
    );
}

#[test]
fn a_circle_of_needs_is_left_to_the_reader_of_the_file() {
    let a = task("a", 0, 10).sequential().needs("b", On::Success).within(20, DeadlineFrom::Run);
    let b = task("b", 0, 10).sequential().needs("a", On::Success).needs("nobody", On::Success);
    assert_eq!(told(vec![a, b], None), [""; 0]);
}

#[test]
fn a_cpu_that_is_not_there() {
    let on = |cpu| vec![task("a", 0, 1).on(cpu, RtPolicy::Other)];
    assert_eq!(
        told(on(4), Some(4)),
        ["2: `a` is bound to CPU 4, but the machine has only CPUs 0 to 3. \
          Bind it to a CPU of the machine, or to none."]
    );
    assert_eq!(told(on(3), Some(4)), [""; 0]);
    assert_eq!(told(on(4), None), [""; 0]);
}

#[test]
fn a_cpu_that_is_asked_for_more_than_there_is() {
    let other = RtPolicy::Other;
    let tasks = |third: u64| {
        vec![
            task("a", 0, 5).every(10, 10).on(1, other),
            task("b", 0, 6).every(20, 5).on(1, other),
            task("c", third, 3).every(10, 10).on(1, other),
            task("elsewhere", 0, 9).every(10, 10).on(2, other),
        ]
    };
    // 0.5 + 0.3 + 0.3; from 100 ms on only `c` is left.
    assert_eq!(
        told(tasks(50), None),
        ["2: CPU 1 is asked for 110 % of its time by `a`, `b` and `c`. \
          Move some of them to another CPU, or lengthen their periods."]
    );
    assert_eq!(told(tasks(100), None), [""; 0]);
}

#[test]
fn a_window_with_more_work_than_time() {
    let other = RtPolicy::Other;
    let job = |id, due, work, within| task(id, due, work).within(within, DeadlineFrom::Release).on(0, other);
    // Each fits alone; 10 + 12 + 10 = 32 ms in the 30 ms from 10 to 40.
    let tasks = vec![job("early", 0, 5, 100), job("a", 10, 10, 30), job("b", 15, 12, 20), job("c", 20, 10, 20)];
    assert_eq!(
        told(tasks, None),
        ["3: CPU 0 has 32 ms of work to do between 10 ms and 40 ms (106.7 %): `a`, `b` and `c`. \
          Move 2 ms of that work elsewhere in time or to another CPU, or set deadlines later."]
    );
    let fits = vec![job("early", 0, 5, 100), job("a", 10, 10, 32), job("b", 15, 12, 20), job("c", 20, 10, 22)];
    assert_eq!(told(fits, None), [""; 0]);
}

#[test]
fn a_deadline_that_is_impossible_by_itself_does_not_hide_a_full_window() {
    let job = |id, work, within| task(id, 0, work).within(within, DeadlineFrom::Release).on(0, RtPolicy::Other);
    let told = told(vec![job("alone", 5, 3), job("a", 6, 10), job("b", 6, 10)], None);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("2: `alone` is expected to run 5 ms, but has 3 ms"));
    assert!(told[1].starts_with("3: CPU 0 has 12 ms of work to do between 0 s and 10 ms (120 %): `a` and `b`."));
}

#[test]
fn reservations_that_the_kernel_refuses() {
    let policy =
        |runtime, period| RtPolicy::Deadline { runtime: ms(runtime), deadline: ms(period), period: ms(period) };
    let unbound =
        |id, runtime| Task { real_time: RealTime { policy: policy(runtime, 10), cpu: None }, ..task(id, 0, 1) };
    assert_eq!(
        told(vec![task("a", 0, 1).on(1, policy(5, 10)), task("b", 0, 1).on(1, policy(46, 100))], Some(4)),
        ["2: `a` and `b` together reserve 96 % of CPU 1 with policy `deadline`, but the kernel admits 95 %. \
          Reserve less `runtime`, lengthen the `period`, or spread them over more CPUs."]
    );
    assert_eq!(told(vec![task("a", 0, 1).on(1, policy(5, 10)), task("b", 0, 1).on(1, policy(45, 100))], None), [""; 0]);
    assert_eq!(told(vec![unbound("a", 9), unbound("b", 9)], Some(2)), [""; 0]);
    assert_eq!(told(vec![unbound("a", 9), unbound("b", 9)], Some(1)).len(), 1);
    assert_eq!(
        told(vec![unbound("a", 9), unbound("b", 9)], None),
        [""; 0],
        "without the number of CPUs it is not known"
    );
}

#[test]
fn an_overlap_at_a_task_server_refuses_no_commit_because_the_server_may_take_several() {
    let both = schedule(vec![task("a", 0, 10).server("s"), task("b", 5, 10).server("s")]);
    let findings = feasibility(&both, None);
    assert_eq!(findings.iter().map(|one| one.kind.proof()).collect::<Vec<_>>(), [Proof::OneAtATime]);
    assert_eq!(refusals([&both]), []);
}

#[test]
fn a_task_server_serves_by_priority_and_not_by_who_came_first() {
    // When `long` ends, `b` goes first although `a` waited longer.
    let urgent = Task { priority: 90, ..task("b", 6, 10).server("s") };
    let tasks = vec![task("long", 0, 10).server("s"), task("a", 5, 10).server("s"), urgent];
    let told = told(tasks, None);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("3: `a` starts 15 ms late at s:7000, where `b` is still running"), "{told:?}");
    assert!(told[1].starts_with("4: `b` starts 4 ms late at s:7000, where `long` is still running"), "{told:?}");
}

#[test]
fn a_sequential_task_is_in_the_way_of_a_timed_one() {
    let after = task("after", 0, 20).sequential().needs("first", On::Success).server("s");
    let tasks = vec![task("first", 0, 10), after, task("timed", 20, 5).server("s")];
    assert_eq!(
        told(tasks, None),
        [
            "4: `timed` starts 10 ms late at s:7000, where `after` is still running: at 20 ms. Start `timed` 10 ms later, \
          run it at another task server, or let this one run several at once."
        ]
    );
    // And on a CPU: 20 ms of the one and 15 ms of the other within 30 ms.
    let on = |task: Task| task.on(0, RtPolicy::Other);
    let after = on(task("after", 0, 20).sequential().needs("first", On::Success).within(40, DeadlineFrom::Run));
    let timed = on(task("timed", 10, 15).within(30, DeadlineFrom::Release));
    let told = told(vec![task("first", 0, 10), after, timed], None);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("CPU 0 has 35 ms of work to do between 10 ms and 40 ms"), "{told:?}");
}

#[test]
fn a_task_that_runs_once_holds_up_those_below_it() {
    let fifo = |priority| RtPolicy::Fifo { priority };
    let control = task("control", 0, 50).every(100, 100).within(100, DeadlineFrom::Release).on(1, fifo(50));
    let told = told(vec![control, task("once", 3_000, 5_000).on(1, fifo(99))], None);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`control` ends") && told[0].contains("on CPU 1 it waits for `once`"), "{told:?}");
    let control = task("control", 0, 50).every(100, 100).within(100, DeadlineFrom::Release).on(1, fifo(50));
    assert_eq!(self::told(vec![control, task("below", 3_000, 5_000).on(1, fifo(9))], None), [""; 0]);
}

#[test]
fn tasks_that_are_bound_to_no_cpu_are_held_against_all_of_this_machine() {
    let policy = RtPolicy::Fifo { priority: 50 };
    let tasks = |target: fn(usize) -> Target| -> Vec<Task> {
        let task = |n: usize| Task {
            target: target(n),
            real_time: RealTime { policy, cpu: None },
            ..task(&format!("t{n}"), 0, 5).every(10, 10)
        };
        (0..10).map(task).collect()
    };
    let here = |n| Target::Command(vec![format!("/bin/{n}")]);
    let told = told(tasks(here), Some(2));
    assert_eq!(
        told,
        [
            "2: the 2 CPUs of this machine are asked for 500 % of the time of one by `t0`, `t1`, `t2`, `t3`, `t4`, `t5` and 4 \
          more. Lengthen their periods, or run some of them on another machine."
        ]
    );
    assert_eq!(self::told(tasks(here), Some(5)), [""; 0]);
    assert_eq!(self::told(tasks(here), None), [""; 0], "nothing is known of the machine");
    let elsewhere = |n| Target::Address(TaskAddress::Tcp(format!("host{n}"), 1));
    assert_eq!(self::told(tasks(elsewhere), Some(2)), [""; 0]);
}

#[test]
fn what_is_not_to_be_looked_at_is_not() {
    let mut off = schedule(vec![task("a", 0, 10).within(1, DeadlineFrom::Release)]);
    assert_eq!(feasibility(&off, None).len(), 1);
    off.feasibility = FeasibilityPolicy::Off;
    assert_eq!(feasibility(&off, None), []);
}

#[test]
fn very_many_occurrences_are_bounded_and_that_is_told() {
    let many = |count| {
        schedule(vec![
            task("fast", 0, 1)
                .every(2, count)
                .server("s")
                .within(2, DeadlineFrom::Release)
                .on(0, RtPolicy::Fifo { priority: 9 }),
            task("slow", 1, 1)
                .every(2, count)
                .server("s")
                .within(2, DeadlineFrom::Release)
                .on(0, RtPolicy::Fifo { priority: 8 }),
        ])
    };
    assert_eq!(feasibility(&many(MAX_OCCURRENCES), None), []);
    let findings = feasibility(&many(MAX_OCCURRENCES + 1), None);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].to_string(), "only the first 100000 occurrences of `fast` and `slow` were looked at");
    assert_eq!(findings[0].kind.proof(), Proof::None);
}
