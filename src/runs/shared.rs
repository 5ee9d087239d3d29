//! What the calls and the notices of a run share: its task servers, what is in flight, and what was told.

use super::begin::Begin;
use super::details::Details;
use super::flights::{Flight, Flights, Sent};
use super::link::Link;
use super::timekeeper::Inbox;
use crate::model::{Schedule, Task};
use crate::process::supervise::chain;
use crate::schedule::{Attempt, End, Input, TaskIndex};
use crate::wire::{CallError, EndNotice, Ended, Happened, TaskEvent, TaskResult};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the calls and the notices of a run share.
pub(super) struct Shared {
    pub(super) schedule: Arc<Schedule>,
    pub(super) inbox: Inbox,
    pub(super) begin: Begin,
    /// Bytes of output that a task may give.
    pub(super) output_limit: usize,
    pub(super) flights: Mutex<Flights>,
    pub(super) details: Arc<Mutex<Details>>,
}

impl Shared {
    pub(super) fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn task(&self, attempt: Attempt) -> Option<&Task> {
        self.schedule.tasks.get(attempt.task.at())
    }

    /// Takes the end notice of an attempt.
    pub(super) fn notice(&self, flight: &Flight, notice: &EndNotice) {
        let attempt = flight.attempt;
        let mut end = end(notice.result);
        let output = self.task(attempt).map(|task| notice.output(task.protocol, self.output_limit));
        let mut details = self.details();
        details.message(attempt, &notice.error_message);
        let output = match output {
            Some(Ok(output)) => output,
            Some(Err(fault)) => {
                details.message(attempt, &format!("its output cannot be used: {}", chain(&fault)));
                end = End::Failure;
                None
            }
            None => None,
        };
        details.output(attempt, output.map(|output| (output, notice.raw_output.bytes())), end == End::Success);
        drop(details);
        self.over(attempt, Input::Ended(attempt, end));
    }

    /// Tells that an attempt is over.
    pub(super) fn over(&self, attempt: Attempt, input: Input) {
        self.flights().remove(attempt);
        self.inbox.tell(input);
    }

    /// Takes an event of our own runner.
    pub(super) fn event(&self, link: &Link, event: &TaskEvent) {
        let key = &event.key;
        let Some(task) = self.schedule.tasks.iter().position(|task| task.id == key.task_id) else { return };
        if key.run_id != self.flights().run() {
            return;
        }
        let attempt = Attempt { task: TaskIndex(task as u32), occurrence: key.occurrence, number: key.attempt };
        let time_of = |stamp| link.time_of(&self.begin, &event.instance, stamp);
        match &event.what {
            Happened::Started { start } => {
                self.details().of(attempt).true_start = Some(time_of(*start));
                self.flights().sent(attempt, Sent::Begun);
                self.inbox.tell(Input::Started(attempt));
            }
            Happened::Ended(ended) => self.ended(attempt, ended, (time_of(ended.start), time_of(ended.end))),
            Happened::Missed { late } => {
                self.details().message(attempt, &format!("it was {} ms late and was not begun", late.as_millis()));
                self.over(attempt, Input::Disarmed(attempt));
            }
        }
    }

    fn ended(&self, attempt: Attempt, ended: &Ended, (true_start, true_end): (Duration, Duration)) {
        let mut end = end(ended.result);
        // Read before the details are locked: who starts tasks needs them.
        let output = (!ended.output_json.is_empty()).then(|| serde_json::from_str(&ended.output_json)).transpose();
        let in_flight = self.flights().of(attempt).is_some();
        let mut details = self.details();
        details.message(attempt, &ended.error_message);
        let output = output.unwrap_or_else(|error| {
            details.message(attempt, &format!("its output is not JSON: {error}"));
            end = End::Failure;
            None
        });
        // What was given up gives its dependants nothing any more.
        let succeeded = end == End::Success && in_flight;
        details.output(attempt, output.map(|output| (output, ended.output_json.len())), succeeded);
        details.streams(attempt, &ended.stdout, &ended.stderr);
        let detail = details.of(attempt);
        detail.remarks.extend_from_slice(&ended.remarks);
        detail.true_start = Some(true_start);
        detail.true_end = Some(true_end);
        detail.cpu = Some(ended.cpu_user + ended.cpu_system);
        detail.memory_peak = Some(ended.memory_peak);
        drop(details);
        self.over(attempt, Input::Ended(attempt, end));
    }

    /// An attempt is not sent ahead. It starts at its instant like any other, unless the schedule is strict.
    pub(super) fn not_sent_ahead(&self, attempt: Attempt, why: String) {
        self.flights().sent(attempt, Sent::Refused);
        if self.schedule.strict {
            self.details().message(attempt, &why);
            self.over(attempt, Input::Ended(attempt, End::Failure));
        } else {
            self.details().of(attempt).remarks.push(why);
            self.over(attempt, Input::Refused(attempt));
        }
    }

    /// A call failed: what that means for the start, and why.
    pub(super) fn start_failed(&self, attempt: Attempt, error: &CallError) {
        self.details().message(attempt, &chain(error));
        match error {
            CallError::UnknownOutcome { .. } => self.inbox.tell(Input::Unclear(attempt)),
            _ => self.over(attempt, Input::Refused(attempt)),
        }
    }
}

fn end(result: TaskResult) -> End {
    match result {
        // Existing task servers turn «unknown» into success themselves.
        TaskResult::Success | TaskResult::Unknown => End::Success,
        TaskResult::Failure => End::Failure,
        TaskResult::Timeout => End::Timeout,
        TaskResult::Cancelled => End::Cancelled,
    }
}
