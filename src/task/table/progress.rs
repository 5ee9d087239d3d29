//! What workers report, and what becomes due meanwhile.

use super::TaskTable;
use super::state::StopRequest;
use crate::model::TaskProtocol;
use crate::rt::{Monotonic, Thread};
use crate::task::clock;
use crate::task::entry::{self, EndedTask, Entry, PendingReply};
use crate::task::pool::Unavailable;
use crate::task::worker::{Execution, Report, Update};
use crate::wire::{AttemptKey, Happened};
use std::time::Duration;

/// How many ended tasks are remembered.
const ENDED: usize = 256;
/// An armed task reports its start to nobody: it is checked this much after its instant, when that costs it nothing.
const START_CHECK: Duration = Duration::from_millis(2);
/// And again after this, while it waits for a slot.
const START_RECHECK: Duration = Duration::from_millis(10);

impl TaskTable {
    /// A worker has started, or reports what became of a task.
    pub(in crate::task) fn report(&mut self, report: Report) {
        match report {
            Report::WorkerStarted { worker, thread } => self.worker_started(worker, thread),
            Report::Task { id, update } => self.update(id, update),
        }
    }

    fn worker_started(&mut self, worker: usize, thread: Thread) {
        let Err(Unavailable { id, why }) = self.pool.started(worker, thread) else { return };
        if let Some(entry) = self.remove(id, false) {
            entry.reply.into_iter().for_each(|reply| reply.refuse(why.clone()));
        }
    }

    fn update(&mut self, id: u64, update: Update) {
        if let Update::Ready = update {
            if let Some(Entry { armed: Some(_), reply, .. }) = self.entries.get_mut(&id)
                && let Some(PendingReply::Arm(reply)) = reply.take()
            {
                drop(reply.send(Ok(())));
            }
            return;
        }
        // A start is reported before the end.
        self.report_starts();
        let Some(entry) = self.remove(id, matches!(update, Update::Ended(_))) else { return };
        let refuse = |why: String| entry.reply.into_iter().for_each(|reply| reply.refuse(why.clone()));
        match update {
            Update::Ready => {}
            Update::Withdrawn => refuse("it was stopped before it started".to_owned()),
            Update::Missed(late) => self.journal.record(entry.key, Happened::Missed { late }),
            Update::Ended(execution) => self.end(entry.key, &execution, entry.protocol),
        }
    }

    fn end(&mut self, key: AttemptKey, execution: &Execution, protocol: TaskProtocol) {
        // An orchestrator that watches its own run needs no notice, or comes back to watch.
        let is_watched = self.journal.is_watched(&key.run_id);
        if let Some(notices) = self.notices.as_ref().filter(|_| !is_watched)
            && notices.try_send(entry::notice(&key, execution, protocol)).is_err()
        {
            tracing::warn!(
                task = key.task_id.as_str(),
                "too many end notices are waiting; the end of this task is reported to watchers only"
            );
        }
        self.journal.record(key.clone(), entry::event(execution));
        self.ended.push_back(EndedTask::new(key, execution));
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    fn report_starts(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.started.is_none()) {
            let Some(start) = entry.handle.start() else { continue };
            entry.started = Some(start);
            // An armed task is answered when its worker has reported that it is ready, even if it runs by now.
            entry.reply = match entry.reply.take() {
                Some(PendingReply::Start(reply)) => {
                    drop(reply.send(Ok(start.realtime)));
                    None
                }
                other => other,
            };
            self.journal.record(entry.key.clone(), Happened::Started { start });
        }
    }

    /// Does what has become due.
    pub(in crate::task) fn run_due(&mut self) {
        self.report_starts();
        let now = Monotonic::now();
        self.enforce_time_limit(now);
        self.answer_stops(now);
    }

    /// When [`Self::run_due`] is to be called again, unless something happens before.
    pub(in crate::task) fn next_due(&self) -> Option<Monotonic> {
        let now = Monotonic::now();
        let limit = self.settings.time_limit;
        let of_entry = |entry: &Entry| match (entry.started, entry.armed) {
            (Some(start), _) => limit
                .filter(|_| !entry.handle.cancel.is_cancelled())
                .map(|limit| clock::instant(start.monotonic) + limit),
            (None, Some(at)) if at + START_CHECK <= now => Some(now + START_RECHECK),
            (None, Some(at)) => Some(at + START_CHECK),
            (None, None) => Some(now + START_CHECK),
        };
        let entries = self.entries.values().filter_map(of_entry);
        entries.chain(self.stops.iter().map(|StopRequest { until, .. }| *until)).min()
    }
}
