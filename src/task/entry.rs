//! What the desk knows of each task.

use super::clock::stamp;
use super::handle::Handle;
use super::worker::Outcome;
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

/// A task that was accepted and is not over.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: AttemptKey,
    pub(super) handle: Arc<Handle>,
    pub(super) worker: usize,
    /// How it was started, and so how its output travels.
    pub(super) protocol: TaskProtocol,
    /// What is in force for it, or would be.
    pub(super) real_time: RealTime,
    /// The instant of an armed one.
    pub(super) armed: Option<Monotonic>,
    pub(super) answer: Option<Answer>,
    /// Set once it is known to run.
    pub(super) started: Option<Stamp>,
}

/// Who waits for word of its start.
#[derive(Debug)]
pub(super) enum Answer {
    /// Until it runs.
    Start(oneshot::Sender<Result<Duration, StartRefused>>),
    /// Until its worker stands ready.
    Arm(Reply<()>),
}

impl Answer {
    /// It will not start. Who has given up does not hear it.
    pub(super) fn refuse(self, why: String) {
        match self {
            Self::Start(reply) => drop(reply.send(Err(StartRefused::Final(why)))),
            Self::Arm(reply) => drop(reply.send(Err(why))),
        }
    }
}

/// A task that ran.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) key: AttemptKey,
    pub(super) start: Stamp,
    pub(super) end: Stamp,
    status: TaskStatus,
}

impl Over {
    pub(super) fn new(key: AttemptKey, outcome: &Outcome) -> Self {
        let state = match outcome.result {
            TaskResult::Success => TaskState::Completed,
            TaskResult::Cancelled => TaskState::Stopped,
            TaskResult::Failure | TaskResult::Timeout | TaskResult::Unknown => TaskState::Failed,
        };
        let elapsed = outcome.end.monotonic.saturating_sub(outcome.start.monotonic);
        let status = TaskStatus {
            task_id: key.task_id.as_str().to_owned(),
            state,
            started: Some(outcome.start.realtime),
            elapsed: Some(elapsed),
            cpu_percent: percent(outcome.usage.user + outcome.usage.system, elapsed),
            memory_bytes: outcome.usage.peak,
        };
        Self { key, start: outcome.start, end: outcome.end, status }
    }

    /// For a task that is over, the figures are those of all its time: mean CPU and peak of memory.
    pub(super) fn status(&self) -> TaskStatus {
        self.status.clone()
    }
}

/// CPU time as percent of one CPU.
pub(super) fn percent(cpu: Duration, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64() }
}

/// The status of a task that runs. Reads files.
pub(super) fn running(task: &TaskId, handle: &Handle, start: Stamp) -> TaskStatus {
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

/// The parameters of a start, and the form they came in. Nothing in a request tells the form; a priority comes only in
/// the older one, and what is JSON in one is no map entry in the other.
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

/// The end of a task as its watchers are told.
pub(super) fn event(outcome: &Outcome) -> Happened {
    Happened::Ended(Ended {
        result: outcome.result,
        start: outcome.start,
        end: outcome.end,
        error_message: outcome.error.clone(),
        output_json: outcome.output.as_ref().map(Value::to_string).unwrap_or_default(),
        cpu_user: outcome.usage.user,
        cpu_system: outcome.usage.system,
        memory_peak: outcome.usage.peak,
        remarks: outcome.remarks.clone(),
        stdout: outcome.said.output.clone(),
        stderr: outcome.said.errors.clone(),
    })
}

/// The end of a task as its orchestrator is told.
pub(super) fn notice(key: &AttemptKey, outcome: &Outcome, protocol: TaskProtocol) -> EndNotice {
    let duration = outcome.end.monotonic.saturating_sub(outcome.start.monotonic);
    let output = outcome.output.as_ref().map(|output| Payload::encode(output, protocol));
    EndNotice {
        task_id: key.task_id.as_str().to_owned(),
        run_id: key.run_id.clone(),
        occurrence: key.occurrence,
        attempt: key.attempt,
        result: outcome.result,
        start: Some(outcome.start.realtime),
        // From the monotonic clock, so that a step of the wall clock during the task makes no time out of nothing.
        end: Some(outcome.start.realtime + duration),
        duration: Some(duration),
        error_message: outcome.error.clone(),
        raw_metrics: Payload::encode(&metrics(outcome), protocol),
        raw_output: output.unwrap_or_default(),
        from: None,
    }
}

/// Further figures; times in microseconds, but the start.
fn metrics(outcome: &Outcome) -> Value {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut metrics = json!({
        "cpu_user_us": micros(outcome.usage.user),
        "cpu_system_us": micros(outcome.usage.system),
        "memory_peak_bytes": outcome.usage.peak,
        "start_monotonic_ns": u64::try_from(outcome.start.monotonic.as_nanos()).unwrap_or(u64::MAX),
        "start_realtime_ns": u64::try_from(outcome.start.realtime.as_nanos()).unwrap_or(u64::MAX),
    });
    if let Some(late) = outcome.late {
        metrics["late_ns"] = Value::from(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
    }
    if !outcome.remarks.is_empty() {
        metrics["not_applied"] = Value::from(outcome.remarks.clone());
    }
    metrics
}
