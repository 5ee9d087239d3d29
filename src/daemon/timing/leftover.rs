//! What a run left running when its daemon ended in the middle of it: tasks at task servers, and programs of a daemon that was
//! killed. Its schedule's `overlap` counts it as under way until they have ended, or the bounds of its tasks have passed.
//!
//! Comes in: a run that was interrupted. Goes out: that it is over. Its tasks are stopped when the run is to be replaced; its
//! programs are ended in any case, as they would have been by a daemon that ends in order: nobody reads what they write.
//! Must not: start anything, or decide how the run ended.

use super::ended::EndedRun;
use crate::model::{Overlap, RunId, Schedule, ScheduleName, Target, Task};
use crate::process::clock;
use crate::process::error::chain;
use crate::process::marked::{self, Marked};
use crate::runs::runs_kept;
use crate::schedule::Placed;
use crate::store::Ledger;
use crate::task::RUN_VARIABLE;
use crate::wire::{AttemptKey, TaskChannel, TaskState, Tls};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Bound on an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// A task server that says nothing this often has nothing of ours.
const SILENT: u32 = 5;

/// What programs of a schedule that is gone get, between the request to end and the force.
const GRACE: Duration = Duration::from_secs(5);
/// Time between two looks for programs.
const SWEEP: Duration = Duration::from_millis(100);
/// How long after its grace a program is killed again and again; what does not end then hangs in the kernel.
const STUCK: Duration = Duration::from_secs(5);

/// An interrupted run whose tasks may still run.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    pub(super) id: RunId,
    pub(super) name: ScheduleName,
    /// As it is now; `None` when the commit in force does not have it.
    pub(super) schedule: Option<Arc<Schedule>>,
    /// Where its task servers are.
    pub(super) placed: Arc<Placed>,
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
    /// Whether a program of it may run. Those of a schedule that is gone are ended too.
    pub(super) fn has_programs(&self) -> bool {
        self.schedule.as_ref().is_none_or(|schedule| schedule.tasks.iter().any(is_program))
    }

    /// Whether a task of it may run at a task server.
    pub(super) fn has_servers(&self) -> bool {
        self.schedule.as_ref().is_some_and(|it| it.tasks.iter().any(|task| task.target.is_server()))
    }

    /// Ends its programs, and waits until none of its tasks runs any more; `stop` has those stopped.
    pub(super) async fn run(self, tls: Option<Tls>, stop: CancellationToken) -> EndedRun {
        let begin = clock::monotonic();
        let programs = async {
            if self.has_programs() {
                self.end_programs(begin).await;
            }
        };
        futures_util::join!(programs, self.follow(begin, tls, stop));
        tracing::info!(run = %self.id, "no task of the interrupted run is in progress any more");
        let keep = self.schedule.as_deref().map_or(usize::MAX, runs_kept);
        EndedRun { schedule: self.name, id: self.id, ledger: self.ledger, keep }
    }

    fn tasks(&self) -> &[Task] {
        self.schedule.as_ref().map_or(&[], |schedule| &schedule.tasks)
    }

    /// Waits until none of its tasks runs at a task server any more.
    async fn follow(&self, begin: Instant, tls: Option<Tls>, stop: CancellationToken) {
        let asked = |task: &Task| {
            let channel = TaskChannel::new(self.placed.address(&task.target)?, None, tls.clone());
            let key = AttemptKey::of_run(self.id.as_str(), task.id.clone());
            Some(Asked { task: task.clone(), key, channel, silent: 0 })
        };
        let counts = self.schedule.as_ref().is_some_and(|schedule| schedule.overlap != Overlap::Allow);
        let mut open: Vec<Asked> = self.tasks().iter().filter(|_| counts).filter_map(asked).collect();
        let longest = open.iter().map(|one| one.task.timeout.saturating_add(one.task.grace)).max().unwrap_or_default();
        let mut stopped = false;
        loop {
            let states = futures_util::future::join_all(open.iter_mut().map(Asked::runs)).await;
            let mut states = states.into_iter();
            open.retain(|_| states.next().unwrap_or(false));
            if open.is_empty() || begin.elapsed() >= longest {
                return;
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
    }

    /// Asks the programs of the run to end, and kills after their grace what has not; until there are none.
    async fn end_programs(&self, begin: Instant) {
        let graces = self.tasks().iter().filter(|task| is_program(task)).map(|task| task.grace);
        let grace = graces.max().unwrap_or(GRACE);
        let mut asked = BTreeSet::new();
        let mut none_found = false;
        loop {
            let id = self.id.clone();
            // Reading the environment of every process takes milliseconds.
            let found =
                tokio::task::spawn_blocking(move || marked::find(RUN_VARIABLE, id.as_str())).await.unwrap_or_default();
            let gone = begin.elapsed();
            // A process that is executing another program shows no environment for a moment: it takes two looks to be sure.
            if found.is_empty() && none_found {
                if !asked.is_empty() {
                    tracing::warn!(run = %self.id, ?asked, "programs of a killed daemon were stopped");
                }
                return;
            }
            none_found = found.is_empty();
            if gone >= grace.saturating_add(STUCK) && !found.is_empty() {
                let left: Vec<i32> = found.iter().map(Marked::number).collect();
                return tracing::error!(run = %self.id, ?left, "programs of a killed daemon do not stop");
            }
            for program in &found {
                let done = if gone >= grace {
                    program.kill()
                } else if asked.insert(program.number()) {
                    program.ask()
                } else {
                    Ok(())
                };
                if let Err(error) = done {
                    tracing::debug!(run = %self.id, program = program.number(), error = chain(&error), "not stopped");
                }
            }
            tokio::time::sleep(SWEEP).await;
        }
    }
}

fn is_program(task: &Task) -> bool {
    matches!(task.target, Target::Command(_))
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
