//! Starting tasks: now, or armed for an instant; and taking back what has not started.

use super::Desk;
use crate::rt::Monotonic;
use crate::task::cancel::Cancellation;
use crate::task::clock;
use crate::task::entry::{self, Answer, Entry};
use crate::task::handle::Handle;
use crate::task::pool::NotHad;
use crate::task::worker::{Job, Release};
use crate::wire::{ArmCall, AttemptKey, Disarmed, Reply, StartCall, StartRefused};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why an attempt is refused that comes after it was stopped.
const UNWANTED: &str = "it was stopped before it came";

impl Desk {
    pub(super) fn start(&mut self, call: &StartCall, reply: oneshot::Sender<Result<Duration, StartRefused>>) {
        // Who has given up would not know that it runs.
        if reply.is_closed() {
            return;
        }
        // Sent again because no answer came: it is not run twice.
        if let Some(start) = self.started(&call.key) {
            drop(reply.send(Ok(start)));
            return;
        }
        if self.unwanted.iter().any(|unwanted| unwanted.names(&call.key)) {
            drop(reply.send(Err(StartRefused::Final(UNWANTED.to_owned()))));
            return;
        }
        if !self.gate.enter() {
            let running = self.entries.values().filter(|entry| entry.armed.is_none() || entry.started.is_some());
            let names = running.map(|entry| format!("`{}`", entry.key.task_id)).collect::<Vec<_>>().join(", ");
            // In the words that existing orchestrators look for.
            drop(reply.send(Err(StartRefused::Busy(format!("not in IDLE: running {names}")))));
            return;
        }
        if let Err((answer, why)) = self.hand(call, None, Answer::Start(reply)) {
            self.gate.leave();
            self.wake_waiting();
            answer.refuse(why);
        }
    }

    /// When a try of a task that says its run has started, if it did.
    fn started(&self, key: &AttemptKey) -> Option<Duration> {
        if key.run_id.is_empty() {
            return None;
        }
        let running = self.entries.values().find(|entry| entry.key == *key).and_then(|entry| entry.handle.start());
        let over = || self.over.iter().find(|over| over.key == *key).map(|over| over.start);
        running.or_else(over).map(|start| start.realtime)
    }

    pub(super) fn arm(&mut self, call: &ArmCall, reply: Reply<()>) {
        let key = &call.start.key;
        if call.instance != self.identity.instance {
            drop(reply.send(Err("its instant is on the clock of another runner: this one was begun since".to_owned())));
            return;
        }
        if self.unwanted.iter().any(|unwanted| unwanted.names(key)) {
            drop(reply.send(Err(UNWANTED.to_owned())));
            return;
        }
        let mut same = self.entries.values().filter(|entry| entry.key == *key && !entry.handle.is_withdrawn());
        if let Some(entry) = same.next() {
            let answer = match entry.armed {
                Some(_) if entry.started.is_none() && entry.answer.is_none() => Ok(()),
                _ => Err(format!("`{}` is under way", key.task_id)),
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
                reply.send(Err(format!("it came {late:?} after its instant, and may start up to {limit:?} after it"))),
            );
            return;
        }
        let armed = self.entries.values().filter(|entry| entry.armed.is_some() && entry.started.is_none()).count();
        if armed >= self.settings.max_armed {
            drop(reply.send(Err(format!("{armed} tasks are armed, and no more may be"))));
            return;
        }
        // One for each that may run and for each that waits: a start that is not armed always finds one.
        if let Err(error) = self.pool.grow(self.settings.parallel.get() + armed + 1) {
            drop(reply.send(Err(error.to_string())));
            return;
        }
        if let Err((answer, why)) = self.hand(&call.start, Some(release), Answer::Arm(reply)) {
            answer.refuse(why);
        }
    }

    /// Hands a task to a worker.
    fn hand(&mut self, call: &StartCall, armed: Option<Release>, answer: Answer) -> Result<(), (Answer, String)> {
        if self.closing {
            return Err((answer, "the task runner is stopping".to_owned()));
        }
        let (parameters, protocol) = match entry::parameters(call, self.settings.max_request) {
            Ok(read) => read,
            Err(fault) => return Err((answer, format!("parameters: {fault}"))),
        };
        let work = match self.registry.choose(&parameters, call.key.task_id.as_str()) {
            Ok(work) => work.clone(),
            Err(why) => return Err((answer, why)),
        };
        let (real_time, lower) = self.rank.above(self.settings.real_time_of(call.real_time));
        let worker = self.pool.take(real_time);
        let Some((worker, bell)) = worker.and_then(|worker| Some((worker, self.pool.bell(worker)?))) else {
            return Err((answer, "no worker is free".to_owned()));
        };
        self.last += 1;
        let handle = Arc::new(Handle::new(Cancellation::new(bell)));
        let job = Job {
            id: self.last,
            key: call.key.clone(),
            work,
            parameters,
            scheduled: call.scheduled,
            deadline: call.deadline,
            real_time,
            strict: self.settings.strict || call.strict,
            not_applied: lower.into_iter().collect(),
            release: armed,
            handle: Arc::clone(&handle),
        };
        if let Err(NotHad { why, .. }) = self.pool.hand(worker, job) {
            self.pool.give(worker);
            self.settle_rank();
            return Err((answer, why));
        }
        let entry = Entry {
            key: call.key.clone(),
            handle,
            worker,
            protocol,
            real_time,
            armed: armed.map(|release| release.at),
            answer: Some(answer),
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
            None if self.over.iter().any(|over| over.key == *key) => Disarmed::Started,
            None => Disarmed::NotArmed,
        }
    }
}

/// Takes back a task that has not started; `false` when it has.
pub(super) fn withdraw(entry: &Entry) -> bool {
    let withdrawn = entry.handle.withdraw();
    if withdrawn {
        entry.handle.cancel.bell().waker().wake();
    }
    withdrawn
}
