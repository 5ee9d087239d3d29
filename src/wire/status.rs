//! What a task server answers.

use super::proto;
use super::time::{micros, since};
use std::time::Duration;

/// A start was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The task's id as the task server calls it: an existing one may say its own name, by which it will report the end.
    pub task_id: String,
    /// When it says that it started, by its wall clock since 1970; `None` when not said.
    pub started: Option<Duration>,
    /// Free text.
    pub message: String,
}

/// Whether a start was refused only because the task server is busy, so that it may be tried again.
///
/// Our own runner says it in a field of the answer. Existing task servers only say it in a sentence: this is the one place
/// that reads it, and an unknown sentence counts as a final refusal.
pub(super) fn is_busy(answer: &proto::StartTaskResponse) -> bool {
    /// What existing task servers answer outside their state IDLE, which is the only one that takes a start.
    const NOT_IDLE: &str = "not in IDLE";
    match answer.refusal() {
        _ if answer.success => false,
        proto::StartRefusal::Busy => true,
        proto::StartRefusal::Final => false,
        proto::StartRefusal::Unspecified => answer.message.contains(NOT_IDLE),
    }
}

/// A stop was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When, by the task server's wall clock since 1970; `None` when not said.
    pub at: Option<Duration>,
    /// Free text.
    pub message: String,
}

/// The state a task server says a task is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Not known there, or said with a number that has no name.
    Unknown,
    /// Nothing runs.
    Idle,
    /// It was accepted and does not run yet.
    Starting,
    /// It runs.
    Running,
    /// It ended by itself.
    Completed,
    /// It failed.
    Failed,
    /// It was stopped.
    Stopped,
}

/// The status of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// The task's id as the task server calls it.
    pub task_id: String,
    /// Its state.
    pub state: TaskState,
    /// When it started, by the task server's wall clock since 1970; `None` when it did not.
    pub started: Option<Duration>,
    /// How long it runs or ran; `None` when not said.
    pub elapsed: Option<Duration>,
    /// Percent of one CPU; 0 from existing task servers.
    pub cpu_percent: f64,
    /// Resident memory in bytes; 0 from existing task servers.
    pub memory_bytes: u64,
}

/// The health of an orchestrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// It receives notices.
    pub running: bool,
    /// Its wall clock since 1970.
    pub time: Duration,
}

impl TaskStatus {
    pub(super) fn from_wire(message: proto::TaskStatusResponse) -> Self {
        Self {
            state: match message.state() {
                proto::TaskState::Unknown => TaskState::Unknown,
                proto::TaskState::Idle => TaskState::Idle,
                proto::TaskState::Starting => TaskState::Starting,
                proto::TaskState::Running => TaskState::Running,
                proto::TaskState::Completed => TaskState::Completed,
                proto::TaskState::Failed => TaskState::Failed,
                proto::TaskState::Stopped => TaskState::Stopped,
            },
            task_id: message.task_id,
            started: since(message.start_time_us),
            elapsed: since(message.elapsed_time_us),
            cpu_percent: message.cpu_usage_percent,
            memory_bytes: u64::try_from(message.memory_usage_bytes).unwrap_or(0),
        }
    }

    pub(super) fn into_wire(self) -> proto::TaskStatusResponse {
        let state = match self.state {
            TaskState::Unknown => proto::TaskState::Unknown,
            TaskState::Idle => proto::TaskState::Idle,
            TaskState::Starting => proto::TaskState::Starting,
            TaskState::Running => proto::TaskState::Running,
            TaskState::Completed => proto::TaskState::Completed,
            TaskState::Failed => proto::TaskState::Failed,
            TaskState::Stopped => proto::TaskState::Stopped,
        };
        proto::TaskStatusResponse {
            task_id: self.task_id,
            state: state.into(),
            start_time_us: self.started.map_or(0, micros),
            elapsed_time_us: self.elapsed.map_or(0, micros),
            cpu_usage_percent: self.cpu_percent,
            memory_usage_bytes: i64::try_from(self.memory_bytes).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_of_ours_is_known_by_a_field_and_an_existing_one_by_its_sentence() {
        let answer = |refusal: proto::StartRefusal, message: &str| {
            let message = message.to_owned();
            proto::StartTaskResponse { message, refusal: refusal.into(), ..proto::StartTaskResponse::default() }
        };
        assert!(is_busy(&answer(proto::StartRefusal::Busy, "all places are taken")));
        assert!(!is_busy(&answer(proto::StartRefusal::Final, "`x` is not in IDLE's list")), "ours decides by no words");
        assert!(is_busy(&answer(proto::StartRefusal::Unspecified, "Task is not in IDLE state")));
        assert!(!is_busy(&answer(proto::StartRefusal::Unspecified, "unknown task type")));
        let begun = proto::StartTaskResponse { success: true, ..answer(proto::StartRefusal::Busy, "") };
        assert!(!is_busy(&begun));
    }
}
