//! Stopping tasks, and answering the callers that wait for it.

use super::TaskTable;
use super::starts::withdraw;
use super::state::{FORCE, StopRequest};
use crate::rt::Monotonic;
use crate::task::cancel::Why;
use crate::task::clock::{self, stamp};
use crate::wire::{AttemptKey, Reply, Stopped};
use std::time::Duration;

/// How many attempts that were stopped before they came are remembered.
const UNWANTED: usize = 256;

impl TaskTable {
    pub(super) fn stop(&mut self, key: &AttemptKey, grace: Duration, reply: Reply<Stopped>) {
        let now = Monotonic::now();
        let tasks = self.matching(key);
        if tasks.is_empty() {
            let task = &key.task_id;
            let answer = match self.ended(key) {
                Some(ended) => Ok(Stopped { at: Some(ended.end.realtime), message: "it had ended".to_owned() }),
                None if !key.run_id.is_empty() => {
                    self.unwanted.truncate(UNWANTED - 1);
                    self.unwanted.push_front(key.clone());
                    Ok(Stopped { at: None, message: "it is not here, and will not be started".to_owned() })
                }
                None if self.is_kind(task) => Ok(Stopped { at: None, message: "nothing runs".to_owned() }),
                None => Err(format!("`{task}` is not known here")),
            };
            drop(reply.send(answer));
            return;
        }
        for entry in tasks.iter().filter_map(|id| self.entries.get(id)) {
            if !withdraw(entry) {
                entry.handle.cancel.request(Why::Asked, now + grace);
            }
        }
        self.stops.push(StopRequest { tasks, reply, until: now + grace + FORCE });
    }

    /// Asks to stop what has run for as long as a task may.
    pub(super) fn enforce_time_limit(&self, now: Monotonic) {
        if let Some(limit) = self.settings.time_limit {
            for entry in self.entries.values().filter(|entry| !entry.handle.cancel.is_cancelled()) {
                if entry.started.is_some_and(|start| now >= clock::instant(start.monotonic) + limit) {
                    entry.handle.cancel.request(Why::TimeLimit, now + self.settings.grace);
                }
            }
        }
    }

    /// Answers the callers whose tasks have ended, and those who have waited for long enough.
    pub(super) fn answer_stops(&mut self, now: Monotonic) {
        for stop in std::mem::take(&mut self.stops) {
            let left = stop.tasks.iter().filter_map(|id| self.entries.get(id));
            let names = left.map(|entry| format!("`{}`", entry.key.task_id)).collect::<Vec<_>>();
            if names.is_empty() {
                let at = Some(stamp().realtime);
                drop(stop.reply.send(Ok(Stopped { at, message: "stopped".to_owned() })));
            } else if now >= stop.until {
                let names = names.join(", ");
                drop(
                    stop.reply
                        .send(Err(format!("{names} did not stop in time and still runs; its end will be reported"))),
                );
            } else {
                self.stops.push(stop);
            }
        }
    }

    /// Accepts nothing more, withdraws what is armed, and asks all that runs to stop, by force after the grace period.
    /// Returns until when to wait for that.
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
