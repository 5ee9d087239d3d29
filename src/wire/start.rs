//! Starting a task: what a task server is asked to do, and its bytes.

use super::payload::{OutputFault, Payload};
use super::proto::{RtDeadline, Wish};
use super::raw::StartTaskRequest;
use super::time::{micros, since};
use crate::model::{RealTime, RtPolicy, TaskId, TaskProtocol, nanos};
use bytes::Bytes;
use prost::Message;
use serde_json::{Map, Value};
use std::time::Duration;

/// One attempt of one occurrence of one task of one run: what identifies it at a task server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The run; empty from an orchestrator that does not say.
    pub run_id: String,
    /// The task.
    pub task_id: TaskId,
    /// Which occurrence of a periodic task, from 0.
    pub occurrence: u32,
    /// Which attempt, from 1; 0 from an orchestrator that does not say.
    pub attempt: u32,
}

impl AttemptKey {
    /// A task by its id alone, as from an orchestrator that does not name the run.
    pub fn of_task(task_id: TaskId) -> Self {
        Self { run_id: String::new(), task_id, occurrence: 0, attempt: 0 }
    }

    /// Every attempt of a task in a run.
    pub fn of_run(run_id: &str, task_id: TaskId) -> Self {
        Self { run_id: run_id.to_owned(), ..Self::of_task(task_id) }
    }

    /// Whether this names an attempt: exactly that one; without an attempt each of the task in the run; without a run each of the
    /// task.
    pub fn names(&self, other: &Self) -> bool {
        self.task_id == other.task_id
            && (self.run_id.is_empty()
                || self.run_id == other.run_id
                    && (self.attempt == 0 || (self.occurrence, self.attempt) == (other.occurrence, other.attempt)))
    }
}

/// A request to start a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// What is started.
    pub key: AttemptKey,
    /// Its due time after the run's start; zero for a sequential task.
    pub scheduled: Duration,
    /// When it must have ended, as written in the schedule; sent for information, and enforced by the orchestrator.
    pub deadline: Option<Duration>,
    /// 0 to 100, more is first; travels in the older form only.
    pub priority: u8,
    /// Policy and CPU of the thread that runs it.
    pub real_time: RealTime,
    /// It does not start when these cannot be had.
    pub strict: bool,
    /// What it is given.
    pub parameters: Map<String, Value>,
}

impl Start {
    pub(super) fn to_wire(&self, protocol: TaskProtocol) -> StartTaskRequest {
        // Existing task functions read their own id from their parameters.
        let mut parameters = self.parameters.clone();
        parameters.insert("task_id".to_owned(), Value::String(self.key.task_id.as_str().to_owned()));
        let Wish { rt_policy, rt_priority, cpu_affinity, rt_deadline } = self.real_time.into();
        StartTaskRequest {
            task_id: self.key.task_id.as_str().to_owned(),
            scheduled_time_us: micros(self.scheduled),
            deadline_us: self.deadline.map_or(0, micros),
            parameters: Payload::encode_object(&parameters, protocol).into_wire(),
            priority: match protocol {
                TaskProtocol::Json => 0,
                TaskProtocol::Map => i32::from(self.priority),
            },
            rt_policy,
            rt_priority,
            cpu_affinity,
            run_id: self.key.run_id.clone(),
            attempt: self.key.attempt,
            occurrence: self.key.occurrence,
            rt_deadline,
            strict: self.strict,
        }
    }
}

impl From<RealTime> for Wish {
    fn from(real_time: RealTime) -> Self {
        let (rt_priority, rt_deadline) = match real_time.policy {
            RtPolicy::Other => (0, None),
            RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => (i32::from(priority), None),
            RtPolicy::Deadline { runtime, deadline, period } => {
                let numbers =
                    RtDeadline { runtime_ns: nanos(runtime), deadline_ns: nanos(deadline), period_ns: nanos(period) };
                (0, Some(numbers))
            }
        };
        Self {
            rt_policy: real_time.policy.name().to_owned(),
            rt_priority,
            cpu_affinity: real_time.cpu.and_then(|cpu| i32::try_from(cpu).ok()).unwrap_or(-1),
            rt_deadline,
        }
    }
}

impl TryFrom<Wish> for RealTime {
    type Error = StartFault;

    fn try_from(wish: Wish) -> Result<Self, StartFault> {
        let priority = || match u8::try_from(wish.rt_priority) {
            Ok(priority @ 1..=99) => Ok(priority),
            _ => Err(StartFault::RtPriority(wish.rt_priority)),
        };
        let policy = match wish.rt_policy.as_str() {
            "" | "none" => RtPolicy::Other,
            "fifo" => RtPolicy::Fifo { priority: priority()? },
            "rr" => RtPolicy::RoundRobin { priority: priority()? },
            "deadline" => {
                let numbers = wish.rt_deadline.ok_or(StartFault::NoDeadlineNumbers)?;
                RtPolicy::Deadline {
                    runtime: Duration::from_nanos(numbers.runtime_ns),
                    deadline: Duration::from_nanos(numbers.deadline_ns),
                    period: Duration::from_nanos(numbers.period_ns),
                }
            }
            _ => return Err(StartFault::Policy(wish.rt_policy)),
        };
        Ok(Self { policy, cpu: u32::try_from(wish.cpu_affinity).ok() })
    }
}

/// A start whose bytes are ready, so that nothing but sending is left for its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedStart {
    message: Bytes,
}

impl PreparedStart {
    /// Encodes a start for a task server that speaks `protocol`.
    pub fn new(start: &Start, protocol: TaskProtocol) -> Self {
        Self { message: start.to_wire(protocol).encode_to_vec().into() }
    }

    /// The message as it travels, without the frame of gRPC.
    pub fn bytes(&self) -> &Bytes {
        &self.message
    }
}

/// A start as a task server receives it; its parameters are not yet understood.
#[derive(Clone, Debug, PartialEq)]
pub struct StartCall {
    /// What is started. `run_id` is empty and `attempt` 0 when the orchestrator does not say.
    pub key: AttemptKey,
    /// Its due time after the run's start.
    pub scheduled: Duration,
    /// When it must have ended.
    pub deadline: Option<Duration>,
    /// 0 to 100; `None` in the newer form, which has none.
    pub priority: Option<u8>,
    /// Policy and CPU of the thread that runs it.
    pub real_time: RealTime,
    /// It does not start when these cannot be had.
    pub strict: bool,
    /// What it is given; [`StartCall::parameters`] reads it.
    pub payload: Payload,
}

/// Why a request to start is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartFault {
    /// It names no task.
    #[error("task_id is empty")]
    NoTask,
    /// There is no such policy.
    #[error("rt_policy `{0}` is none of none, fifo, rr, deadline")]
    Policy(String),
    /// The priority is out of its range.
    #[error("rt_priority {0} is not within 1 to 99, as rt_policy asks for")]
    RtPriority(i32),
    /// `SCHED_DEADLINE` without its numbers, as orchestrators of the existing form ask for it.
    #[error("rt_policy deadline needs rt_deadline with runtime, deadline and period")]
    NoDeadlineNumbers,
    /// The priority is out of its range.
    #[error("priority {0} is not within 0 to 100")]
    Priority(i32),
}

impl StartCall {
    /// The parameters by the protocol that this task server speaks; empty when none came.
    ///
    /// # Errors
    /// When they are larger than `limit` bytes or not of that form. JSON that is not an object is reported as not JSON.
    pub fn parameters(&self, protocol: TaskProtocol, limit: usize) -> Result<Map<String, Value>, OutputFault> {
        match self.payload.decode(protocol, limit)? {
            None => Ok(Map::new()),
            Some(Value::Object(parameters)) => Ok(parameters),
            Some(other) => serde_json::from_value(other).map_err(OutputFault::NotJson),
        }
    }
}

impl TryFrom<StartTaskRequest> for StartCall {
    type Error = StartFault;

    fn try_from(request: StartTaskRequest) -> Result<Self, StartFault> {
        if request.task_id.is_empty() {
            return Err(StartFault::NoTask);
        }
        let StartTaskRequest { rt_policy, rt_priority, cpu_affinity, rt_deadline, .. } = request;
        let real_time = Wish { rt_policy, rt_priority, cpu_affinity, rt_deadline }.try_into()?;
        let priority = match request.priority {
            0 => None,
            given => match u8::try_from(given) {
                Ok(priority @ 1..=100) => Some(priority),
                _ => return Err(StartFault::Priority(given)),
            },
        };
        Ok(Self {
            key: AttemptKey {
                run_id: request.run_id,
                task_id: TaskId::new(request.task_id),
                occurrence: request.occurrence,
                attempt: request.attempt,
            },
            scheduled: since(request.scheduled_time_us).unwrap_or_default(),
            deadline: since(request.deadline_us),
            priority,
            real_time,
            strict: request.strict,
            payload: Payload::from_wire(request.parameters),
        })
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
pub(in crate::wire) mod tests;
