//! The workers, which are created before tasks come.
//!
//! The thread that serves has the pool, and never waits for a worker: a new one reports that it runs, and a task that was
//! assigned to it before waits for that. Policies and CPUs are set from this thread, because this one can run: a worker
//! whose CPU is kept by another thread could not set them itself.

use super::cancel::WakeSignal;
use super::worker::{Assignment, Worker, WorkerContext};
use crate::model::{RealTime, RtPolicy};
use crate::rt::{Applied, Running, Thread, ThreadError, alarm, launch};
use rustix::io::Errno;
use std::sync::mpsc::{SyncSender, sync_channel};

/// A worker cannot be created.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    /// There is no thread.
    #[error("cannot start a worker thread")]
    Thread(#[from] ThreadError),
    /// There is no event for its wake signal.
    #[error("cannot create the event that wakes a worker")]
    Signal(#[from] Errno),
}

/// A task that is not started, because it asks for real-time settings that cannot be had.
#[derive(Debug)]
pub(super) struct Unavailable {
    pub(super) id: u64,
    pub(super) why: String,
}

/// A worker, as the task table sees it.
#[derive(Debug)]
struct PooledWorker {
    /// `None` when it is to end.
    assignments: Option<SyncSender<Box<Assignment>>>,
    signal: WakeSignal,
    /// `None` until it runs.
    thread: Option<Thread>,
    /// What was assigned before that.
    waiting: Option<Box<Assignment>>,
    /// What its last task asked for, or will ask for.
    last: RealTime,
    /// What came of that; `None` until it runs.
    in_force: Option<Applied>,
    running: Option<Running<()>>,
}

impl PooledWorker {
    /// Applies settings, unless they are in force; returns what was refused.
    fn apply(&mut self, asked: RealTime) -> Vec<String> {
        if let Some(thread) = &self.thread
            && self.in_force.as_ref().is_none_or(|applied| applied.asked != asked)
        {
            self.in_force = Some(thread.apply(asked));
        }
        self.in_force.iter().flat_map(Applied::refusals).map(ToString::to_string).collect()
    }

    fn start(&mut self, mut assignment: Box<Assignment>) -> Result<(), Unavailable> {
        let refused = self.apply(assignment.real_time);
        assignment.not_applied.extend(refused);
        if assignment.strict && !assignment.not_applied.is_empty() {
            return Err(Unavailable { id: assignment.id, why: assignment.not_applied.join("; ") });
        }
        if let Some(assignments) = &self.assignments {
            // There is room: it had nothing to do.
            let _ = assignments.try_send(assignment);
            self.signal.waker().wake();
        }
        Ok(())
    }
}

/// All workers.
#[derive(Debug)]
pub(super) struct Pool {
    workers: Vec<PooledWorker>,
    /// Those without a task; the one that had a task last comes last.
    idle: Vec<usize>,
    context: WorkerContext,
    real_time: RealTime,
    stack: usize,
}

impl Pool {
    pub(super) fn new(context: WorkerContext, real_time: RealTime, stack: usize) -> Self {
        Self { workers: Vec::new(), idle: Vec::new(), context, real_time, stack }
    }

    /// Makes workers until there are this many, without waiting for them.
    pub(super) fn grow(&mut self, total: usize) -> Result<(), PoolError> {
        while self.workers.len() < total {
            self.add()?;
        }
        Ok(())
    }

    fn add(&mut self) -> Result<(), PoolError> {
        let (alarm, waker) = alarm();
        let signal = WakeSignal::new(waker)?;
        let (assignments, queue) = sync_channel(1);
        let (number, context) = (self.workers.len(), self.context.clone());
        let body = move || Worker { number, alarm, assignments: queue, context }.work();
        let running = launch(&format!("task-{number}"), self.stack, body)?;
        self.idle.push(number);
        self.workers.push(PooledWorker {
            assignments: Some(assignments),
            signal,
            thread: None,
            waiting: None,
            last: self.real_time,
            in_force: None,
            running: Some(running),
        });
        Ok(())
    }

    /// How many workers do not run yet.
    pub(super) fn starting(&self) -> usize {
        self.workers.iter().filter(|worker| worker.thread.is_none()).count()
    }

    /// A worker runs: it gets the settings of the runner, or of the task that waits for it. Returns which of the runner's
    /// own it was refused.
    ///
    /// # Errors
    /// When that task does not start.
    pub(super) fn started(&mut self, worker: usize, thread: Thread) -> Result<Vec<String>, Unavailable> {
        let Some(pooled) = self.workers.get_mut(worker) else { return Ok(Vec::new()) };
        pooled.thread = Some(thread);
        match pooled.waiting.take() {
            Some(assignment) => pooled.start(assignment).map(|()| Vec::new()),
            None => Ok(pooled.apply(self.real_time)),
        }
    }

    /// Reserves an idle worker, if there is one; preferably one on which these settings are in force.
    pub(super) fn reserve(&mut self, asked: RealTime) -> Option<usize> {
        let fits =
            self.idle.iter().rposition(|index| self.workers.get(*index).is_some_and(|worker| worker.last == asked));
        let place = fits.or_else(|| self.idle.len().checked_sub(1))?;
        Some(self.idle.remove(place))
    }

    /// What wakes a worker.
    pub(super) fn signal(&self, worker: usize) -> Option<WakeSignal> {
        self.workers.get(worker).map(|worker| worker.signal.clone())
    }

    /// Assigns a task to a reserved worker.
    ///
    /// # Errors
    /// When the task is strict and asks for what cannot be had; the worker is to be released.
    pub(super) fn assign(&mut self, worker: usize, assignment: Assignment) -> Result<(), Unavailable> {
        let Some(pooled) = self.workers.get_mut(worker) else { return Ok(()) };
        pooled.last = assignment.real_time;
        if pooled.thread.is_none() {
            pooled.waiting = Some(Box::new(assignment));
            return Ok(());
        }
        pooled.start(Box::new(assignment))
    }

    /// A worker is idle again. CPU time that was reserved for its task is given back: held by an idle worker, it would be
    /// refused to another.
    pub(super) fn release(&mut self, worker: usize) {
        if let Some(pooled) = self.workers.get_mut(worker)
            && matches!(pooled.last.policy, RtPolicy::Deadline { .. })
        {
            pooled.last = self.real_time;
            pooled.apply(self.real_time);
        }
        self.idle.push(worker);
    }
}

impl Drop for Pool {
    /// Ends the workers that have nothing to do. One that still runs a task cannot be ended, and is left to the end of
    /// the process.
    fn drop(&mut self) {
        for (index, worker) in self.workers.iter_mut().enumerate() {
            worker.assignments = None;
            worker.signal.waker().wake();
            if (!self.idle.contains(&index) || worker.thread.is_none())
                && let Some(running) = worker.running.take()
            {
                running.leave();
            }
        }
    }
}
