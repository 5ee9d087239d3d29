//! Which task a notice ends, and that everything else is left alone.

use super::*;
use crate::runs::notice_matcher::NoticeMatcher;
use crate::schedule::TaskIndex;
use crate::wire::TaskResult;

/// All have been in flight for an hour.
const NOW: Monotonic = Monotonic::from_nanos(3_600_000_000_000);

fn call(task: u32, server: usize) -> CallInFlight {
    let attempt = Attempt { task: TaskIndex(task), occurrence: 0, number: 1 };
    CallInFlight::new(attempt, TaskId::new(format!("t{task}")), server, false, Monotonic::from_nanos(0))
}

fn ours(task: u32, server: usize) -> CallInFlight {
    CallInFlight { ours: true, ..call(task, server) }
}

fn notice(name: &str) -> EndNotice {
    EndNotice::new(name, TaskResult::Success)
}

fn from(last: u8, name: &str) -> EndNotice {
    EndNotice { from: Some(([10, 0, 0, last], 9).into()), ..notice(name) }
}

/// A run with three task servers: one on a host of its own, two on another one.
struct Run {
    calls: CallsInFlight,
    matcher: NoticeMatcher,
}

impl Run {
    fn new(list: &[CallInFlight]) -> Self {
        let hosts = vec![Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()), Some([10, 0, 0, 2].into())];
        let mut calls = CallsInFlight::new("r1".to_owned(), hosts);
        list.iter().for_each(|call| calls.add(call.clone()));
        Self { calls, matcher: NoticeMatcher::default() }
    }

    /// The task that a notice ends; it is in flight no more.
    fn end(&mut self, notice: &EndNotice) -> Option<u32> {
        let (_, call) = self.matcher.find(&[&self.calls], notice, NOW)?;
        self.matcher.remember(notice);
        self.calls.remove(call.attempt);
        Some(call.attempt.task.0)
    }
}

#[test]
fn our_own_runner_says_which_attempt_it_means() {
    let mut run = Run::new(&[ours(1, 0)]);
    let own = |run: &str, attempt| EndNotice { run_id: run.to_owned(), attempt, ..notice("t1") };
    // An earlier attempt, or another run, is never taken for this one.
    assert_eq!(run.end(&own("r1", 2)), None);
    assert_eq!(run.end(&own("r0", 1)), None);
    assert_eq!(run.end(&notice("t1")), None, "without its run, anybody may have said it");
    assert_eq!(run.end(&own("r1", 1)), Some(1));
}

#[test]
fn a_name_is_what_the_server_acknowledged_first_and_an_id_then() {
    let mut run = Run::new(&[call(1, 0), call(2, 1)]);
    run.calls.acknowledged(call(1, 0).attempt, "t2", None);
    assert_eq!(run.end(&notice("t2")), Some(1));
    assert_eq!(run.end(&notice("t2")), Some(2));
}

#[test]
fn a_name_that_nobody_goes_by_ends_nothing_though_one_task_alone_is_in_flight() {
    let mut run = Run::new(&[call(1, 0)]);
    run.calls.set_progress(call(1, 0).attempt, StartProgress::Acknowledged);
    for from in [notice("nobody"), from(1, "nobody"), from(2, "nobody"), from(77, "nobody")] {
        assert_eq!(run.end(&from), None);
    }
    // Its server answers with its id, and goes on: there is no other name.
    assert!(run.calls.acknowledged(call(1, 0).attempt, "t1", None).is_none());
    assert_eq!(run.end(&from(1, "nobody")), None);
    assert_eq!(run.end(&from(1, "t1")), Some(1));
}

#[test]
fn a_name_that_the_server_says_only_when_it_is_asked_counts_from_then_on_and_back() {
    let mut run = Run::new(&[call(1, 0), call(2, 1)]);
    for number in [1, 2] {
        run.calls.acknowledged(call(number, 0).attempt, "", None);
        run.calls.set_progress(call(number, 0).attempt, StartProgress::Acknowledged);
    }
    let end = notice("my_new_task");
    assert_eq!(run.end(&end), None, "nobody goes by it yet");
    assert!(run.calls.keep(&end, NOW));
    assert!(run.calls.named_by_server(call(2, 1).attempt, "other").is_none());
    let (ended, kept) = run.calls.named_by_server(call(1, 0).attempt, "my_new_task").unwrap();
    assert_eq!((ended.attempt.task.0, &kept), (1, &end));
    assert!(run.calls.named_by_server(call(1, 0).attempt, "my_new_task").is_none(), "once");
    assert!(!run.calls.keep(&notice("my_new_task_2"), NOW), "both have said their name");
}

#[test]
fn few_early_notices_are_kept_and_none_for_longer_than_what_they_can_be_about() {
    let mut run = Run::new(&[call(1, 0)]);
    for number in 0..100 {
        assert!(run.calls.keep(&notice(&format!("n{number}")), NOW));
    }
    assert!(run.calls.named_by_server(call(1, 0).attempt, "n0").is_none());
    run.calls.remove(call(1, 0).attempt);
    run.calls.add(call(2, 0));
    assert!(run.calls.named_by_server(call(2, 0).attempt, "n99").is_none(), "it came before that began");
}

#[test]
fn of_two_servers_of_one_name_the_one_that_speaks_is_meant() {
    let mut run = Run::new(&[call(1, 0), call(2, 1)]);
    for number in [1, 2] {
        run.calls.acknowledged(call(number, 0).attempt, "w", None);
    }
    assert_eq!(run.end(&notice("w")), None, "it does not say from where");
    assert_eq!(run.end(&from(2, "w")), Some(2));
    assert_eq!(run.end(&from(1, "w")), Some(1));
}

#[test]
fn what_ends_at_a_server_that_was_busy_is_not_ours() {
    let mut run = Run::new(&[call(1, 0)]);
    run.calls.set_progress(call(1, 0).attempt, StartProgress::Refused);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&notice("other")), None);
    run.calls.set_progress(call(1, 0).attempt, StartProgress::Acknowledged);
    assert_eq!(run.end(&notice("t1")), Some(1));
}

#[test]
fn a_name_that_belongs_to_another_task_ends_no_other_though_that_is_alone() {
    // One missed its deadline and was given up; its notice comes when the other one is alone.
    let mut run = Run::new(&[call(2, 1)]);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&from(1, "t1")), None);
    assert_eq!(run.end(&from(2, "t1")), None);
}

#[test]
fn a_notice_from_the_host_of_another_server_ends_nothing_here() {
    let mut run = Run::new(&[call(1, 0)]);
    assert_eq!(run.end(&from(2, "t1")), None, "its name alone is not enough");
    assert_eq!(run.end(&from(2, "unknown")), None);
    assert_eq!(run.end(&from(77, "t1")), Some(1), "addresses are translated on the way");
}

#[test]
fn a_notice_that_comes_twice_does_not_end_what_began_meanwhile() {
    let mut run = Run::new(&[call(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.calls.acknowledged(call(1, 0).attempt, "w", time(100));
    let first = EndNotice { start: time(100), end: time(105), ..from(1, "w") };
    assert_eq!(run.end(&first), Some(1));
    assert!(run.matcher.is_repeated(&first), "the second copy is answered as the first one was");
    // The next task at the same server has begun.
    run.calls.add(call(2, 0));
    run.calls.acknowledged(call(2, 0).attempt, "w", time(106));
    assert_eq!(run.end(&EndNotice { result: TaskResult::Failure, ..first }), None, "what ended before it began");
    assert_eq!(run.end(&EndNotice { start: time(106), end: time(107), ..from(1, "w") }), Some(2));
}

#[test]
fn what_took_longer_than_a_task_has_been_there_is_not_its_end() {
    let mut run = Run::new(&[]);
    let sent = Monotonic::from_nanos(NOW.as_nanos() - 1_000_000_000);
    let late = CallInFlight::new(call(1, 0).attempt, TaskId::new("t1"), 0, false, sent);
    run.calls.add(late.clone());
    run.calls.acknowledged(late.attempt, "w", None);
    let took = |seconds| EndNotice { duration: Some(Duration::from_secs(seconds)), ..from(1, "w") };
    assert_eq!(run.end(&took(5)), None, "of a task that was given up before this one was sent");
    assert_eq!(run.end(&took(1)), Some(1));
}

#[test]
fn a_notice_that_comes_before_the_acknowledgement_counts_if_it_is_about_that_attempt() {
    let (attempt, time) = (call(1, 0).attempt, |seconds| Some(Duration::from_secs(seconds)));
    for (ended, counts) in [(99, false), (100, true)] {
        let mut run = Run::new(&[call(1, 0)]);
        let notice = EndNotice { start: time(ended), end: time(ended), ..from(1, "w") };
        assert_eq!(run.end(&notice), None);
        assert!(run.calls.keep(&notice, NOW));
        assert_eq!(run.calls.acknowledged(attempt, "w", time(100)).is_some(), counts);
        run.calls.set_progress(attempt, StartProgress::Acknowledged);
        assert!(!run.calls.keep(&from(1, "w"), NOW), "from then on they count at once");
    }
}

#[test]
fn a_wall_clock_that_is_put_back_while_a_task_runs_does_not_make_its_end_an_older_one() {
    let mut run = Run::new(&[call(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.calls.acknowledged(call(1, 0).attempt, "w", time(100));
    assert_eq!(run.end(&EndNotice { start: time(3_000), end: time(3_001), ..from(1, "w") }), None, "another task's");
    assert_eq!(run.end(&EndNotice { start: time(100), end: time(40), ..from(1, "w") }), Some(1));
}

#[test]
fn a_server_that_stamps_its_notices_by_another_kind_of_clock_is_believed() {
    let mut run = Run::new(&[call(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.calls.acknowledged(call(1, 0).attempt, "w", time(1_700_000_000));
    assert_eq!(run.end(&EndNotice { start: time(60), end: time(61), ..from(1, "w") }), Some(1));
}

#[test]
fn of_two_at_one_server_the_one_is_meant_that_began_when_the_notice_says() {
    // The end of the first one was lost, and nobody knows it yet.
    let mut run = Run::new(&[call(1, 0), call(2, 0)]);
    let time = |ms| Some(Duration::from_millis(ms));
    run.calls.acknowledged(call(1, 0).attempt, "w", time(100_000));
    run.calls.acknowledged(call(2, 0).attempt, "w", time(100_400));
    assert_eq!(run.end(&EndNotice { start: time(100_401), end: time(100_500), ..from(1, "w") }), Some(2));
}

#[test]
fn what_is_only_armed_has_no_end() {
    let mut run = Run::new(&[call(1, 0)]);
    run.calls.set_progress(call(1, 0).attempt, StartProgress::Armed);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&notice("unknown")), None);
}

#[test]
fn a_server_that_has_said_its_name_is_not_meant_by_another_one() {
    let mut run = Run::new(&[call(1, 0)]);
    run.calls.acknowledged(call(1, 0).attempt, "w", None);
    assert_eq!(run.end(&notice("somebody_else")), None);
    assert_eq!(run.end(&notice("w")), Some(1));
}
