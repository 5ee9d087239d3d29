//! Which task a notice ends, and that everything else is left alone.

use super::*;
use crate::runs::ends::Ends;
use crate::schedule::TaskIndex;
use crate::wire::{Payload, TaskResult};

/// All have been in flight for an hour.
const NOW: Monotonic = Monotonic::from_nanos(3_600_000_000_000);

fn flight(task: u32, link: usize) -> Flight {
    let attempt = Attempt { task: TaskIndex(task), occurrence: 0, number: 1 };
    Flight::new(attempt, TaskId::new(format!("t{task}")), link, false, Monotonic::from_nanos(0))
}

fn ours(task: u32, link: usize) -> Flight {
    Flight { ours: true, ..flight(task, link) }
}

fn notice(name: &str) -> EndNotice {
    EndNotice {
        task_id: name.to_owned(),
        run_id: String::new(),
        occurrence: 0,
        attempt: 0,
        result: TaskResult::Success,
        start: None,
        end: None,
        duration: None,
        error_message: String::new(),
        raw_metrics: Payload::default(),
        raw_output: Payload::default(),
        from: None,
    }
}

fn from(last: u8, name: &str) -> EndNotice {
    EndNotice { from: Some(([10, 0, 0, last], 9).into()), ..notice(name) }
}

/// A run with the tasks `t0` to `t9`, at three servers: one on a host of its own, two on another one.
struct Run {
    flights: Flights,
    ends: Ends,
}

impl Run {
    fn new(list: &[Flight]) -> Self {
        let hosts = vec![Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()), Some([10, 0, 0, 2].into())];
        let servers = (1..=3).map(|port| TaskAddress::Tcp("h".to_owned(), port)).collect();
        let tasks = (0..10).map(|task| TaskId::new(format!("t{task}")));
        let mut flights = Flights::new("r1".to_owned(), tasks, servers, hosts);
        list.iter().for_each(|flight| flights.add(flight.clone()));
        Self { flights, ends: Ends::default() }
    }

    /// The task that a notice ends; it is in flight no more.
    fn end(&mut self, notice: &EndNotice) -> Option<u32> {
        let (_, flight) = self.ends.find(&[&self.flights], notice, NOW)?;
        self.ends.took(notice, &flight, self.flights.server(&flight));
        self.flights.remove(flight.attempt);
        Some(flight.attempt.task.0)
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
    assert_eq!(run.end(&from(1, "unknown")), None, "and nobody guesses");
    assert_eq!(run.end(&own("r1", 1)), Some(1));
}

#[test]
fn a_name_is_what_the_server_acknowledged_first_and_an_id_then() {
    let mut run = Run::new(&[flight(1, 0), flight(2, 1)]);
    run.flights.acknowledged(flight(1, 0).attempt, "t2", None);
    assert_eq!(run.end(&notice("t2")), Some(1));
    assert_eq!(run.end(&notice("t2")), Some(2));
}

#[test]
fn a_server_that_says_its_own_name_is_found_by_its_place_and_then_by_that_name() {
    let mut run = Run::new(&[flight(1, 0), flight(2, 1)]);
    assert_eq!(run.end(&notice("my_new_task")), None, "either could be meant");
    assert_eq!(run.end(&from(1, "my_new_task")), Some(1));
    // Known now: it is not the other server's, though that one's task is alone.
    assert_eq!(run.end(&notice("my_new_task")), None);
    run.flights.add(flight(3, 0));
    assert_eq!(run.end(&notice("my_new_task")), Some(3), "wherever the notice seems to come from");
}

#[test]
fn several_servers_on_one_host_are_distinguished_by_what_is_in_flight() {
    let mut run = Run::new(&[flight(2, 1), flight(3, 2)]);
    assert_eq!(run.end(&from(2, "my_new_task")), None);
    run.flights.remove(flight(3, 2).attempt);
    assert_eq!(run.end(&notice("my_new_task")), Some(2));
}

#[test]
fn of_two_servers_of_one_name_the_one_that_speaks_is_meant() {
    let mut run = Run::new(&[flight(1, 0), flight(2, 1)]);
    for number in [1, 2] {
        run.flights.acknowledged(flight(number, 0).attempt, "w", None);
    }
    assert_eq!(run.end(&notice("w")), None, "it does not say from where");
    assert_eq!(run.end(&from(2, "w")), Some(2));
    assert_eq!(run.end(&from(1, "w")), Some(1));
}

#[test]
fn what_ends_at_a_server_that_was_busy_is_not_ours() {
    let mut run = Run::new(&[flight(1, 0)]);
    run.flights.sent(flight(1, 0).attempt, Sent::Refused);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&notice("other")), None);
    run.flights.sent(flight(1, 0).attempt, Sent::Begun);
    assert_eq!(run.end(&notice("t1")), Some(1));
}

#[test]
fn a_name_that_belongs_to_another_task_ends_no_other_though_that_is_alone() {
    // One missed its deadline and was given up; its notice comes when the other one is alone.
    let mut run = Run::new(&[flight(2, 1)]);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&from(1, "t1")), None);
    assert_eq!(run.end(&from(2, "t1")), None);
}

#[test]
fn a_notice_from_the_host_of_another_server_ends_nothing_here() {
    let mut run = Run::new(&[flight(1, 0)]);
    assert_eq!(run.end(&from(2, "t1")), None, "its name alone is not enough");
    assert_eq!(run.end(&from(2, "unknown")), None);
    assert_eq!(run.end(&from(77, "t1")), Some(1), "addresses are translated on the way");
}

#[test]
fn a_notice_that_comes_twice_does_not_end_what_began_meanwhile() {
    let mut run = Run::new(&[flight(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.flights.acknowledged(flight(1, 0).attempt, "w", time(100));
    let first = EndNotice { start: time(100), end: time(105), ..from(1, "w") };
    assert_eq!(run.end(&first), Some(1));
    assert!(run.ends.is_known(&first), "the second copy is answered as the first one was");
    // The next task at the same server has begun.
    run.flights.add(flight(2, 0));
    run.flights.acknowledged(flight(2, 0).attempt, "w", time(106));
    assert_eq!(run.end(&EndNotice { result: TaskResult::Failure, ..first }), None, "what ended before it began");
    assert_eq!(run.end(&EndNotice { start: time(106), end: time(107), ..from(1, "w") }), Some(2));
}

#[test]
fn what_took_longer_than_a_task_has_been_there_is_not_its_end() {
    let mut run = Run::new(&[]);
    let sent = Monotonic::from_nanos(NOW.as_nanos() - 1_000_000_000);
    let late = Flight::new(flight(1, 0).attempt, TaskId::new("t1"), 0, false, sent);
    run.flights.add(late.clone());
    let took = |seconds| EndNotice { duration: Some(Duration::from_secs(seconds)), ..from(1, "w") };
    assert_eq!(run.end(&took(5)), None, "of a task that was given up before this one was sent");
    assert_eq!(run.end(&took(1)), Some(1));
}

#[test]
fn a_notice_that_comes_before_the_acknowledgement_counts_if_it_is_about_that_attempt() {
    let (attempt, time) = (flight(1, 0).attempt, |seconds| Some(Duration::from_secs(seconds)));
    for (ended, counts) in [(99, false), (100, true)] {
        let mut run = Run::new(&[flight(1, 0)]);
        let notice = EndNotice { start: time(ended), end: time(ended), ..from(1, "w") };
        assert!(run.flights.hold(attempt, &notice));
        assert_eq!(run.flights.acknowledged(attempt, "w", time(100)).is_some(), counts);
        run.flights.sent(attempt, Sent::Begun);
        assert!(!run.flights.hold(attempt, &from(1, "w")), "from then on they count at once");
    }
}

#[test]
fn a_wall_clock_that_is_put_back_while_a_task_runs_does_not_make_its_end_an_older_one() {
    let mut run = Run::new(&[flight(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.flights.acknowledged(flight(1, 0).attempt, "w", time(100));
    assert_eq!(run.end(&EndNotice { start: time(3_000), end: time(3_001), ..from(1, "w") }), None, "another task's");
    assert_eq!(run.end(&EndNotice { start: time(100), end: time(40), ..from(1, "w") }), Some(1));
}

#[test]
fn a_server_that_stamps_its_notices_by_another_kind_of_clock_is_believed() {
    let mut run = Run::new(&[flight(1, 0)]);
    let time = |seconds| Some(Duration::from_secs(seconds));
    run.flights.acknowledged(flight(1, 0).attempt, "w", time(1_700_000_000));
    assert_eq!(run.end(&EndNotice { start: time(60), end: time(61), ..from(1, "w") }), Some(1));
}

#[test]
fn of_two_at_one_server_the_one_is_meant_that_began_when_the_notice_says() {
    // The end of the first one was lost, and nobody knows it yet.
    let mut run = Run::new(&[flight(1, 0), flight(2, 0)]);
    let time = |ms| Some(Duration::from_millis(ms));
    run.flights.acknowledged(flight(1, 0).attempt, "w", time(100_000));
    run.flights.acknowledged(flight(2, 0).attempt, "w", time(100_400));
    assert_eq!(run.end(&EndNotice { start: time(100_401), end: time(100_500), ..from(1, "w") }), Some(2));
}

#[test]
fn what_is_only_armed_has_no_end() {
    let mut run = Run::new(&[flight(1, 0)]);
    run.flights.sent(flight(1, 0).attempt, Sent::Armed);
    assert_eq!(run.end(&notice("t1")), None);
    assert_eq!(run.end(&notice("unknown")), None);
}

#[test]
fn a_server_that_has_said_its_name_is_not_meant_by_another_one() {
    let mut run = Run::new(&[flight(1, 0)]);
    run.flights.acknowledged(flight(1, 0).attempt, "w", None);
    assert_eq!(run.end(&notice("somebody_else")), None);
    assert_eq!(run.end(&notice("w")), Some(1));
}

#[test]
fn a_name_of_one_run_is_no_unknown_name_in_another() {
    let mut ends = Ends::default();
    let of = |run: &str, tasks: &[&str], flight: Flight| {
        let servers = vec![TaskAddress::Tcp("h".to_owned(), 1)];
        let tasks: Vec<TaskId> = tasks.iter().map(|task| TaskId::new(*task)).collect();
        let mut flights = Flights::new(run.to_owned(), tasks, servers, vec![None]);
        flights.add(flight);
        flights
    };
    let (one, two) = (of("r1", &["t1"], flight(1, 0)), of("r2", &["other"], flight(2, 0)));
    assert_eq!(ends.find(&[&two], &notice("unknown"), NOW).map(|(run, _)| run), Some(0), "it is alone");
    assert!(ends.find(&[&one, &two], &notice("other"), NOW).is_none(), "a task of the second run, not in flight");
    let name = "w";
    ends.took(&notice(name), &flight(1, 0), Some(&TaskAddress::Tcp("elsewhere".to_owned(), 1)));
    assert!(ends.find(&[&two], &notice(name), NOW).is_none(), "known for a server that has nothing here");
}
