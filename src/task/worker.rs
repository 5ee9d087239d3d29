//! The thread that runs tasks, one at a time.
//!
//! Its stack is touched before a task comes. Its policy and CPU are given to it from outside, when the task is handed over
//! ([`super::pool`]), which for an armed start is before the instant: it need not run to become one that can run. From the
//! instant on it enters the kernel no more before the function begins.

use super::cancel::Why;
use super::child;
use super::clock::stamp;
use super::context::TaskContext;
use super::handle::{Gate, Handle};
use super::registry::{TaskError, Work};
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

/// A task that is handed to a worker.
#[derive(Debug)]
pub(super) struct Job {
    /// Chosen by the desk.
    pub(super) id: u64,
    pub(super) key: AttemptKey,
    pub(super) work: Work,
    pub(super) parameters: Map<String, Value>,
    pub(super) scheduled: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) real_time: RealTime,
    /// It does not start without them.
    pub(super) strict: bool,
    /// What of them is not in force, and why.
    pub(super) not_applied: Vec<String>,
    /// `None` for at once.
    pub(super) release: Option<Release>,
    pub(super) handle: Arc<Handle>,
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
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    pub(super) reports: mpsc::Sender<Report>,
    /// Called when a task that was not armed is about to start: somebody waits for that.
    pub(super) starts: Arc<Notify>,
    pub(super) max_output: usize,
}

/// What a worker has to say.
#[derive(Debug)]
pub(super) enum Report {
    /// It has come to run.
    Up {
        /// Which.
        worker: usize,
        /// Its thread.
        thread: Thread,
    },
    /// About a job.
    Job {
        /// Which.
        job: u64,
        /// What.
        what: What,
    },
}

/// What became of a job. After all but `Ready` the worker is free.
#[derive(Debug)]
pub(super) enum What {
    /// Armed, with everything in force.
    Ready,
    /// Taken back before it started.
    Withdrawn,
    /// Not started, being later than it may.
    Missed(Duration),
    /// It ran.
    Over(Box<Outcome>),
}

/// A task that ran.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: TaskResult,
    /// Empty when nothing went wrong.
    pub(super) error: String,
    pub(super) output: Option<Value>,
    pub(super) start: Stamp,
    pub(super) end: Stamp,
    pub(super) usage: Usage,
    /// After the instant, for an armed one.
    pub(super) late: Option<Duration>,
    /// What was asked for and not had, though it ran.
    pub(super) remarks: Vec<String>,
    /// What a program wrote, as far as that is kept.
    pub(super) said: Streams,
}

/// The end of what a program wrote to each stream, as text; of standard output only when that is not its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams {
    pub(super) output: String,
    pub(super) errors: String,
}

/// A thread that runs tasks.
#[derive(Debug)]
pub(super) struct Worker {
    /// Its number in the pool.
    pub(super) number: usize,
    pub(super) alarm: Alarm,
    pub(super) jobs: Receiver<Box<Job>>,
    pub(super) shared: Shared,
}

impl Worker {
    /// Says that it is there, and runs what is handed over, until nobody can hand over anything.
    pub(super) fn work(mut self) {
        // Before its policy; see `rt::apply`. Without a reason to fail.
        let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
        self.tell(Report::Up { worker: self.number, thread: Thread::current() });
        loop {
            match self.jobs.try_recv() {
                Ok(job) => {
                    let id = job.id;
                    let what = self.run(*job);
                    self.tell(Report::Job { job: id, what });
                }
                Err(TryRecvError::Empty) => self.alarm.wait(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    fn tell(&self, report: Report) {
        // The queue has room for all that workers can have to say; it is closed when nobody wants to know any more.
        let _ = self.shared.reports.try_send(report);
    }

    fn run(&mut self, job: Job) -> What {
        let Job { id, key, work, parameters, scheduled, deadline, real_time, strict, not_applied, release, handle } =
            job;
        let mut remarks = not_applied;
        handle.runs_on(rustix::thread::gettid().as_raw_pid());
        let before = usage::of_this_thread();
        handle.used_before(before.user + before.system);
        if let Some(release) = release {
            self.tell(Report::Job { job: id, what: What::Ready });
            match self.hold(release, &handle) {
                Ok(()) => {}
                Err(Some(late)) => return What::Missed(late),
                Err(None) => return What::Withdrawn,
            }
        } else if handle.claim() {
            self.shared.starts.notify_one();
        } else {
            return What::Withdrawn;
        }
        let cancel = &handle.cancel;
        let mut task = TaskContext { key: &key, parameters, scheduled, deadline, cancel, alarm: &mut self.alarm };
        let limit = self.shared.max_output;
        let start = stamp();
        handle.begin(start);
        let result = catch_unwind(AssertUnwindSafe(|| match &work {
            Work::Function(function) => {
                (function(&mut task).and_then(|output| bounded(output, limit)), None, Streams::default())
            }
            Work::Command(line) => {
                let wish = child::Wish { policy: real_time.policy, strict };
                let done = child::run(line, &task, wish, limit, |group| handle.runs_as(group));
                remarks.extend(done.remarks);
                (done.result, Some(done.usage), done.said)
            }
        }));
        let end = stamp();
        let (ended, usage, said) = result.unwrap_or_else(|panic| {
            (Err(TaskError::Failed(format!("it panicked: {}", text(&*panic)))), None, Streams::default())
        });
        let usage = usage.unwrap_or_else(|| usage::of_this_thread().since(before));
        let (result, error, output) = verdict(ended, cancel.why());
        let late = release.map(|release| super::clock::instant(start.monotonic).since(release.at));
        What::Over(Box::new(Outcome { result, error, output, start, end, usage, late, remarks, said }))
    }

    /// Waits for the instant, and then for a place. `Err` with how late it would be, or with nothing when it was
    /// taken back.
    fn hold(&mut self, release: Release, handle: &Handle) -> Result<(), Option<Duration>> {
        while self.alarm.wait_until(release.at) == Wake::Called {
            if handle.is_withdrawn() {
                return Err(None);
            }
        }
        let gate = &self.shared.gate;
        while !gate.enter() {
            // The desk calls whenever a place becomes free.
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
            gate.leave();
            return Err(taken.then(|| now.since(release.at)));
        }
        Ok(())
    }
}

/// What a function gave, if it fits.
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

/// How a task ended. Who was asked to stop was stopped, whatever it made of that; its output is kept.
fn verdict(ended: Result<Option<Value>, TaskError>, why: Option<Why>) -> (TaskResult, String, Option<Value>) {
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
        (None, Some(_)) if by_itself => "it ended as if it was asked to stop, and nobody asked".to_owned(),
        (_, error) => error.unwrap_or_default(),
    };
    (result, error, output)
}

/// What a panic said; `panic!` gives one of two kinds of text.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_follows_the_reason_to_stop_and_then_the_end() {
        let verdict = |ended, why| {
            let (result, error, output) = verdict(ended, why);
            (result, error, output.is_some())
        };
        let (fine, limit) = (|| Ok(Some(Value::from(1))), Some(Why::TimeLimit));
        assert_eq!(verdict(fine(), None), (TaskResult::Success, String::new(), true));
        assert_eq!(verdict(fine(), Some(Why::Asked)), (TaskResult::Cancelled, String::new(), true));
        assert_eq!(verdict(fine(), limit).0, TaskResult::Timeout);
        assert_eq!(verdict(Err("x".into()), None), (TaskResult::Failure, "x".to_owned(), false));
        assert_eq!(verdict(Err(TaskError::TimedOut("t".to_owned())), None).0, TaskResult::Timeout);
        let (result, error, _) = verdict(Err(TaskError::Cancelled), None);
        assert!(result == TaskResult::Failure && error.contains("nobody asked"), "{error}");
        let (result, error, _) = verdict(Err("exit 1".into()), limit);
        assert!(result == TaskResult::Timeout && error.ends_with("than a task may: exit 1"), "{error}");
    }

    #[test]
    fn an_output_at_the_limit_fits_and_null_is_none() {
        assert_eq!(bounded(Value::from("12345678"), 10).unwrap(), Some(Value::from("12345678")));
        assert!(bounded(Value::from("123456789"), 10).unwrap_err().to_string().contains("11 bytes"));
        assert_eq!(bounded(Value::Null, 10).unwrap(), None);
    }
}
