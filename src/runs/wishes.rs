//! The real-time settings that the tasks of a run ask for, each task server's for itself: what a server cannot give is known
//! before the run begins, if it is a runner of ours.

use crate::model::{RealTime, RtPolicy, Schedule, TaskId};
use crate::wire::Capabilities;

/// What is asked for at each task server, each setting once.
pub(super) struct Wishes {
    servers: Vec<Vec<RealTime>>,
    /// Who asks for it first.
    tasks: Vec<Vec<TaskId>>,
}

impl Wishes {
    /// The wishes of a schedule; `link_of` has the server of each task.
    pub(super) fn new(schedule: &Schedule, link_of: &[usize]) -> Self {
        let servers = link_of.iter().filter(|link| **link != usize::MAX).max().map_or(0, |last| last + 1);
        let mut wishes = Self { servers: vec![Vec::new(); servers], tasks: vec![Vec::new(); servers] };
        for (task, link) in schedule.tasks.iter().zip(link_of) {
            let (Some(known), Some(tasks)) = (wishes.servers.get_mut(*link), wishes.tasks.get_mut(*link)) else {
                continue;
            };
            let is_wish = task.real_time.policy != RtPolicy::Other || task.real_time.cpu.is_some();
            if is_wish && !known.contains(&task.real_time) {
                known.push(task.real_time);
                tasks.push(task.id.clone());
            }
        }
        wishes
    }

    /// What is asked for at a server.
    pub(super) fn of(&self, server: usize) -> &[RealTime] {
        self.servers.get(server).map_or(&[], Vec::as_slice)
    }

    /// What a runner cannot give, each with a task that asks for it.
    pub(super) fn not_applied(&self, server: usize, runner: &Capabilities) -> Vec<String> {
        let told = runner.not_applied.iter().filter_map(|(wish, why)| {
            let task = self.tasks.get(server)?.get(*wish)?;
            Some(remark(task, why))
        });
        told.collect()
    }
}

/// A remark about a task.
pub(super) fn remark(task: &TaskId, text: &str) -> String {
    format!("{task}: {text}")
}
