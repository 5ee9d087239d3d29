//! The workers, made ahead of the tasks.
//!
//! The thread that serves has the pool, and never waits for a worker: a new one says by a report that it has come to run,
//! and a task that was handed to it before waits for that. Policies and CPUs are set from this thread, because this one can
//! run: a worker whose CPU something else keeps could not help itself.

use super::cancel::Bell;
use super::worker::{Job, Shared, Worker};
use crate::model::{RealTime, RtPolicy};
use crate::rt::{Applied, Running, Thread, ThreadError, alarm, launch};
use rustix::io::Errno;
use std::sync::mpsc::{SyncSender, sync_channel};

/// A worker could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    /// There is no thread.
    #[error("a worker thread could not be made")]
    Thread(#[from] ThreadError),
    /// There is no bell.
    #[error("a worker's event could not be made")]
    Bell(#[from] Errno),
}

/// A task that was not begun, because it asks for what cannot be had.
#[derive(Debug)]
pub(super) struct NotHad {
    pub(super) job: u64,
    pub(super) why: String,
}

/// A worker, as the desk sees it.
#[derive(Debug)]
struct Post {
    /// `None` when it is to end.
    jobs: Option<SyncSender<Box<Job>>>,
    bell: Bell,
    /// `None` until it has come to run.
    thread: Option<Thread>,
    /// What was handed over before that.
    waiting: Option<Box<Job>>,
    /// What its last task asked for, or will ask for.
    last: RealTime,
    /// What came of that; `None` until it has come to run.
    in_force: Option<Applied>,
    running: Option<Running<()>>,
}

impl Post {
    /// Gives it settings, unless they are in force; says what was refused.
    fn settle(&mut self, asked: RealTime) -> Vec<String> {
        if let Some(thread) = &self.thread
            && self.in_force.as_ref().is_none_or(|applied| applied.asked != asked)
        {
            self.in_force = Some(thread.apply(asked));
        }
        self.in_force.iter().flat_map(Applied::refusals).map(ToString::to_string).collect()
    }

    fn begin(&mut self, mut job: Box<Job>) -> Result<(), NotHad> {
        let refused = self.settle(job.real_time);
        job.not_applied.extend(refused);
        if job.strict && !job.not_applied.is_empty() {
            return Err(NotHad { job: job.id, why: job.not_applied.join("; ") });
        }
        if let Some(jobs) = &self.jobs {
            // There is room: it had nothing to do.
            let _ = jobs.try_send(job);
            self.bell.waker().wake();
        }
        Ok(())
    }
}

/// All workers.
#[derive(Debug)]
pub(super) struct Pool {
    posts: Vec<Post>,
    /// Those that do nothing; the one that did something last comes last.
    idle: Vec<usize>,
    shared: Shared,
    real_time: RealTime,
    stack: usize,
}

impl Pool {
    pub(super) fn new(shared: Shared, real_time: RealTime, stack: usize) -> Self {
        Self { posts: Vec::new(), idle: Vec::new(), shared, real_time, stack }
    }

    /// Makes workers until there are this many, without waiting for them.
    pub(super) fn grow(&mut self, total: usize) -> Result<(), PoolError> {
        while self.posts.len() < total {
            self.add()?;
        }
        Ok(())
    }

    fn add(&mut self) -> Result<(), PoolError> {
        let (alarm, waker) = alarm();
        let bell = Bell::new(waker)?;
        let (jobs, queue) = sync_channel(1);
        let (number, shared) = (self.posts.len(), self.shared.clone());
        let body = move || Worker { number, alarm, jobs: queue, shared }.work();
        let running = launch(&format!("task-{number}"), self.stack, body)?;
        self.idle.push(number);
        self.posts.push(Post {
            jobs: Some(jobs),
            bell,
            thread: None,
            waiting: None,
            last: self.real_time,
            in_force: None,
            running: Some(running),
        });
        Ok(())
    }

    /// How many workers have not come to run.
    pub(super) fn rising(&self) -> usize {
        self.posts.iter().filter(|post| post.thread.is_none()).count()
    }

    /// A worker has come to run: it gets the settings of the runner, or of the task that waits for it. Tells what of the
    /// runner's own it was refused.
    ///
    /// # Errors
    /// When that task does not begin.
    pub(super) fn up(&mut self, worker: usize, thread: Thread) -> Result<Vec<String>, NotHad> {
        let Some(post) = self.posts.get_mut(worker) else { return Ok(Vec::new()) };
        post.thread = Some(thread);
        match post.waiting.take() {
            Some(job) => post.begin(job).map(|()| Vec::new()),
            None => Ok(post.settle(self.real_time)),
        }
    }

    /// An idle worker, if there is one; one on which these settings are in force rather than another.
    pub(super) fn take(&mut self, asked: RealTime) -> Option<usize> {
        let fits = self.idle.iter().rposition(|index| self.posts.get(*index).is_some_and(|post| post.last == asked));
        let place = fits.or_else(|| self.idle.len().checked_sub(1))?;
        Some(self.idle.remove(place))
    }

    /// Its bell.
    pub(super) fn bell(&self, worker: usize) -> Option<Bell> {
        self.posts.get(worker).map(|post| post.bell.clone())
    }

    /// Hands a task to an idle worker that was taken.
    ///
    /// # Errors
    /// When it asks for what cannot be had and does not begin without; the worker is to be given back.
    pub(super) fn hand(&mut self, worker: usize, job: Job) -> Result<(), NotHad> {
        let Some(post) = self.posts.get_mut(worker) else { return Ok(()) };
        post.last = job.real_time;
        if post.thread.is_none() {
            post.waiting = Some(Box::new(job));
            return Ok(());
        }
        post.begin(Box::new(job))
    }

    /// It has nothing to do any more. CPU time that was reserved for its task is free again: held by a worker that waits, it
    /// would be refused to another.
    pub(super) fn give(&mut self, worker: usize) {
        if let Some(post) = self.posts.get_mut(worker)
            && matches!(post.last.policy, RtPolicy::Deadline { .. })
        {
            post.last = self.real_time;
            post.settle(self.real_time);
        }
        self.idle.push(worker);
    }
}

impl Drop for Pool {
    /// Ends the workers that have nothing to do. One that still runs a task cannot be ended, and is left to the end of
    /// the process.
    fn drop(&mut self) {
        for (index, post) in self.posts.iter_mut().enumerate() {
            post.jobs = None;
            post.bell.waker().wake();
            if (!self.idle.contains(&index) || post.thread.is_none())
                && let Some(running) = post.running.take()
            {
                running.leave();
            }
        }
    }
}
