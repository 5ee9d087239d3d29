//! What a run left running at task servers when its daemon ended in the middle of it. Its schedule's `overlap` counts it as under way
//! until its tasks have ended, or the bounds of its tasks have passed.
//!
//! Comes in: a run that was interrupted. Goes out: that it is over. Its tasks are stopped when the run is to be replaced.
//! Must not: start anything, or decide how the run ended.

use super::launch::Launched;
use crate::model::{Schedule, Task};
use crate::process::clock;
use crate::store::Ledger;
use crate::wire::{AttemptKey, TaskChannel, TaskState, Tls};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Bound on an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// A task server that says nothing this often has nothing of ours.
const SILENT: u32 = 5;

/// An interrupted run whose tasks may still run.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    pub(super) id: String,
    pub(super) schedule: Arc<Schedule>,
    pub(super) ledger: Ledger,
}

/// A task that may still run.
struct Asked {
    task: Task,
    /// Every attempt of it in the run.
    key: AttemptKey,
    channel: TaskChannel,
    silent: u32,
}

impl Leftover {
    /// Whether a task of it may run at a task server; programs of the daemon ended with it.
    pub(super) fn has_servers(&self) -> bool {
        self.schedule.tasks.iter().any(|task| task.target.address().is_some())
    }

    /// Waits until none of its tasks runs any more; `stop` has them stopped.
    pub(super) async fn run(self, tls: Option<Tls>, stop: CancellationToken) -> Launched {
        let asked = |task: &Task| {
            let channel = TaskChannel::new(task.target.address()?.clone(), None, tls.clone());
            let key = AttemptKey::of_run(&self.id, task.id.clone());
            Some(Asked { task: task.clone(), key, channel, silent: 0 })
        };
        let mut open: Vec<Asked> = self.schedule.tasks.iter().filter_map(asked).collect();
        let longest = open.iter().map(|one| one.task.timeout.saturating_add(one.task.grace)).max().unwrap_or_default();
        let (begin, mut stopped) = (clock::monotonic(), false);
        loop {
            let states = futures_util::future::join_all(open.iter_mut().map(Asked::runs)).await;
            let mut states = states.into_iter();
            open.retain(|_| states.next().unwrap_or(false));
            if open.is_empty() || begin.elapsed() >= longest {
                break;
            }
            if stop.is_cancelled() && !stopped {
                stopped = true;
                futures_util::future::join_all(open.iter().map(Asked::stop)).await;
            }
            // Dropping either loses nothing.
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled(), if !stopped => {}
            }
        }
        tracing::info!(run = self.id, "nothing of the interrupted run is under way any more");
        Launched { schedule: self.schedule.name.clone(), id: self.id, ledger: self.ledger }
    }
}

impl Asked {
    /// Whether its task server says that it runs, or may yet say so.
    async fn runs(&mut self) -> bool {
        match self.channel.status(&self.key, ANSWER).await {
            Ok(status) => matches!(status.state, TaskState::Starting | TaskState::Running),
            Err(_) => {
                self.silent += 1;
                self.silent < SILENT
            }
        }
    }

    async fn stop(&self) {
        let bound = self.task.grace.saturating_add(ANSWER);
        if let Err(error) = self.channel.stop(&self.key, self.task.grace, bound).await {
            tracing::warn!(task = %self.task.id, %error, "a task of an interrupted run was not stopped");
        }
    }
}
