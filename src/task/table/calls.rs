//! Answers to calls that change nothing: capabilities, clock, status, events.

use super::TaskTable;
use crate::model::RealTime;
use crate::task::clock;
use crate::task::entry;
use crate::task::server_priority::refused_here;
use crate::wire::{AttemptKey, Capabilities, ClockReading, TaskCall, TaskState, TaskStatus};
use std::sync::Arc;
use tokio::sync::oneshot;

impl TaskTable {
    /// Answers a call, now or when its answer is known.
    pub(in crate::task) fn call(&mut self, call: TaskCall) {
        match call {
            TaskCall::Start(call, reply) => self.start(&call, reply),
            TaskCall::Stop { key, grace, reply } => self.stop(&key, grace, reply),
            TaskCall::Status(key, reply) => self.status(&key, reply),
            TaskCall::Clock(reply) => drop(reply.send(self.clock())),
            TaskCall::Arm(call, reply) => self.arm(&call, reply),
            TaskCall::Disarm(key, reply) => drop(reply.send(self.disarm(&key))),
            TaskCall::Capabilities(wishes, reply) => self.capabilities(&wishes, reply),
            // A dropped reply asks the watcher to come again.
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
        tokio::task::spawn_blocking(move || {
            drop(reply.send(Capabilities { not_applied: refused_here(&wishes), ..identity }));
        });
    }

    fn clock(&self) -> ClockReading {
        let Capabilities { instance, boot_id, .. } = &self.identity;
        ClockReading { instance: instance.clone(), boot_id: boot_id.clone(), now: clock::stamp() }
    }

    fn status(&self, key: &AttemptKey, reply: oneshot::Sender<TaskStatus>) {
        let task = &key.task_id;
        let entry = self.matching(key).last().and_then(|id| self.entries.get(id));
        let status = match (entry, self.ended(key)) {
            (Some(entry), _) => match entry.handle.start() {
                // All processes are read to find the group of one: that takes milliseconds, in which another task may
                // be due. A function's figures are one small file, and reported even when it leaves no CPU to others.
                Some(start) if entry.handle.is_program() => {
                    let (task, handle) = (task.clone(), Arc::clone(&entry.handle));
                    tokio::task::spawn_blocking(move || reply.send(entry::running(&task, &handle, start)));
                    return;
                }
                Some(start) => entry::running(task, &entry.handle, start),
                None => entry::idle(task, TaskState::Starting),
            },
            (None, Some(ended)) => ended.status(),
            (None, None) if key.run_id.is_empty() && self.is_kind(task) => entry::idle(task, TaskState::Idle),
            (None, None) => entry::idle(task, TaskState::Unknown),
        };
        drop(reply.send(status));
    }
}
