//! Runs that people know: the timelines of existing schedule files, and what each setting does.

use super::fixtures::{MS, schedule, task};
use super::*;
use crate::model::{Deadline, DeadlineFrom, Need, On, OnDeadline, Release, Repeat, Target, Task, TaskAddress, TaskId};
use std::time::Duration;

fn timed(id: &str, at: u32) -> Task {
    Task { release: Release::Timed { at: MS * at, repeat: None }, ..task(id) }
}

fn sequential(id: &str, needs: &[(&str, On)]) -> Task {
    let needs = needs.iter().map(|(id, on)| Need { task: TaskId::new(*id), on: *on, implied: false, at: task("").at });
    Task { release: Release::Sequential, needs: needs.collect(), ..task(id) }
}

/// A run that is driven by hand.
struct Hand {
    timeline: Timeline,
    ids: Vec<String>,
    now: Duration,
}

impl Hand {
    fn new(tasks: Vec<Task>) -> Self {
        let ids = tasks.iter().map(|task| task.id.to_string()).collect();
        Self { timeline: Timeline::new(&schedule(tasks), |_, _| Lane::WRAPPER), ids, now: Duration::ZERO }
    }

    /// Lets all time pass until `at` and says what happened, each with its millisecond.
    fn until(&mut self, at: u32) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(next) = self.timeline.next().filter(|next| *next <= MS * at) {
            self.now = self.now.max(next);
            said.extend(self.input(Input::Tick));
        }
        self.now = MS * at;
        said
    }

    fn input(&mut self, input: Input) -> Vec<String> {
        let mut effects = Vec::new();
        self.timeline.step(self.now, input, &mut effects);
        effects.iter().map(|effect| format!("{} {}", self.now.as_millis(), self.text(effect))).collect()
    }

    fn text(&self, effect: &Effect) -> String {
        let id = |attempt: &Attempt| {
            let number = if attempt.number > 1 { format!(" try {}", attempt.number) } else { String::new() };
            format!("{}{number}", self.ids[attempt.task.at()])
        };
        match effect {
            Effect::Arm { attempt, at } => format!("arm {} for {}", id(attempt), at.as_millis()),
            Effect::Disarm(attempt) => format!("disarm {}", id(attempt)),
            Effect::Start { attempt, .. } => format!("start {}", id(attempt)),
            Effect::Poll(attempt) => format!("poll {}", id(attempt)),
            Effect::Stop { attempt, .. } => format!("stop {}", id(attempt)),
            Effect::Kill(attempt) => format!("kill {}", id(attempt)),
            Effect::Settled { task, verdict, .. } => format!("{} {verdict:?}", self.ids[task.at()]),
            Effect::Ended(verdict) => format!("run {verdict:?}"),
        }
    }

    /// The attempt of a task that is in flight.
    fn attempt(&self, id: &str) -> Attempt {
        let task = self.ids.iter().position(|other| other == id).unwrap() as u32;
        self.timeline
            .in_flight()
            .find(|attempt| attempt.task.0 == task)
            .unwrap_or_else(|| panic!("{id} is not in flight"))
    }

    fn started(&mut self, id: &str) {
        let attempt = self.attempt(id);
        assert_eq!(self.input(Input::Started(attempt)), Vec::<String>::new());
    }

    fn ends(&mut self, id: &str, end: End) -> Vec<String> {
        let attempt = self.attempt(id);
        self.input(Input::Ended(attempt, end))
    }
}

#[test]
fn timed_tasks_start_at_their_times_and_a_sequential_one_after_what_it_needs() {
    let mut hand = Hand::new(vec![timed("a", 0), timed("b", 1000), sequential("c", &[("b", On::Success)])]);
    assert_eq!(hand.until(0), ["0 start a"]);
    assert_eq!(hand.until(900), Vec::<String>::new());
    assert_eq!(hand.ends("a", End::Success), ["900 a Succeeded"]);
    assert_eq!(hand.until(1000), ["1000 start b"]);
    hand.started("b");
    assert_eq!(hand.until(1400), Vec::<String>::new());
    assert_eq!(hand.ends("b", End::Success), ["1400 b Succeeded", "1400 start c"]);
    assert_eq!(hand.ends("c", End::Success), ["1400 c Succeeded", "1400 run Succeeded"]);
}

#[test]
fn a_failed_dependency_releases_only_who_asks_for_it() {
    let needs = [("a", On::Success)];
    let tasks = vec![
        timed("a", 0),
        sequential("b", &needs),
        sequential("undo", &[("a", On::Failure)]),
        sequential("log", &[("a", On::Always)]),
        sequential("after-b", &[("b", On::Success)]),
        sequential("alarm", &[("undo", On::Failure)]),
    ];
    let mut hand = Hand::new(tasks);
    hand.until(0);
    let mut said = hand.ends("a", End::Failure);
    said.sort();
    let expected = [
        "0 a Failed(Reported)",
        "0 after-b Skipped(NeedFailed(TaskIndex(1)))",
        "0 b Skipped(NeedFailed(TaskIndex(0)))",
        "0 start log",
        "0 start undo",
    ];
    assert_eq!(said, expected);
    hand.ends("log", End::Success);
    let said = hand.ends("undo", End::Success);
    assert_eq!(said, ["0 undo Succeeded", "0 alarm Skipped(NotNeeded(TaskIndex(2)))", "0 run Failed"]);
}

#[test]
fn a_clean_up_that_is_not_needed_is_no_failure() {
    let mut hand = Hand::new(vec![timed("a", 0), sequential("undo", &[("a", On::Failure)])]);
    hand.until(0);
    let said = hand.ends("a", End::Success);
    assert_eq!(said, ["0 a Succeeded", "0 undo Skipped(NotNeeded(TaskIndex(0)))", "0 run Succeeded"]);
}

#[test]
fn a_timed_task_waits_for_the_later_of_its_time_and_what_it_needs() {
    let late = Task { needs: sequential("", &[("a", On::Success)]).needs, ..timed("late", 10) };
    let early = Task { needs: sequential("", &[("a", On::Success)]).needs, ..timed("early", 90) };
    let mut hand = Hand::new(vec![timed("a", 0), late, early]);
    assert_eq!(hand.until(50), ["0 start a"]);
    assert_eq!(hand.ends("a", End::Success), ["50 a Succeeded", "50 start late"]);
    assert_eq!(hand.until(90), ["90 start early"]);
}

#[test]
fn one_server_runs_one_task_at_a_time_and_priority_decides_who_is_next() {
    let at = |id: &str, priority| Task { target: task("server").target, priority, ..timed(id, 0) };
    let mut hand = Hand::new(vec![at("low", 10), at("high", 90), at("high too", 90)]);
    assert_eq!(hand.until(5), ["0 start high"]);
    assert_eq!(hand.ends("high", End::Success), ["5 high Succeeded", "5 start high too"]);
    assert_eq!(hand.ends("high too", End::Success), ["5 high too Succeeded", "5 start low"]);
}

#[test]
fn two_that_are_due_at_once_start_by_priority_and_then_as_they_stand_in_the_file() {
    let mut hand = Hand::new(vec![timed("a", 3), Task { priority: 60, ..timed("b", 3) }, timed("c", 3)]);
    assert_eq!(hand.until(3), ["3 start b", "3 start a", "3 start c"]);
    let after = |id: &str, priority| Task { priority, ..sequential(id, &[("a", On::Always)]) };
    let mut hand = Hand::new(vec![timed("a", 0), after("b", 1), after("c", 9), after("d", 9)]);
    hand.until(0);
    assert_eq!(hand.ends("a", End::Success), ["0 a Succeeded", "0 start c", "0 start d", "0 start b"]);
}

#[test]
fn each_deadline_action_does_what_it_says() {
    let with = |action| {
        let deadline = Some(Deadline { after: MS * 100, from: DeadlineFrom::Release, action });
        let mut hand = Hand::new(vec![Task { deadline, ..timed("a", 50) }, timed("other", 1000)]);
        assert_eq!(hand.until(50), ["50 start a"]);
        hand.started("a");
        hand
    };
    let mut hand = with(OnDeadline::Warn);
    assert_eq!(hand.until(200), Vec::<String>::new());
    let attempt = hand.attempt("a");
    let mut effects = Vec::new();
    hand.timeline.step(hand.now, Input::Ended(attempt, End::Success), &mut effects);
    assert!(matches!(effects[..], [Effect::Settled { verdict: Verdict::Succeeded, missed_deadline: true, .. }]));

    let mut hand = with(OnDeadline::Cancel);
    assert_eq!(hand.until(200), ["150 stop a"]);
    assert_eq!(hand.ends("a", End::Cancelled), ["200 a TimedOut(Deadline)"]);

    // Nobody answers: the grace, then force, then it is given up.
    let mut hand = with(OnDeadline::Cancel);
    assert_eq!(hand.until(900), ["150 stop a"]);
    let said = hand.until(20_000);
    assert!(
        said.contains(&"5650 kill a".to_owned()) && said.contains(&"10650 a TimedOut(Deadline)".to_owned()),
        "{said:?}"
    );

    let mut hand = with(OnDeadline::Kill);
    assert_eq!(hand.until(200), ["150 kill a"]);

    let mut hand = with(OnDeadline::Abort);
    assert_eq!(hand.until(200), ["150 stop a", "150 other Skipped(Aborted)"]);
    assert_eq!(hand.ends("a", End::Cancelled), ["200 a TimedOut(Deadline)", "200 run Aborted"]);
}

#[test]
fn a_task_whose_deadline_passes_before_it_could_start_is_not_started() {
    let deadline = Some(Deadline { after: MS * 10, from: DeadlineFrom::Release, action: OnDeadline::Cancel });
    let server = task("server").target;
    let first = Task { target: server.clone(), priority: 90, ..timed("first", 0) };
    let mut hand = Hand::new(vec![first, Task { target: server, deadline, ..timed("second", 0) }]);
    assert_eq!(hand.until(20), ["0 start first", "10 second TimedOut(Deadline)"]);
    assert_eq!(hand.ends("first", End::Success), ["20 first Succeeded", "20 run Failed"]);
}

#[test]
fn retries_pause_longer_each_time_and_end() {
    let mut hand = Hand::new(vec![Task { max_retries: 2, retry_delay: MS * 10, ..timed("a", 0) }]);
    hand.until(0);
    assert_eq!(hand.ends("a", End::Failure), Vec::<String>::new());
    assert_eq!(hand.until(10), ["10 start a try 2"]);
    let refused = Input::Refused(hand.attempt("a"));
    assert_eq!(hand.input(refused), Vec::<String>::new());
    assert_eq!(hand.until(30), ["30 start a try 3"]);
    assert_eq!(hand.ends("a", End::Failure), ["30 a Failed(Reported)", "30 run Failed"]);
}

#[test]
fn a_critical_failure_ends_the_run() {
    let tasks = vec![timed("other", 0), Task { critical: true, ..timed("a", 0) }, timed("later", 100)];
    let mut hand = Hand::new(tasks);
    hand.until(0);
    let said = hand.ends("a", End::Failure);
    assert_eq!(said, ["0 a Failed(Reported)", "0 stop other", "0 later Skipped(Aborted)"]);
    assert_eq!(hand.ends("other", End::Cancelled), ["0 other Cancelled", "0 run Aborted"]);
}

#[test]
fn a_critical_task_that_is_left_out_for_a_failure_or_cancelled_ends_the_run() {
    let critical = Task { critical: true, ..sequential("b", &[("a", On::Success)]) };
    let mut hand = Hand::new(vec![timed("a", 0), critical.clone(), timed("later", 100)]);
    hand.until(0);
    let said = hand.ends("a", End::Failure);
    let expected =
        ["0 a Failed(Reported)", "0 b Skipped(NeedFailed(TaskIndex(0)))", "0 later Skipped(Aborted)", "0 run Aborted"];
    assert_eq!(said, expected);

    let mut hand = Hand::new(vec![Task { critical: true, ..timed("a", 0) }, timed("later", 100)]);
    hand.until(0);
    assert_eq!(hand.ends("a", End::Cancelled), ["0 a Cancelled", "0 later Skipped(Aborted)", "0 run Aborted"]);

    let undo = Task { critical: true, ..sequential("undo", &[("a", On::Failure)]) };
    let mut hand = Hand::new(vec![timed("a", 0), undo]);
    hand.until(0);
    let said = hand.ends("a", End::Success);
    assert_eq!(said.last().unwrap(), "0 run Succeeded", "one that is not needed is no failure");
}

#[test]
fn a_periodic_task_skips_an_occurrence_that_is_due_while_it_runs() {
    let release = Release::Timed { at: MS * 10, repeat: Some(Repeat { period: MS * 10, count: 4 }) };
    let mut hand = Hand::new(vec![Task { release, ..task("a") }]);
    assert_eq!(hand.until(35), ["10 start a", "20 a Skipped(Overrun)", "30 a Skipped(Overrun)"]);
    assert_eq!(hand.ends("a", End::Success), ["35 a Succeeded"]);
    assert_eq!(hand.until(45), ["40 start a"]);
    assert_eq!(hand.ends("a", End::Success), ["45 a Succeeded", "45 run Failed"]);
}

#[test]
fn a_lost_end_notice_ends_the_task_as_failed() {
    let mut hand = Hand::new(vec![Task { lease: MS * 100, ..timed("a", 0) }]);
    hand.until(0);
    hand.started("a");
    assert_eq!(hand.until(100), ["100 poll a"]);
    let seen = Input::Seen(hand.attempt("a"), Seen::NotRunning);
    assert_eq!(hand.input(seen), Vec::<String>::new());
    assert_eq!(hand.until(125), ["125 a Failed(NoticeLost)", "125 run Failed"]);
}

#[test]
fn a_dead_task_server_ends_the_task_as_failed() {
    let mut hand = Hand::new(vec![Task { lease: MS * 100, ..timed("a", 0) }]);
    hand.until(0);
    hand.started("a");
    let said = hand.until(400);
    assert_eq!(said, ["100 poll a", "125 poll a", "150 poll a", "175 kill a", "175 a Failed(Lost)", "175 run Failed"]);
}

#[test]
fn a_start_that_nobody_acknowledges_is_taken_back_before_the_next_attempt() {
    let mut hand = Hand::new(vec![Task { max_retries: 1, ..timed("a", 0) }]);
    assert_eq!(hand.until(5000), ["0 start a", "5000 stop a"]);
    let stopped = Input::Stopped(hand.attempt("a"));
    assert_eq!(hand.input(stopped), Vec::<String>::new());
    assert_eq!(hand.until(6000), ["6000 start a try 2"]);
}

#[test]
fn what_is_sent_ahead_starts_by_itself_and_one_that_is_not_taken_starts_at_its_instant() {
    let tasks = schedule(vec![timed("a", 100)]);
    let lane = |_, _: &Task| Lane { lead: Some(MS * 30), ..Lane::WRAPPER };
    let mut hand = Hand { timeline: Timeline::new(&tasks, lane), ids: vec!["a".to_owned()], now: Duration::ZERO };
    assert_eq!(hand.until(80), ["70 arm a for 100"]);
    assert_eq!(hand.until(110), Vec::<String>::new());
    hand.started("a");
    assert_eq!(hand.ends("a", End::Success), ["110 a Succeeded", "110 run Succeeded"]);

    let mut hand = Hand { timeline: Timeline::new(&tasks, lane), ids: vec!["a".to_owned()], now: Duration::ZERO };
    hand.until(80);
    let refused = Input::Refused(hand.attempt("a"));
    hand.input(refused);
    assert_eq!(hand.until(110), ["100 start a"]);
}

#[test]
fn a_cancelled_run_stops_what_runs_and_starts_nothing_more() {
    let mut hand = Hand::new(vec![timed("a", 0), timed("b", 100), sequential("c", &[("a", On::Always)])]);
    hand.until(0);
    let said = hand.input(Input::Cancel);
    assert_eq!(said, ["0 stop a", "0 b Skipped(Aborted)", "0 c Skipped(Aborted)"]);
    assert_eq!(hand.ends("a", End::Cancelled), ["0 a Cancelled", "0 run Cancelled"]);
}

#[test]
fn what_is_said_of_an_earlier_attempt_means_nothing() {
    let mut hand = Hand::new(vec![Task { max_retries: 1, retry_delay: MS, ..timed("a", 0) }]);
    hand.until(0);
    let first = hand.attempt("a");
    hand.ends("a", End::Failure);
    hand.until(1);
    assert_eq!(hand.input(Input::Ended(first, End::Success)), Vec::<String>::new());
    assert_eq!(hand.input(Input::Started(Attempt { task: TaskIndex(7), ..first })), Vec::<String>::new());
    assert_eq!(hand.ends("a", End::Success), ["1 a Succeeded", "1 run Succeeded"]);
}

/// Everything at one runner of ours that takes one task at a time.
fn at_one_runner(tasks: Vec<Task>) -> Hand {
    let ids = tasks.iter().map(|task| task.id.to_string()).collect();
    let target = Target::Address(TaskAddress::Unix("/one".to_owned()));
    let tasks = tasks.into_iter().map(|task| Task { target: target.clone(), ..task }).collect();
    let lane = |_, _: &Task| Lane { lead: Some(MS * 30), ..Lane::WRAPPER };
    Hand { timeline: Timeline::new(&schedule(tasks), lane), ids, now: Duration::ZERO }
}

#[test]
fn what_is_sent_ahead_is_in_nobodys_way_before_its_instant() {
    let mut hand = at_one_runner(vec![timed("a", 10), timed("b", 20), timed("c", 30)]);
    assert_eq!(hand.until(0), ["0 arm a for 10", "0 arm b for 20", "0 arm c for 30"]);
    hand.until(10);
    hand.started("a");
    assert_eq!(hand.ends("a", End::Success), ["10 a Succeeded"]);
    hand.until(25);
    hand.started("b");
    assert_eq!(hand.ends("b", End::Success), ["25 b Succeeded"]);
}

#[test]
fn what_is_ready_goes_before_what_is_due_later() {
    let mut hand = at_one_runner(vec![timed("a", 25), sequential("b", &[])]);
    assert_eq!(hand.until(1), ["0 start b", "0 arm a for 25"]);
}

#[test]
fn what_was_sent_ahead_to_a_server_that_is_busy_at_its_instant_is_taken_back_and_waits_like_others() {
    let urgent = Task { priority: 90, ..timed("c", 30) };
    let mut hand = at_one_runner(vec![timed("a", 5), timed("b", 20), urgent]);
    hand.until(5);
    hand.started("a");
    assert_eq!(hand.until(20), ["20 disarm b"]);
    let back = Input::Disarmed(hand.attempt("b"));
    assert_eq!(hand.input(back), Vec::<String>::new());
    assert_eq!(hand.until(30), ["30 disarm c"]);
    let back = Input::Disarmed(hand.attempt("c"));
    hand.input(back);
    assert_eq!(hand.ends("a", End::Success), ["30 a Succeeded", "30 start c"]);
    assert_eq!(hand.ends("c", End::Success), ["30 c Succeeded", "30 start b"]);
}

#[test]
fn what_began_before_it_could_be_taken_back_goes_on() {
    let mut hand = at_one_runner(vec![timed("a", 5), timed("b", 20), sequential("c", &[("a", On::Always)])]);
    hand.until(5);
    hand.started("a");
    hand.until(20);
    // The end of the first one is under way.
    hand.started("b");
    assert_eq!(hand.ends("a", End::Success), ["20 a Succeeded"]);
    assert_eq!(hand.ends("b", End::Success), ["20 b Succeeded", "20 start c"]);
    assert_eq!(hand.ends("c", End::Success), ["20 c Succeeded", "20 run Succeeded"]);
}
