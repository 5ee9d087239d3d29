//! Starting tasks: now, or armed for an instant; and withdrawing what has not started.

use super::TaskTable;
use crate::rt::Monotonic;
use crate::task::cancel::Cancellation;
use crate::task::clock;
use crate::task::entry::{self, Entry, PendingReply};
use crate::task::handle::TaskHandle;
use crate::task::pool::Unavailable;
use crate::task::worker::{Assignment, Release};
use crate::wire::{ArmCall, AttemptKey, Disarmed, Reply, StartCall, StartRefused};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why an attempt is refused when its stop came first.
const UNWANTED: &str = "it was stopped before it came";

impl TaskTable {
    pub(super) fn start(&mut self, call: &StartCall, reply: oneshot::Sender<Result<Duration, StartRefused>>) {
        // A caller that has given up would not know that the task runs.
        if reply.is_closed() {
            return;
        }
        // The call is repeated because no answer came: the task is not run twice.
        if let Some(start) = self.started(&call.key) {
            drop(reply.send(Ok(start)));
            return;
        }
        if self.unwanted.iter().any(|unwanted| unwanted.names(&call.key)) {
            drop(reply.send(Err(StartRefused::Final(UNWANTED.to_owned()))));
            return;
        }
        if !self.slots.acquire() {
            let running = self.entries.values().filter(|entry| entry.armed.is_none() || entry.started.is_some());
            let names = running.map(|entry| format!("`{}`", entry.key.task_id)).collect::<Vec<_>>().join(", ");
            // In the words that existing orchestrators look for.
            drop(reply.send(Err(StartRefused::Busy(format!("not in IDLE: running {names}")))));
            return;
        }
        if let Err((reply, why)) = self.accept(call, None, PendingReply::Start(reply)) {
            self.slots.release();
            self.wake_waiting();
            reply.refuse(why);
        }
    }

    /// When an attempt that names its run has started, if it did.
    fn started(&self, key: &AttemptKey) -> Option<Duration> {
        if key.run_id.is_empty() {
            return None;
        }
        let running = self.entries.values().find(|entry| entry.key == *key).and_then(|entry| entry.handle.start());
        let ended = || self.ended.iter().find(|ended| ended.key == *key).map(|ended| ended.start);
        running.or_else(ended).map(|start| start.realtime)
    }

    pub(super) fn arm(&mut self, call: &ArmCall, reply: Reply<()>) {
        let key = &call.start.key;
        if call.instance != self.identity.instance {
            drop(
                reply.send(Err(
                    "its start time is on the clock of another runner: this one was started since".to_owned()
                )),
            );
            return;
        }
        if self.unwanted.iter().any(|unwanted| unwanted.names(key)) {
            drop(reply.send(Err(UNWANTED.to_owned())));
            return;
        }
        let mut same = self.entries.values().filter(|entry| entry.key == *key && !entry.handle.is_withdrawn());
        if let Some(entry) = same.next() {
            let answer = match entry.armed {
                Some(_) if entry.started.is_none() && entry.reply.is_none() => Ok(()),
                _ => Err(format!("`{}` is in progress", key.task_id)),
            };
            drop(reply.send(answer));
            return;
        }
        if self.started(key).is_some() {
            drop(reply.send(Err(format!("`{}` has run", key.task_id))));
            return;
        }
        let (at, now) = (clock::instant(call.release), Monotonic::now());
        let release = Release { at, until: at + call.late_limit };
        if now > release.until {
            let (late, limit) = (now.since(at), call.late_limit);
            drop(
                reply.send(Err(format!(
                    "it came {late:?} after its start time, and may start up to {limit:?} after it"
                ))),
            );
            return;
        }
        let armed = self.entries.values().filter(|entry| entry.armed.is_some() && entry.started.is_none()).count();
        if armed >= self.settings.max_armed {
            drop(reply.send(Err(format!("{armed} tasks are armed already, and no more are allowed"))));
            return;
        }
        // One worker for each task that may run and for each that waits: a start that is not armed always finds one.
        if let Err(error) = self.pool.grow(self.settings.parallel.get() + armed + 1) {
            drop(reply.send(Err(error.to_string())));
            return;
        }
        if let Err((reply, why)) = self.accept(&call.start, Some(release), PendingReply::Arm(reply)) {
            reply.refuse(why);
        }
    }

    /// Assigns a task to a worker.
    fn accept(
        &mut self,
        call: &StartCall,
        armed: Option<Release>,
        reply: PendingReply,
    ) -> Result<(), (PendingReply, String)> {
        if self.closing {
            return Err((reply, "the task runner is stopping".to_owned()));
        }
        let (parameters, protocol) = match entry::parameters(call, self.settings.max_request) {
            Ok(read) => read,
            Err(fault) => return Err((reply, format!("parameters: {fault}"))),
        };
        let handler = match self.registry.choose(&parameters, call.key.task_id.as_str()) {
            Ok(handler) => handler.clone(),
            Err(why) => return Err((reply, why)),
        };
        let (real_time, lower) = self.priority.raise_above(self.settings.real_time_of(call.real_time));
        let worker = self.pool.reserve(real_time);
        let Some((worker, signal)) = worker.and_then(|worker| Some((worker, self.pool.signal(worker)?))) else {
            return Err((reply, "no worker is free".to_owned()));
        };
        self.last += 1;
        let handle = Arc::new(TaskHandle::new(Cancellation::new(signal)));
        let assignment = Assignment {
            id: self.last,
            key: call.key.clone(),
            handler,
            parameters,
            scheduled: call.scheduled,
            deadline: call.deadline,
            real_time,
            strict: self.settings.strict || call.strict,
            not_applied: lower.into_iter().collect(),
            release: armed,
            handle: Arc::clone(&handle),
        };
        if let Err(Unavailable { why, .. }) = self.pool.assign(worker, assignment) {
            self.pool.release(worker);
            self.lower_priority();
            return Err((reply, why));
        }
        let entry = Entry {
            key: call.key.clone(),
            handle,
            worker,
            protocol,
            real_time,
            armed: armed.map(|release| release.at),
            reply: Some(reply),
            started: None,
        };
        self.entries.insert(self.last, entry);
        Ok(())
    }

    pub(super) fn disarm(&self, key: &AttemptKey) -> Disarmed {
        let mut same = self.entries.values().filter(|entry| entry.key == *key && !entry.handle.is_withdrawn());
        match same.next() {
            Some(entry) if withdraw(entry) => Disarmed::Disarmed,
            Some(_) => Disarmed::Started,
            None if self.ended.iter().any(|ended| ended.key == *key) => Disarmed::Started,
            None => Disarmed::NotArmed,
        }
    }
}

/// Withdraws a task that has not started; `false` when it has.
pub(super) fn withdraw(entry: &Entry) -> bool {
    let withdrawn = entry.handle.withdraw();
    if withdrawn {
        entry.handle.cancel.signal().waker().wake();
    }
    withdrawn
}
