//! A run in simulated time: what a schedule will do when every task behaves as told.

use super::record::Record;
use super::timeline::{Attempt, Effect, End, Input, Lane, Seen, TaskIndex, Timeline};
use crate::model::{Schedule, Task};
use std::collections::BTreeMap;
use std::time::Duration;

/// How an attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// How long it runs.
    pub takes: Duration,
    /// How it ends.
    pub end: End,
}

impl Course {
    /// It takes as long as its file says, nothing when it says nothing, and succeeds.
    pub fn planned(task: &Task) -> Self {
        Self { takes: task.estimate.unwrap_or_default(), end: End::Success }
    }
}

/// Runs a schedule without waiting. Messages take no time. At most `limit` steps are made: the record of a run that needs
/// more has no end.
pub fn simulate(
    schedule: &Schedule,
    lane: impl Fn(TaskIndex, &Task) -> Lane,
    mut course: impl FnMut(&Task, Attempt) -> Course,
    limit: usize,
) -> Record {
    let mut timeline = Timeline::new(schedule, lane);
    let mut record = Record::default();
    let mut mail = Mail::default();
    let mut effects = Vec::new();
    for _ in 0..limit {
        let (now, input) = match (mail.next(), timeline.next()) {
            (Some(at), next) if next.is_none_or(|next| at <= next) => match mail.take() {
                Some(arrived) => arrived,
                None => break,
            },
            (_, Some(next)) => (next, Input::Tick),
            (_, None) => break,
        };
        record.input(now, &input);
        timeline.step(now, input, &mut effects);
        for effect in effects.drain(..) {
            record.effect(schedule, now, &effect);
            let (attempt, at) = match effect {
                Effect::Start { attempt, .. } => (attempt, now),
                Effect::Arm { attempt, at } => (attempt, at),
                Effect::Stop { attempt, .. } | Effect::Kill(attempt) => {
                    mail.send(now, Input::Ended(attempt, End::Cancelled));
                    continue;
                }
                Effect::Disarm(attempt) => {
                    mail.send(now, Input::Disarmed(attempt));
                    continue;
                }
                Effect::Poll(attempt) => {
                    mail.send(now, Input::Seen(attempt, Seen::Running));
                    continue;
                }
                Effect::Settled { .. } | Effect::Ended(_) => continue,
            };
            if let Some(task) = schedule.tasks.get(attempt.task.at()) {
                let course = course(task, attempt);
                mail.send(at, Input::Started(attempt));
                mail.send(at.saturating_add(course.takes), Input::Ended(attempt, course.end));
            }
        }
        if timeline.is_over() {
            break;
        }
    }
    record
}

/// Messages under way, by arrival and then as they were sent.
#[derive(Default)]
struct Mail {
    messages: BTreeMap<(Duration, u64), Input>,
    sent: u64,
}

impl Mail {
    fn send(&mut self, at: Duration, input: Input) {
        self.sent += 1;
        self.messages.insert((at, self.sent), input);
    }

    fn next(&self) -> Option<Duration> {
        self.messages.first_key_value().map(|((at, _), _)| *at)
    }

    fn take(&mut self) -> Option<(Duration, Input)> {
        self.messages.pop_first().map(|((at, _), input)| (at, input))
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::fixtures::{MS, schedule, task};
    use super::*;
    use crate::model::{Deadline, DeadlineFrom, OnDeadline, Release, Repeat};
    use crate::schedule::{RunVerdict, Verdict};

    #[test]
    fn a_task_that_runs_for_long_is_asked_and_goes_on() {
        let long = Task { estimate: Some(Duration::from_secs(600)), ..task("a") };
        let schedule = schedule(vec![long]);
        let record = simulate(&schedule, |_, _| Lane::WRAPPER, |task, _| Course::planned(task), 1000);
        assert_eq!(record.ended, Some((Duration::from_secs(600), RunVerdict::Succeeded)));
        let one = &record.row(TaskIndex(0), 0).unwrap().tries[0];
        assert_eq!((one.lateness(), one.took()), (Duration::ZERO, Some(Duration::from_secs(600))));
    }

    #[test]
    fn an_end_at_the_deadline_is_in_time_and_one_after_it_is_not() {
        let with = |estimate| {
            let deadline = Some(Deadline { after: MS * 10, from: DeadlineFrom::Release, action: OnDeadline::Cancel });
            let schedule = schedule(vec![Task { deadline, estimate: Some(estimate), ..task("a") }]);
            let record = simulate(&schedule, |_, _| Lane::WRAPPER, |task, _| Course::planned(task), 100);
            record.row(TaskIndex(0), 0).unwrap().verdict.unwrap()
        };
        assert_eq!(with(MS * 10), Verdict::Succeeded);
        assert!(matches!(with(MS * 10 + Duration::from_nanos(1)), Verdict::TimedOut(_)));
    }

    #[test]
    fn a_simulation_of_a_long_schedule_stops_at_its_limit() {
        let release = Release::Timed { at: Duration::ZERO, repeat: Some(Repeat { period: MS, count: 1_000_000 }) };
        let schedule = schedule(vec![Task { release, ..task("a") }]);
        let record = simulate(&schedule, |_, _| Lane::WRAPPER, |task, _| Course::planned(task), 100);
        assert_eq!(record.ended, None);
        assert!(record.rows().count() <= 100);
    }
}
