//! What the calls and the notices of a run share: its task servers, what is in flight, and what was told.

use super::details::Details;
use super::flights::{Flight, Flights};
use super::timekeeper::Inbox;
use crate::model::{Schedule, Task, Timestamp};
use crate::process::supervise::chain;
use crate::rt::{Anchor, Monotonic};
use crate::schedule::{Attempt, End, Input, TaskIndex};
use crate::wire::{CallError, Capabilities, EndNotice, Ended, Happened, Stamp, TaskChannel, TaskEvent, TaskResult};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A task server of a run.
pub(super) struct Link {
    pub(super) channel: TaskChannel,
    pub(super) kind: Kind,
}

/// What is known of a task server.
pub(super) enum Kind {
    /// Our own runner.
    Ours(Capabilities),
    /// An existing one.
    Existing,
    /// It could not be reached yet; its events are listened to in case it is ours.
    Unknown,
}

/// When a run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) start: Monotonic,
    pub(super) anchor: Anchor,
    pub(super) boot_id: &'static str,
}

impl Begin {
    /// A time of the run on both clocks.
    pub(super) fn stamp(&self, at: Duration) -> Stamp {
        let monotonic = self.start + at;
        let realtime = self.anchor.wall(monotonic).duration_since(Timestamp::UNIX_EPOCH);
        Stamp { monotonic: Duration::from_nanos(monotonic.as_nanos()), realtime: realtime.unsigned_abs() }
    }

    /// The time of the run at a stamp of a host with these clocks.
    fn since(&self, stamp: Stamp, same_host: bool) -> Duration {
        if same_host {
            return stamp.monotonic.saturating_sub(Duration::from_nanos(self.start.as_nanos()));
        }
        stamp.realtime.saturating_sub(self.stamp(Duration::ZERO).realtime)
    }
}

/// What the calls and the notices of a run share.
pub(super) struct Shared {
    pub(super) schedule: Arc<Schedule>,
    pub(super) inbox: Inbox,
    pub(super) begin: Begin,
    /// Bytes of output that a task may give.
    pub(super) output_limit: usize,
    pub(super) flights: Mutex<Flights>,
    pub(super) details: Mutex<Details>,
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

    /// The attempts of this run that a notice names.
    pub(super) fn named(&self, notice: &EndNotice) -> Vec<(Flight, bool)> {
        self.flights().named(notice)
    }

    /// The attempt of this run that a notice under an unknown name must mean.
    pub(super) fn guess(&self, notice: &EndNotice) -> Vec<(Flight, bool)> {
        self.flights().guess(notice)
    }

    /// Takes the end notice of an attempt.
    pub(super) fn notice(&self, flight: &Flight, notice: &EndNotice) {
        let attempt = flight.attempt;
        if notice.run_id.is_empty() {
            self.flights().learn(&notice.task_id, flight);
        }
        let mut end = end(notice.result);
        let output = self.task(attempt).map(|task| notice.output(task.protocol, self.output_limit));
        let mut details = self.details();
        details.message(attempt, &notice.error_message);
        match output {
            Some(Ok(Some(output))) => {
                let bytes = output.to_string().len();
                details.output(attempt, output, bytes);
            }
            Some(Err(fault)) => {
                details.message(attempt, &format!("its output cannot be used: {}", chain(&fault)));
                end = End::Failure;
            }
            Some(Ok(None)) | None => {}
        }
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
        let same_host = matches!(&link.kind, Kind::Ours(runner) if runner.boot_id == self.begin.boot_id);
        let key = &event.key;
        let Some(task) = self.schedule.tasks.iter().position(|task| task.id == key.task_id) else { return };
        if key.run_id != self.flights().run() {
            return;
        }
        let attempt = Attempt { task: TaskIndex(task as u32), occurrence: key.occurrence, number: key.attempt };
        match &event.what {
            Happened::Started { start } => {
                self.details().of(attempt).true_start = Some(self.begin.since(*start, same_host));
                self.inbox.tell(Input::Started(attempt));
            }
            Happened::Ended(ended) => self.ended(attempt, ended, same_host),
            Happened::Missed { late } => {
                self.details().message(attempt, &format!("it was {} ms late and was not begun", late.as_millis()));
                self.over(attempt, Input::Disarmed(attempt));
            }
        }
    }

    fn ended(&self, attempt: Attempt, ended: &Ended, same_host: bool) {
        let mut end = end(ended.result);
        let mut details = self.details();
        details.message(attempt, &ended.error_message);
        if !ended.output_json.is_empty() {
            match serde_json::from_str(&ended.output_json) {
                Ok(output) => details.output(attempt, output, ended.output_json.len()),
                Err(error) => {
                    details.message(attempt, &format!("its output is not JSON: {error}"));
                    end = End::Failure;
                }
            }
        }
        details.streams(attempt, &ended.stdout, &ended.stderr);
        let detail = details.of(attempt);
        detail.remarks.clone_from(&ended.remarks);
        detail.true_start = Some(self.begin.since(ended.start, same_host));
        detail.true_end = Some(self.begin.since(ended.end, same_host));
        detail.cpu = Some(ended.cpu_user + ended.cpu_system);
        detail.memory_peak = Some(ended.memory_peak);
        drop(details);
        self.over(attempt, Input::Ended(attempt, end));
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
