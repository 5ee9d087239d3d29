//! What the table keeps, and how its tasks are found.

use crate::model::TaskId;
use crate::rt::Monotonic;
use crate::task::entry::{EndedTask, Entry};
use crate::task::handle::Slots;
use crate::task::journal::Journal;
use crate::task::pool::Pool;
use crate::task::registry::Registry;
use crate::task::server_priority::ServerPriority;
use crate::task::settings::RunnerSettings;
use crate::wire::{AttemptKey, Capabilities, EndNotice, Reply, Stopped};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Beyond the grace, the time that the end by force may take.
pub(super) const FORCE: Duration = Duration::from_millis(250);

/// The state of every task.
pub(in crate::task) struct TaskTable {
    pub(super) settings: RunnerSettings,
    pub(super) registry: Registry,
    pub(super) identity: Capabilities,
    pub(super) pool: Pool,
    pub(super) priority: ServerPriority,
    pub(super) slots: Arc<Slots>,
    pub(super) journal: Journal,
    /// `None` when ends are not reported to anybody.
    pub(super) notices: Option<mpsc::Sender<EndNotice>>,
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) ended: VecDeque<EndedTask>,
    pub(super) stops: Vec<StopRequest>,
    /// Attempts that were stopped before they came.
    pub(super) unwanted: VecDeque<AttemptKey>,
    /// The id of the last task that was accepted.
    pub(super) last: u64,
    pub(super) closing: bool,
}

/// A caller that waits for tasks to end.
pub(super) struct StopRequest {
    pub(super) tasks: Vec<u64>,
    pub(super) reply: Reply<Stopped>,
    pub(super) until: Monotonic,
}

impl TaskTable {
    pub(in crate::task) fn new(
        settings: RunnerSettings,
        registry: Registry,
        identity: Capabilities,
        pool: Pool,
        slots: Arc<Slots>,
        notices: Option<mpsc::Sender<EndNotice>>,
    ) -> Self {
        let journal = Journal::new(identity.instance.clone());
        Self {
            settings,
            registry,
            identity,
            pool,
            priority: ServerPriority::new(),
            slots,
            journal,
            notices,
            entries: BTreeMap::new(),
            ended: VecDeque::new(),
            stops: Vec::new(),
            unwanted: VecDeque::new(),
            last: 0,
            closing: false,
        }
    }

    /// Every accepted task has ended.
    pub(in crate::task) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// The attempt that is named; without a run the tasks of an id. Existing orchestrators may say the kind of work instead:
    /// then all that are there.
    pub(super) fn matching(&self, key: &AttemptKey) -> Vec<u64> {
        if !key.run_id.is_empty() {
            return self.entries.iter().filter(|(_, entry)| key.names(&entry.key)).map(|(id, _)| *id).collect();
        }
        let task = &key.task_id;
        let of_id = |entry: &&Entry| entry.key.task_id == *task;
        if self.entries.values().any(|entry| of_id(&entry)) {
            self.entries.iter().filter(|(_, entry)| of_id(entry)).map(|(id, _)| *id).collect()
        } else if self.is_kind(task) {
            self.entries.keys().copied().collect()
        } else {
            Vec::new()
        }
    }

    /// The ended attempt that is named, or the last ended task of an id.
    pub(super) fn ended(&self, key: &AttemptKey) -> Option<&EndedTask> {
        self.ended.iter().rev().find(|ended| key.names(&ended.key))
    }

    pub(super) fn is_kind(&self, task: &TaskId) -> bool {
        self.registry.get(task.as_str()).is_some()
    }

    /// Removes a task that has ended or does not start: its worker and its slot are free.
    pub(super) fn remove(&mut self, id: u64, ran: bool) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.pool.release(entry.worker);
        self.lower_priority();
        if entry.armed.is_none() || ran {
            self.slots.release();
        }
        self.wake_waiting();
        Some(entry)
    }

    pub(super) fn lower_priority(&mut self) {
        self.priority.lower(self.entries.values().map(|entry| entry.real_time));
    }

    /// A slot may be free: those that are due try again.
    pub(super) fn wake_waiting(&self) {
        let now = Monotonic::now();
        let waits = |entry: &&Entry| entry.started.is_none() && entry.armed.is_some_and(|at| at <= now);
        self.entries.values().filter(waits).for_each(|entry| entry.handle.cancel.signal().waker().wake());
    }
}
