//! What the table keeps of each task.

use super::clock::stamp;
use super::handle::TaskHandle;
use super::worker::Execution;
use crate::model::{RealTime, TaskId, TaskProtocol};
use crate::rt::Monotonic;
use crate::wire::{
    AttemptKey, EndNotice, Ended, Happened, OutputFault, Payload, Reply, Stamp, StartCall, StartRefused, TaskResult,
    TaskState, TaskStatus,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A task that was accepted and has not ended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: AttemptKey,
    pub(super) handle: Arc<TaskHandle>,
    pub(super) worker: usize,
    /// How it was started, and so how its output travels.
    pub(super) protocol: TaskProtocol,
    /// What is in force for it, or would be.
    pub(super) real_time: RealTime,
    /// The instant of an armed one.
    pub(super) armed: Option<Monotonic>,
    /// The reply to the call, until it is sent.
    pub(super) reply: Option<PendingReply>,
    /// Set once it is known to run.
    pub(super) started: Option<Stamp>,
}

/// A reply to the call that brought a task, which is sent later.
#[derive(Debug)]
pub(super) enum PendingReply {
    /// Sent when it runs.
    Start(oneshot::Sender<Result<Duration, StartRefused>>),
    /// Sent when its worker is ready.
    Arm(Reply<()>),
}

impl PendingReply {
    /// It will not start. A caller that has given up does not learn it.
    pub(super) fn refuse(self, why: String) {
        match self {
            Self::Start(reply) => drop(reply.send(Err(StartRefused::Final(why)))),
            Self::Arm(reply) => drop(reply.send(Err(why))),
        }
    }
}

/// A task that has ended.
#[derive(Clone, Debug)]
pub(super) struct EndedTask {
    pub(super) key: AttemptKey,
    pub(super) start: Stamp,
    pub(super) end: Stamp,
    status: TaskStatus,
}

impl EndedTask {
    pub(super) fn new(key: AttemptKey, execution: &Execution) -> Self {
        let state = match execution.result {
            TaskResult::Success => TaskState::Completed,
            TaskResult::Cancelled => TaskState::Stopped,
            TaskResult::Failure | TaskResult::Timeout | TaskResult::Unknown => TaskState::Failed,
        };
        let elapsed = execution.end.monotonic.saturating_sub(execution.start.monotonic);
        let status = TaskStatus {
            task_id: key.task_id.as_str().to_owned(),
            state,
            started: Some(execution.start.realtime),
            elapsed: Some(elapsed),
            cpu_percent: percent(execution.usage.user + execution.usage.system, elapsed),
            memory_bytes: execution.usage.peak,
        };
        Self { key, start: execution.start, end: execution.end, status }
    }

    /// Its status; the figures are those of the whole execution: mean CPU and peak of memory.
    pub(super) fn status(&self) -> TaskStatus {
        self.status.clone()
    }
}

/// CPU time as percent of one CPU.
pub(super) fn percent(cpu: Duration, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64() }
}

/// The status of a task that runs. Reads files.
pub(super) fn running(task: &TaskId, handle: &TaskHandle, start: Stamp) -> TaskStatus {
    let figures = handle.figures();
    let elapsed = stamp().monotonic.saturating_sub(start.monotonic);
    TaskStatus {
        task_id: task.as_str().to_owned(),
        state: TaskState::Running,
        started: Some(start.realtime),
        elapsed: Some(elapsed),
        cpu_percent: percent(figures.cpu, elapsed),
        memory_bytes: figures.memory,
    }
}

/// The status of a task that does not run.
pub(super) fn idle(task: &TaskId, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task.as_str().to_owned(),
        state,
        started: None,
        elapsed: None,
        cpu_percent: 0.0,
        memory_bytes: 0,
    }
}

/// The parameters of a start, and the form they came in. A request does not say its form; a priority comes only in
/// the older one, and what is JSON in one is not a map entry in the other.
///
/// # Errors
/// When they are of neither form, or larger than `limit` bytes.
pub(super) fn parameters(call: &StartCall, limit: usize) -> Result<(Map<String, Value>, TaskProtocol), OutputFault> {
    let read = |protocol| call.parameters(protocol, limit).map(|parameters| (parameters, protocol));
    if call.priority.is_some() {
        return read(TaskProtocol::Map);
    }
    read(TaskProtocol::Json).or_else(|fault| match fault {
        OutputFault::NotJson(_) => read(TaskProtocol::Map).map_err(|_| fault),
        OutputFault::TooLarge { .. } | OutputFault::NotMapEntry(_) => Err(fault),
    })
}

/// The end of a task as it is reported to watchers.
pub(super) fn event(execution: &Execution) -> Happened {
    Happened::Ended(Ended {
        result: execution.result,
        start: execution.start,
        end: execution.end,
        error_message: execution.error.clone(),
        output_json: execution.output.as_ref().map(Value::to_string).unwrap_or_default(),
        cpu_user: execution.usage.user,
        cpu_system: execution.usage.system,
        memory_peak: execution.usage.peak,
        remarks: execution.remarks.clone(),
        stdout: execution.streams.output.clone(),
        stderr: execution.streams.errors.clone(),
    })
}

/// The end of a task as it is reported to its orchestrator.
pub(super) fn notice(key: &AttemptKey, execution: &Execution, protocol: TaskProtocol) -> EndNotice {
    let duration = execution.end.monotonic.saturating_sub(execution.start.monotonic);
    let output = execution.output.as_ref().map(|output| Payload::encode(output, protocol));
    EndNotice {
        task_id: key.task_id.as_str().to_owned(),
        run_id: key.run_id.clone(),
        occurrence: key.occurrence,
        attempt: key.attempt,
        result: execution.result,
        start: Some(execution.start.realtime),
        // From the monotonic clock, so that a step of the wall clock during the task does not change its duration.
        end: Some(execution.start.realtime + duration),
        duration: Some(duration),
        error_message: execution.error.clone(),
        raw_metrics: Payload::encode(&metrics(execution), protocol),
        raw_output: output.unwrap_or_default(),
        from: None,
    }
}

/// Further figures; times in microseconds, but the start.
fn metrics(execution: &Execution) -> Value {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut metrics = json!({
        "cpu_user_us": micros(execution.usage.user),
        "cpu_system_us": micros(execution.usage.system),
        "memory_peak_bytes": execution.usage.peak,
        "start_monotonic_ns": u64::try_from(execution.start.monotonic.as_nanos()).unwrap_or(u64::MAX),
        "start_realtime_ns": u64::try_from(execution.start.realtime.as_nanos()).unwrap_or(u64::MAX),
    });
    if let Some(late) = execution.late {
        metrics["late_ns"] = Value::from(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
    }
    if !execution.remarks.is_empty() {
        metrics["not_applied"] = Value::from(execution.remarks.clone());
    }
    metrics
}
