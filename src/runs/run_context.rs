//! What the calls and the notices of a run share: the schedule, what is in flight, and what was reported.

use super::calls_in_flight::{CallInFlight, CallsInFlight, StartProgress};
use super::details::Details;
use super::start_time::StartTime;
use super::task_server::TaskServer;
use super::timekeeper::Inbox;
use crate::model::{Schedule, Task};
use crate::process::error::chain;
use crate::schedule::{Attempt, End, Input, TaskIndex};
use crate::wire::{CallError, EndNotice, Ended, Happened, TaskEvent, TaskResult};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the calls and the notices of a run share.
pub(super) struct RunContext {
    pub(super) schedule: Arc<Schedule>,
    pub(super) inbox: Inbox,
    pub(super) start_time: StartTime,
    /// Bytes of output that a task may give.
    pub(super) output_limit: usize,
    pub(super) calls: Mutex<CallsInFlight>,
    pub(super) details: Arc<Mutex<Details>>,
}

impl RunContext {
    pub(super) fn calls(&self) -> MutexGuard<'_, CallsInFlight> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn task(&self, attempt: Attempt) -> Option<&Task> {
        self.schedule.tasks.get(attempt.task.at())
    }

    /// Handles the end notice of an attempt.
    pub(super) fn notice(&self, call: &CallInFlight, notice: &EndNotice) {
        let attempt = call.attempt;
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

    /// Reports that an attempt has ended.
    pub(super) fn over(&self, attempt: Attempt, input: Input) {
        self.calls().remove(attempt);
        self.inbox.send(input);
    }

    /// Handles an event of our own runner.
    pub(super) fn event(&self, server: &TaskServer, event: &TaskEvent) {
        let key = &event.key;
        let Some(task) = self.schedule.tasks.iter().position(|task| task.id == key.task_id) else { return };
        if key.run_id != self.calls().run() {
            return;
        }
        let attempt = Attempt { task: TaskIndex(task as u32), occurrence: key.occurrence, number: key.attempt };
        let time_of = |stamp| server.time_of(&self.start_time, &event.instance, stamp);
        match &event.what {
            Happened::Started { start } => {
                self.details().of(attempt).true_start = Some(time_of(*start));
                self.calls().set_progress(attempt, StartProgress::Acknowledged);
                self.inbox.send(Input::Started(attempt));
            }
            Happened::Ended(ended) => self.ended(attempt, ended, (time_of(ended.start), time_of(ended.end))),
            Happened::Missed { late } => {
                self.details().message(attempt, &format!("it was {} ms late and was not started", late.as_millis()));
                self.over(attempt, Input::Disarmed(attempt));
            }
        }
    }

    fn ended(&self, attempt: Attempt, ended: &Ended, (true_start, true_end): (Duration, Duration)) {
        let mut end = end(ended.result);
        // Read before the details are locked: the thread that starts tasks needs them.
        let output = (!ended.output_json.is_empty()).then(|| serde_json::from_str(&ended.output_json)).transpose();
        let in_flight = self.calls().of(attempt).is_some();
        let mut details = self.details();
        details.message(attempt, &ended.error_message);
        let output = output.unwrap_or_else(|error| {
            details.message(attempt, &format!("its output is not JSON: {error}"));
            end = End::Failure;
            None
        });
        // An attempt that was given up passes nothing to its dependants.
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
        self.calls().set_progress(attempt, StartProgress::Refused);
        if self.schedule.strict {
            self.details().message(attempt, &why);
            self.over(attempt, Input::Ended(attempt, End::Failure));
        } else {
            self.details().of(attempt).remarks.push(why);
            self.over(attempt, Input::Refused(attempt));
        }
    }

    /// Handles a failed start.
    pub(super) fn start_failed(&self, attempt: Attempt, error: &CallError) {
        self.details().message(attempt, &chain(error));
        match error {
            CallError::UnknownOutcome { .. } => self.inbox.send(Input::Unclear(attempt)),
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
