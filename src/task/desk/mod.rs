//! The state of every task: calls come in, workers report, and each is answered here.
//!
//! One thread has it, and it never waits for a worker: what takes time is a report or an instant.

mod starts;
mod stops;

use super::clock;
use super::entry::{self, Answer, Entry, Over};
use super::handle::Gate;
use super::journal::Journal;
use super::pool::{NotHad, Pool};
use super::rank::{Rank, tried};
use super::registry::Registry;
use super::settings::Settings;
use super::worker::{Outcome, Report, What};
use crate::model::{RealTime, TaskProtocol};
use crate::rt::{Monotonic, Thread};
use crate::wire::{AttemptKey, Capabilities, ClockReading, EndNotice, Happened, TaskCall, TaskState, TaskStatus};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stops::Stop;
use tokio::sync::{mpsc, oneshot};

/// How many tasks that are over are remembered.
const OVER: usize = 256;
/// Beyond the grace, the time that the end by force may take.
const FORCE: Duration = Duration::from_millis(250);
/// An armed task tells nobody that it starts: it is looked at this much after its instant, when that costs it nothing.
const LOOK: Duration = Duration::from_millis(2);
/// And again after this, while it waits for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The state of every task.
pub(super) struct Desk {
    settings: Settings,
    registry: Registry,
    identity: Capabilities,
    pool: Pool,
    rank: Rank,
    gate: Arc<Gate>,
    journal: Journal,
    /// `None` when nobody is told the ends.
    notices: Option<mpsc::Sender<EndNotice>>,
    entries: BTreeMap<u64, Entry>,
    over: VecDeque<Over>,
    stops: Vec<Stop>,
    /// Attempts that were stopped before they came.
    unwanted: VecDeque<AttemptKey>,
    last: u64,
    closing: bool,
}

impl Desk {
    pub(super) fn new(
        settings: Settings,
        registry: Registry,
        identity: Capabilities,
        pool: Pool,
        gate: Arc<Gate>,
        notices: Option<mpsc::Sender<EndNotice>>,
    ) -> Self {
        let journal = Journal::new(identity.instance.clone());
        let rank = Rank::new();
        let (entries, over, stops) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        Self {
            settings,
            registry,
            identity,
            pool,
            rank,
            gate,
            journal,
            notices,
            entries,
            over,
            stops,
            unwanted: VecDeque::new(),
            last: 0,
            closing: false,
        }
    }

    /// Nothing is accepted and not over.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Answers a call, now or when its answer is known.
    pub(super) fn call(&mut self, call: TaskCall) {
        match call {
            TaskCall::Start(call, reply) => self.start(&call, reply),
            TaskCall::Stop { key, grace, reply } => self.stop(&key, grace, reply),
            TaskCall::Status(key, reply) => self.status(&key, reply),
            TaskCall::Clock(reply) => drop(reply.send(self.clock())),
            TaskCall::Arm(call, reply) => self.arm(&call, reply),
            TaskCall::Disarm(key, reply) => drop(reply.send(self.disarm(&key))),
            TaskCall::Capabilities(wishes, reply) => self.capabilities(&wishes, reply),
            // Dropped, the watcher is told to come again.
            TaskCall::Watch(from, reply) => drop(self.journal.watch(&from).map(|events| reply.send(events))),
        }
    }

    fn capabilities(&self, wishes: &[RealTime], reply: oneshot::Sender<Capabilities>) {
        let identity = self.identity.clone();
        let wishes: Vec<RealTime> = wishes.iter().map(|wish| self.settings.real_time_of(*wish)).collect();
        if wishes.is_empty() {
            drop(reply.send(identity));
            return;
        }
        tokio::task::spawn_blocking(move || drop(reply.send(Capabilities { not_applied: tried(&wishes), ..identity })));
    }

    fn clock(&self) -> ClockReading {
        let Capabilities { instance, boot_id, .. } = &self.identity;
        ClockReading { instance: instance.clone(), boot_id: boot_id.clone(), now: clock::stamp() }
    }

    fn status(&self, key: &AttemptKey, reply: oneshot::Sender<TaskStatus>) {
        let task = &key.task_id;
        let entry = self.meant(key).last().and_then(|job| self.entries.get(job));
        let over = self.over_of(key);
        let status = match (entry, over) {
            (Some(entry), _) => match entry.handle.start() {
                // All processes are looked at for the group of one: that takes milliseconds, in which another task may
                // be due. A function's figures are one small file, and told even when it leaves no CPU to others.
                Some(start) if entry.handle.is_program() => {
                    let (task, handle) = (task.clone(), Arc::clone(&entry.handle));
                    tokio::task::spawn_blocking(move || reply.send(entry::running(&task, &handle, start)));
                    return;
                }
                Some(start) => entry::running(task, &entry.handle, start),
                None => entry::idle(task, TaskState::Starting),
            },
            (None, Some(over)) => over.status(),
            (None, None) if key.run_id.is_empty() && self.is_kind(task) => entry::idle(task, TaskState::Idle),
            (None, None) => entry::idle(task, TaskState::Unknown),
        };
        drop(reply.send(status));
    }

    /// A worker says that it is there, or what became of a task.
    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Up { worker, thread } => self.up(worker, thread),
            Report::Job { job, what } => self.became(job, what),
        }
    }

    fn up(&mut self, worker: usize, thread: Thread) {
        let Err(NotHad { job, why }) = self.pool.up(worker, thread) else { return };
        if let Some(entry) = self.leave(job, false) {
            entry.answer.into_iter().for_each(|answer| answer.refuse(why.clone()));
        }
    }

    /// A task is over, or does not start: its worker and its place are free.
    fn leave(&mut self, job: u64, ran: bool) -> Option<Entry> {
        let entry = self.entries.remove(&job)?;
        self.pool.give(entry.worker);
        self.settle_rank();
        if entry.armed.is_none() || ran {
            self.gate.leave();
        }
        self.wake_waiting();
        Some(entry)
    }

    fn settle_rank(&mut self) {
        self.rank.settle(self.entries.values().map(|entry| entry.real_time));
    }

    fn became(&mut self, job: u64, what: What) {
        if let What::Ready = what {
            if let Some(Entry { armed: Some(_), answer, .. }) = self.entries.get_mut(&job)
                && let Some(Answer::Arm(reply)) = answer.take()
            {
                drop(reply.send(Ok(())));
            }
            return;
        }
        // A start is told before the end.
        self.look_at_starts();
        let Some(entry) = self.leave(job, matches!(what, What::Over(_))) else { return };
        let refuse = |why: String| entry.answer.into_iter().for_each(|answer| answer.refuse(why.clone()));
        match what {
            What::Ready => {}
            What::Withdrawn => refuse("it was stopped before it started".to_owned()),
            What::Missed(late) => self.journal.tell(entry.key, Happened::Missed { late }),
            What::Over(outcome) => self.end(entry.key, &outcome, entry.protocol),
        }
    }

    fn end(&mut self, key: AttemptKey, outcome: &Outcome, protocol: TaskProtocol) {
        // Who watches its own run needs no notice, or comes back to watch.
        let is_told = self.journal.is_watched(&key.run_id);
        if let Some(notices) = self.notices.as_ref().filter(|_| !is_told)
            && notices.try_send(entry::notice(&key, outcome, protocol)).is_err()
        {
            tracing::warn!(task = key.task_id.as_str(), "too many notices wait; this end is told to watchers only");
        }
        self.journal.tell(key.clone(), entry::event(outcome));
        self.over.push_back(Over::new(key, outcome));
        if self.over.len() > OVER {
            self.over.pop_front();
        }
    }

    /// A place may be free: those that are due try again.
    fn wake_waiting(&self) {
        let now = Monotonic::now();
        let waits = |entry: &&Entry| entry.started.is_none() && entry.armed.is_some_and(|at| at <= now);
        self.entries.values().filter(waits).for_each(|entry| entry.handle.cancel.bell().waker().wake());
    }

    fn look_at_starts(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.started.is_none()) {
            let Some(start) = entry.handle.start() else { continue };
            entry.started = Some(start);
            // What was armed is answered when its worker has said that it stands ready, even if it runs by now.
            entry.answer = match entry.answer.take() {
                Some(Answer::Start(reply)) => {
                    drop(reply.send(Ok(start.realtime)));
                    None
                }
                other => other,
            };
            self.journal.tell(entry.key.clone(), Happened::Started { start });
        }
    }

    /// Does what has become due.
    pub(super) fn look(&mut self) {
        self.look_at_starts();
        let now = Monotonic::now();
        self.stop_what_is_too_long(now);
        self.answer_stops(now);
    }

    /// When to look again, unless something happens before.
    pub(super) fn next(&self) -> Option<Monotonic> {
        let now = Monotonic::now();
        let limit = self.settings.time_limit;
        let of_entry = |entry: &Entry| match (entry.started, entry.armed) {
            (Some(start), _) => limit
                .filter(|_| !entry.handle.cancel.is_cancelled())
                .map(|limit| clock::instant(start.monotonic) + limit),
            (None, Some(at)) if at + LOOK <= now => Some(now + LOOK_AGAIN),
            (None, Some(at)) => Some(at + LOOK),
            (None, None) => Some(now + LOOK),
        };
        let entries = self.entries.values().filter_map(of_entry);
        entries.chain(self.stops.iter().map(|stop| stop.until)).min()
    }
}
