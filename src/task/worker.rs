//! The thread that runs tasks, one at a time.
//!
//! Its stack is touched before a task comes. Its policy and CPU are set from outside, when the task is assigned
//! ([`super::pool`]), which for an armed start is before the instant: a worker that gets no CPU could not set them itself.
//! After the instant it makes no system call before the function begins.

use super::cancel::Why;
use super::child;
use super::clock::stamp;
use super::context::TaskContext;
use super::error::TaskError;
use super::exit::Streams;
use super::handle::{Slots, TaskHandle};
use super::registry::TaskHandler;
use super::usage::{self, Usage};
use crate::model::RealTime;
use crate::rt::{Alarm, Monotonic, Thread, Wake};
use crate::wire::{AttemptKey, Stamp, TaskResult};
use rustix::thread::set_current_timer_slack;
use serde_json::{Map, Value};
use std::any::Any;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// A task that is assigned to a worker.
#[derive(Debug)]
pub(super) struct Assignment {
    /// Chosen by the task table.
    pub(super) id: u64,
    pub(super) key: AttemptKey,
    pub(super) handler: TaskHandler,
    pub(super) parameters: Map<String, Value>,
    pub(super) scheduled: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) real_time: RealTime,
    /// It does not start without them.
    pub(super) strict: bool,
    /// What of them is not in force, and why.
    pub(super) not_applied: Vec<String>,
    /// `None`: it starts immediately.
    pub(super) release: Option<Release>,
    pub(super) handle: Arc<TaskHandle>,
}

/// When an armed task starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    /// Never before this.
    pub(super) at: Monotonic,
    /// Nor after this.
    pub(super) until: Monotonic,
}

/// What all workers share.
#[derive(Clone, Debug)]
pub(super) struct WorkerContext {
    pub(super) slots: Arc<Slots>,
    pub(super) reports: mpsc::Sender<Report>,
    /// Notified when a task that was not armed is about to start: its caller waits for that.
    pub(super) starts: Arc<Notify>,
    pub(super) max_output: usize,
}

/// What a worker reports to the task table.
#[derive(Debug)]
pub(super) enum Report {
    /// Its thread runs.
    WorkerStarted { worker: usize, thread: Thread },
    /// What became of the task with this id.
    Task { id: u64, update: Update },
}

/// What became of a task. After all but `Ready` the worker is free.
#[derive(Debug)]
pub(super) enum Update {
    /// Armed, with everything in force.
    Ready,
    /// Withdrawn before it started.
    Withdrawn,
    /// Not started: it would have been later than it may.
    Missed(Duration),
    /// It ran.
    Ended(Box<Execution>),
}

/// One execution of a task, from its start to its end.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) result: TaskResult,
    /// Empty when nothing went wrong.
    pub(super) error: String,
    pub(super) output: Option<Value>,
    pub(super) start: Stamp,
    pub(super) end: Stamp,
    pub(super) usage: Usage,
    /// After the instant, for an armed one.
    pub(super) late: Option<Duration>,
    /// What was asked for and could not be had, though it ran.
    pub(super) remarks: Vec<String>,
    /// What a program wrote, as far as it is kept.
    pub(super) streams: Streams,
}

/// A thread that runs tasks.
#[derive(Debug)]
pub(super) struct Worker {
    /// Its number in the pool.
    pub(super) number: usize,
    pub(super) alarm: Alarm,
    pub(super) assignments: Receiver<Box<Assignment>>,
    pub(super) context: WorkerContext,
}

impl Worker {
    /// Reports that it runs, and runs what is assigned to it, until nothing can be assigned any more.
    pub(super) fn work(mut self) {
        // Before its policy; see `rt::apply`. It cannot fail.
        let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
        self.report(Report::WorkerStarted { worker: self.number, thread: Thread::current() });
        loop {
            match self.assignments.try_recv() {
                Ok(assignment) => {
                    let id = assignment.id;
                    let update = self.run(*assignment);
                    self.report(Report::Task { id, update });
                }
                Err(TryRecvError::Empty) => self.alarm.wait(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    fn report(&self, report: Report) {
        // The queue has room for all that workers can report; it is closed when the task table is gone.
        let _ = self.context.reports.try_send(report);
    }

    fn run(&mut self, assignment: Assignment) -> Update {
        let Assignment { id, key, handler, parameters, scheduled, deadline, .. } = assignment;
        let Assignment { real_time, strict, not_applied, release, handle, .. } = assignment;
        let mut remarks = not_applied;
        handle.runs_on(rustix::thread::gettid().as_raw_pid());
        let before = usage::of_this_thread();
        handle.used_before(before.user + before.system);
        if let Some(release) = release {
            self.report(Report::Task { id, update: Update::Ready });
            match self.hold(release, &handle) {
                Ok(()) => {}
                Err(Some(late)) => return Update::Missed(late),
                Err(None) => return Update::Withdrawn,
            }
        } else if handle.claim() {
            self.context.starts.notify_one();
        } else {
            return Update::Withdrawn;
        }
        let cancel = &handle.cancel;
        let mut task = TaskContext { key: &key, parameters, scheduled, deadline, cancel, alarm: &mut self.alarm };
        let limit = self.context.max_output;
        let start = stamp();
        handle.set_start(start);
        let result = catch_unwind(AssertUnwindSafe(|| match &handler {
            TaskHandler::Function(function) => {
                (function(&mut task).and_then(|output| bounded(output, limit)), None, Streams::default())
            }
            TaskHandler::Command(line) => {
                let requested = child::RequestedPolicy { policy: real_time.policy, strict };
                let done = child::run(line, &task, requested, limit, |group| handle.runs_as(group));
                remarks.extend(done.remarks);
                (done.result, Some(done.usage), done.streams)
            }
        }));
        let end = stamp();
        let (ended, usage, streams) = result.unwrap_or_else(|panic| {
            (Err(TaskError::Failed(format!("it panicked: {}", text(&*panic)))), None, Streams::default())
        });
        let usage = usage.unwrap_or_else(|| usage::of_this_thread().since(before));
        let (result, error, output) = result_of(ended, cancel.why());
        let late = release.map(|release| super::clock::instant(start.monotonic).since(release.at));
        Update::Ended(Box::new(Execution { result, error, output, start, end, usage, late, remarks, streams }))
    }

    /// Waits for the instant, and then for a slot. `Err` with how late it would be, or with nothing when it was
    /// withdrawn.
    fn hold(&mut self, release: Release, handle: &TaskHandle) -> Result<(), Option<Duration>> {
        while self.alarm.wait_until(release.at) == Wake::Called {
            if handle.is_withdrawn() {
                return Err(None);
            }
        }
        let slots = &self.context.slots;
        while !slots.acquire() {
            // The task table wakes this worker whenever a slot becomes free.
            if self.alarm.wait_until(release.until) == Wake::Due {
                return Err(handle.withdraw().then(|| Monotonic::now().since(release.at)));
            }
            if handle.is_withdrawn() {
                return Err(None);
            }
        }
        let now = Monotonic::now();
        let missed = now > release.until;
        let taken = if missed { handle.withdraw() } else { handle.claim() };
        if missed || !taken {
            slots.release();
            return Err(taken.then(|| now.since(release.at)));
        }
        Ok(())
    }
}

/// The output of a function, if it fits.
fn bounded(output: Value, limit: usize) -> Result<Option<Value>, TaskError> {
    if output.is_null() {
        return Ok(None);
    }
    match output.to_string().len() {
        bytes if bytes > limit => {
            Err(TaskError::Failed(format!("its output of {bytes} bytes is more than the limit of {limit}")))
        }
        _ => Ok(Some(output)),
    }
}

/// How a task ended. A task that was asked to stop counts as stopped, however it exited; its output is kept.
fn result_of(ended: Result<Option<Value>, TaskError>, why: Option<Why>) -> (TaskResult, String, Option<Value>) {
    let timed_out = matches!(ended, Err(TaskError::TimedOut(_)));
    let by_itself = matches!(ended, Err(TaskError::Cancelled));
    let (error, output) = match ended {
        Ok(output) => (None, output),
        Err(error) => (Some(error.to_string()), None),
    };
    let result = match why {
        Some(Why::Asked) => TaskResult::Cancelled,
        Some(Why::TimeLimit) => TaskResult::Timeout,
        None if timed_out => TaskResult::Timeout,
        None if error.is_some() => TaskResult::Failure,
        None => TaskResult::Success,
    };
    let error = match (why, error) {
        (Some(Why::TimeLimit), Some(error)) if !by_itself => format!("it ran for longer than a task may: {error}"),
        (Some(Why::TimeLimit), _) => "it ran for longer than a task may".to_owned(),
        (None, Some(_)) if by_itself => "it ended as if it had been asked to stop, but nobody asked".to_owned(),
        (_, error) => error.unwrap_or_default(),
    };
    (result, error, output)
}

/// The message of a panic; `panic!` gives one of two kinds of text.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_follows_the_reason_to_stop_and_then_the_end() {
        let result_of = |ended, why| {
            let (result, error, output) = result_of(ended, why);
            (result, error, output.is_some())
        };
        let (fine, limit) = (|| Ok(Some(Value::from(1))), Some(Why::TimeLimit));
        assert_eq!(result_of(fine(), None), (TaskResult::Success, String::new(), true));
        assert_eq!(result_of(fine(), Some(Why::Asked)), (TaskResult::Cancelled, String::new(), true));
        assert_eq!(result_of(fine(), limit).0, TaskResult::Timeout);
        assert_eq!(result_of(Err("x".into()), None), (TaskResult::Failure, "x".to_owned(), false));
        assert_eq!(result_of(Err(TaskError::TimedOut("t".to_owned())), None).0, TaskResult::Timeout);
        let (result, error, _) = result_of(Err(TaskError::Cancelled), None);
        assert!(result == TaskResult::Failure && error.contains("nobody asked"), "{error}");
        let (result, error, _) = result_of(Err("exit 1".into()), limit);
        assert!(result == TaskResult::Timeout && error.ends_with("than a task may: exit 1"), "{error}");
    }

    #[test]
    fn an_output_at_the_limit_fits_and_null_is_none() {
        assert_eq!(bounded(Value::from("12345678"), 10).unwrap(), Some(Value::from("12345678")));
        assert!(bounded(Value::from("123456789"), 10).unwrap_err().to_string().contains("11 bytes"));
        assert_eq!(bounded(Value::Null, 10).unwrap(), None);
    }
}
