//! Stopping tasks, and who waits for that.

use super::starts::withdraw;
use super::{Desk, FORCE};
use crate::model::TaskId;
use crate::rt::Monotonic;
use crate::task::cancel::Why;
use crate::task::clock::{self, stamp};
use crate::task::entry::{Entry, Over};
use crate::wire::{AttemptKey, Reply, Stopped};
use std::time::Duration;

/// How many attempts are remembered that were stopped before they came.
const UNWANTED: usize = 256;

/// Somebody waits for tasks to end.
pub(super) struct Stop {
    jobs: Vec<u64>,
    reply: Reply<Stopped>,
    pub(super) until: Monotonic,
}

impl Desk {
    pub(super) fn stop(&mut self, key: &AttemptKey, grace: Duration, reply: Reply<Stopped>) {
        let now = Monotonic::now();
        let jobs = self.meant(key);
        if jobs.is_empty() {
            let task = &key.task_id;
            let answer = match self.over_of(key) {
                Some(over) => Ok(Stopped { at: Some(over.end.realtime), message: "it had ended".to_owned() }),
                None if !key.run_id.is_empty() => {
                    self.unwanted.truncate(UNWANTED - 1);
                    self.unwanted.push_front(key.clone());
                    Ok(Stopped { at: None, message: "it is not here, and will not be begun".to_owned() })
                }
                None if self.is_kind(task) => Ok(Stopped { at: None, message: "nothing runs".to_owned() }),
                None => Err(format!("`{task}` is not known here")),
            };
            drop(reply.send(answer));
            return;
        }
        for entry in jobs.iter().filter_map(|job| self.entries.get(job)) {
            if !withdraw(entry) {
                entry.handle.cancel.request(Why::Asked, now + grace);
            }
        }
        self.stops.push(Stop { jobs, reply, until: now + grace + FORCE });
    }

    /// The attempt that is named; without a run the tasks of an id. Existing orchestrators may say the kind of work instead:
    /// then all that are there.
    pub(super) fn meant(&self, key: &AttemptKey) -> Vec<u64> {
        if !key.run_id.is_empty() {
            return self.entries.iter().filter(|(_, entry)| key.names(&entry.key)).map(|(job, _)| *job).collect();
        }
        let task = &key.task_id;
        let of_id = |entry: &&Entry| entry.key.task_id == *task;
        if self.entries.values().any(|entry| of_id(&entry)) {
            self.entries.iter().filter(|(_, entry)| of_id(entry)).map(|(job, _)| *job).collect()
        } else if self.is_kind(task) {
            self.entries.keys().copied().collect()
        } else {
            Vec::new()
        }
    }

    /// What became of the attempt that is named, or of the last task of an id.
    pub(super) fn over_of(&self, key: &AttemptKey) -> Option<&Over> {
        self.over.iter().rev().find(|over| key.names(&over.key))
    }

    pub(super) fn is_kind(&self, task: &TaskId) -> bool {
        self.registry.get(task.as_str()).is_some()
    }

    /// Asks to stop what has run for as long as a task may.
    pub(super) fn stop_what_is_too_long(&self, now: Monotonic) {
        if let Some(limit) = self.settings.time_limit {
            for entry in self.entries.values().filter(|entry| !entry.handle.cancel.is_cancelled()) {
                if entry.started.is_some_and(|start| now >= clock::instant(start.monotonic) + limit) {
                    entry.handle.cancel.request(Why::TimeLimit, now + self.settings.grace);
                }
            }
        }
    }

    /// Answers those whose tasks are over, and those who have waited for long enough.
    pub(super) fn answer_stops(&mut self, now: Monotonic) {
        for stop in std::mem::take(&mut self.stops) {
            let left = stop.jobs.iter().filter_map(|job| self.entries.get(job));
            let names = left.map(|entry| format!("`{}`", entry.key.task_id)).collect::<Vec<_>>();
            if names.is_empty() {
                let at = Some(stamp().realtime);
                drop(stop.reply.send(Ok(Stopped { at, message: "stopped".to_owned() })));
            } else if now >= stop.until {
                let names = names.join(", ");
                drop(
                    stop.reply.send(Err(format!("{names} did not stop in time and still runs; its end will be told"))),
                );
            } else {
                self.stops.push(stop);
            }
        }
    }

    /// Accepts nothing more, takes back what is armed, and asks all that runs to stop, by force after the grace. Says
    /// when to wait no longer.
    pub(in crate::task) fn close(&mut self) -> Monotonic {
        self.closing = true;
        let force_at = Monotonic::now() + self.settings.grace;
        for entry in self.entries.values() {
            if !withdraw(entry) {
                entry.handle.cancel.request(Why::Asked, force_at);
            }
        }
        force_at + FORCE
    }
}
