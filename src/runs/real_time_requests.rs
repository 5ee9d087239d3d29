//! The real-time settings that the tasks of a run ask for, by task server: what a server cannot give is known before the run
//! begins, if it is our own runner.

use crate::model::{RealTime, RtPolicy, Schedule, TaskId};
use crate::wire::Capabilities;

/// What is asked for at each task server, each setting once.
pub(super) struct RealTimeRequests {
    servers: Vec<Vec<RealTime>>,
    /// The first task that asks for it.
    tasks: Vec<Vec<TaskId>>,
}

impl RealTimeRequests {
    /// The requests of a schedule; `server_of` has the server of each task.
    pub(super) fn new(schedule: &Schedule, server_of: &[usize]) -> Self {
        let servers = server_of.iter().filter(|server| **server != usize::MAX).max().map_or(0, |last| last + 1);
        let mut requests = Self { servers: vec![Vec::new(); servers], tasks: vec![Vec::new(); servers] };
        for (task, server) in schedule.tasks.iter().zip(server_of) {
            let (Some(known), Some(tasks)) = (requests.servers.get_mut(*server), requests.tasks.get_mut(*server))
            else {
                continue;
            };
            let is_wish = task.real_time.policy != RtPolicy::Other || task.real_time.cpu.is_some();
            if is_wish && !known.contains(&task.real_time) {
                known.push(task.real_time);
                tasks.push(task.id.clone());
            }
        }
        requests
    }

    /// What is asked for at a server.
    pub(super) fn of(&self, server: usize) -> &[RealTime] {
        self.servers.get(server).map_or(&[], Vec::as_slice)
    }

    /// What a runner cannot give, each with a task that asks for it.
    pub(super) fn not_applied(&self, server: usize, runner: &Capabilities) -> Vec<String> {
        let refused = runner.not_applied.iter().filter_map(|(wish, why)| {
            let task = self.tasks.get(server)?.get(*wish)?;
            Some(remark(task, why))
        });
        refused.collect()
    }
}

/// A remark about a task.
pub(super) fn remark(task: &TaskId, text: &str) -> String {
    format!("{task}: {text}")
}
