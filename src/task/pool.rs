//! The workers, made ahead of the tasks.

use super::cancel::Bell;
use super::worker::{Job, Shared, Worker};
use crate::model::RealTime;
use crate::rt::{Prepared, Running, Settings, ThreadError, alarm};
use rustix::io::Errno;
use rustix::thread::{gettid, sched_getaffinity};
use std::mem;
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

/// A worker, as the desk sees it.
#[derive(Debug)]
struct Post {
    /// `None` when it is to end.
    jobs: Option<SyncSender<Box<Job>>>,
    bell: Bell,
    thread: i32,
    /// What its last task asked for, and so what is in force there.
    last: RealTime,
    running: Option<Running<()>>,
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

    /// Makes workers until there are this many; tells what of the runner's own settings they were refused.
    pub(super) fn grow(&mut self, total: usize) -> Result<Vec<String>, PoolError> {
        let mut refused = Vec::new();
        while self.posts.len() < total {
            refused = self.add()?;
        }
        Ok(refused)
    }

    fn add(&mut self) -> Result<Vec<String>, PoolError> {
        let (alarm, waker) = alarm();
        let bell = Bell::new(waker)?;
        let (jobs, queue) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        let whole = sched_getaffinity(None).ok();
        let shared = self.shared.clone();
        let settings =
            Settings { name: format!("task-{}", self.posts.len()), real_time: self.real_time, stack: self.stack };
        let name = settings.name.clone();
        let (facts, taken) = sync_channel(1);
        let prepared = Prepared::new(settings, move || {
            let told = tell.send(gettid().as_raw_pid());
            if let (Ok(()), Ok(applied)) = (told, taken.recv()) {
                let in_force = Some((applied, whole));
                Worker { alarm, jobs: queue, shared, in_force }.work();
            }
        })?;
        let applied = prepared.applied().clone();
        let refused = applied.refusals().map(ToString::to_string).collect();
        let running = prepared.start();
        // There is room, and the thread waits for it.
        let _ = facts.send(applied);
        let thread = told.recv().map_err(|_| ThreadError::Ended { name })?;
        self.idle.push(self.posts.len());
        self.posts.push(Post { jobs: Some(jobs), bell, thread, last: self.real_time, running: Some(running) });
        Ok(refused)
    }

    /// An idle worker, if there is one; one on which these settings are in force rather than another.
    pub(super) fn take(&mut self, asked: RealTime) -> Option<usize> {
        let fits = self.idle.iter().rposition(|index| self.posts.get(*index).is_some_and(|post| post.last == asked));
        let place = fits.or_else(|| self.idle.len().checked_sub(1))?;
        Some(self.idle.remove(place))
    }

    /// Its bell and its thread.
    pub(super) fn facts(&self, worker: usize) -> Option<(Bell, i32)> {
        self.posts.get(worker).map(|post| (post.bell.clone(), post.thread))
    }

    /// Hands a task to an idle worker that was taken.
    pub(super) fn hand(&mut self, worker: usize, job: Job) {
        let Some(post) = self.posts.get_mut(worker) else { return };
        post.last = job.real_time;
        if let Some(jobs) = &post.jobs {
            // There is room: it had nothing to do.
            let _ = jobs.try_send(Box::new(job));
            post.bell.waker().wake();
        }
    }

    /// It has nothing to do any more.
    pub(super) fn give(&mut self, worker: usize) {
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
            if !self.idle.contains(&index) {
                mem::forget(post.running.take());
            }
        }
    }
}
