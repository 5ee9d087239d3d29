//! The content of a start, and its bytes: known ahead, or once the tasks that it depends on have ended.

use super::parameters::parameters;
use super::run_context::RunContext;
use crate::model::{Schedule, Task, TaskId};
use crate::schedule::{Attempt, TaskIndex};
use crate::wire::{AttemptKey, PreparedStart, Start};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Outputs of more bytes are not read or written by the thread that starts tasks.
pub(super) const LARGE: usize = 16 << 10;

/// The starts of a run that are known before it begins, ready to be sent.
pub(super) fn first_starts(schedule: &Schedule, run: &str) -> BTreeMap<u32, (Attempt, PreparedStart)> {
    let tasks = (0u32..).zip(&schedule.tasks).filter(|(_, task)| is_known_ahead(task));
    let starts = tasks.map(|(at, task)| {
        let attempt = Attempt { task: TaskIndex(at), occurrence: 0, number: 1 };
        let start = start_of(schedule, run, attempt, task, |_| None);
        (at, (attempt, PreparedStart::new(&start, task.protocol)))
    });
    starts.collect()
}

/// Whether the parameters of a task do not depend on the output of another one.
pub(super) fn is_known_ahead(task: &Task) -> bool {
    task.needs.iter().all(|need| need.implied)
}

pub(super) fn key_of(run: &str, task: &Task, attempt: Attempt) -> AttemptKey {
    AttemptKey {
        run_id: run.to_owned(),
        task_id: task.id.clone(),
        occurrence: attempt.occurrence,
        attempt: attempt.number,
    }
}

pub(super) fn start_of<'o>(
    schedule: &Schedule,
    run: &str,
    attempt: Attempt,
    task: &Task,
    output: impl Fn(&TaskId) -> Option<&'o Value>,
) -> Start {
    Start {
        key: key_of(run, task, attempt),
        scheduled: task.release.due(attempt.occurrence).unwrap_or_default(),
        deadline: task.deadline.map(|deadline| deadline.after),
        priority: task.priority,
        real_time: task.real_time,
        strict: schedule.strict,
        parameters: parameters(task, output),
    }
}

/// The outputs that a task is given, each with its bytes.
pub(super) struct Given(pub(super) BTreeMap<TaskId, (Arc<Value>, usize)>);

impl Given {
    pub(super) fn get(&self, id: &TaskId) -> Option<&Value> {
        self.0.get(id).map(|(output, _)| &**output)
    }

    /// Writing them takes long.
    pub(super) fn is_large(&self) -> bool {
        self.0.values().map(|(_, bytes)| bytes).sum::<usize>() > LARGE
    }
}

/// A start with outputs that take long to write, by a thread that starts nothing; `None` when it was not written.
pub(super) async fn written(shared: Arc<RunContext>, attempt: Attempt, given: Given) -> Option<PreparedStart> {
    let write = move || {
        let task = shared.task(attempt)?;
        let run = shared.calls().run().to_owned();
        let start = start_of(&shared.schedule, &run, attempt, task, |id| given.get(id));
        Some(PreparedStart::new(&start, task.protocol))
    };
    tokio::task::spawn_blocking(write).await.ok().flatten()
}
