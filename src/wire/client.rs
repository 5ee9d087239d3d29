//! Calling task servers and orchestrators.

use super::codec::PreparedCodec;
use super::connection::KeepAlive;
use super::error::{CallError, NoAnswer};
use super::notice::EndNotice;
use super::peer::{Method, Peer};
use super::proto;
use super::runner::{Arm, Capabilities, ClockReading, Disarmed, RunnerFault, TaskEvent, WatchFrom};
use super::start::{AttemptKey, PreparedStart};
use super::status::{Ack, Health, Stopped, TaskStatus, is_busy};
use super::time::since;
use super::tls::Tls;
use crate::model::{RealTime, TaskAddress, TaskId, TaskProtocol};
use std::time::Duration;
use tonic::Code;
use tonic::codec::Streaming;

/// The task id of calls that only test the connection; no task has it.
const NO_TASK: &str = "setpoint.warm";

macro_rules! methods {
    ($($name:ident = $service:literal $method:literal;)*) => {
        $(const $name: Method =
            Method { name: $method, path: concat!("/orchestrator.", $service, "/", $method) };)*
    };
}

methods! {
    START = "TaskService" "StartTask";
    STOP = "TaskService" "StopTask";
    STATUS = "TaskService" "GetTaskStatus";
    NOTIFY = "OrchestratorService" "NotifyTaskEnd";
    HEALTH = "OrchestratorService" "HealthCheck";
    CAPABILITIES = "RunnerService" "Capabilities";
    CLOCK = "RunnerService" "Clock";
    ARM = "RunnerService" "Arm";
    DISARM = "RunnerService" "Disarm";
    WATCH = "RunnerService" "Watch";
}

/// A peer that says this may be about to hang up.
fn fading(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
}

/// A task server. Each call is bounded, connection included, and may be made while others are in progress.
#[derive(Debug)]
pub struct TaskChannel {
    peer: Peer,
}

impl TaskChannel {
    /// A task server at an address; nothing is connected yet. `keep_alive` is for our own runner only: servers built on
    /// the gRPC core count idle pings as abuse and close the connection after three. `tls` is for an address that asks
    /// for it; without it each call to such an address fails.
    pub fn new(address: TaskAddress, keep_alive: Option<KeepAlive>, tls: Option<Tls>) -> Self {
        Self { peer: Peer::new(address, keep_alive, tls) }
    }

    /// Its address.
    pub fn address(&self) -> &TaskAddress {
        self.peer.address()
    }

    /// Connects if need be and makes one cheap call, so that names are resolved, settings exchanged and buffers made
    /// when the instant of a start comes. Any answer will do, a refusal too.
    ///
    /// # Errors
    /// When there is no connection or no answer within `bound`.
    pub async fn warm(&self, bound: Duration) -> Result<(), CallError> {
        match self.status(&AttemptKey::of_task(TaskId::new(NO_TASK)), bound).await {
            Ok(_) | Err(CallError::Refused { .. } | CallError::Busy { .. } | CallError::Unsupported { .. }) => Ok(()),
            // The call was refused, on a connection that works.
            Err(CallError::UnknownOutcome { source: NoAnswer::Status { code, .. }, .. }) if !fading(code) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Starts a task now.
    ///
    /// # Errors
    /// [`CallError::Busy`] when it may be started a moment later; see [`CallError`] for the others. After
    /// [`CallError::UnknownOutcome`] it may be running.
    pub async fn start(&self, start: &PreparedStart, bound: Duration) -> Result<Ack, CallError> {
        let answer = self.peer.unary_with(START, PreparedCodec, start.bytes().clone(), bound).await?;
        if !answer.success {
            let called = self.peer.called(START);
            return Err(if is_busy(&answer) { called.busy(answer.message) } else { called.refused(answer.message) });
        }
        Ok(Ack { task_id: answer.task_id, started: since(answer.actual_start_time_us), message: answer.message })
    }

    /// Asks an attempt to stop, and to be ended by force after `grace`; our own runner will not start it either, should its
    /// start come later. Existing task servers stop what they run, whatever it is, and answer only when it has ended by
    /// itself, whatever `grace` says.
    ///
    /// # Errors
    /// See [`CallError`]; after [`CallError::UnknownOutcome`] it may be stopping.
    pub async fn stop(&self, key: &AttemptKey, grace: Duration, bound: Duration) -> Result<Stopped, CallError> {
        let request = proto::StopTaskRequest {
            task_id: key.task_id.as_str().to_owned(),
            timeout_ms: i32::try_from(grace.as_millis()).unwrap_or(i32::MAX),
            run_id: key.run_id.clone(),
            attempt: key.attempt,
            occurrence: key.occurrence,
        };
        let answer: proto::StopTaskResponse = self.peer.unary(STOP, request, bound).await?;
        if !answer.success {
            return Err(self.peer.called(STOP).refused(answer.message));
        }
        Ok(Stopped { at: since(answer.stop_time_us), message: answer.message })
    }

    /// The state of an attempt; existing task servers report that of whatever they run.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn status(&self, key: &AttemptKey, bound: Duration) -> Result<TaskStatus, CallError> {
        let request = proto::TaskStatusRequest {
            task_id: key.task_id.as_str().to_owned(),
            run_id: key.run_id.clone(),
            attempt: key.attempt,
            occurrence: key.occurrence,
        };
        self.peer.unary(STATUS, request, bound).await.map(TaskStatus::from_wire)
    }

    /// The identity of our runner, what it can do, and which of these real-time settings its tasks could not have.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] from any other task server.
    pub async fn capabilities(&self, wishes: &[RealTime], bound: Duration) -> Result<Capabilities, CallError> {
        let wishes = wishes.iter().map(|wish| (*wish).into()).collect();
        self.peer.unary(CAPABILITIES, proto::CapabilitiesRequest { wishes }, bound).await.map(Capabilities::from_wire)
    }

    /// The clocks of our runner's host, read between the call and its answer.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] from any other task server.
    pub async fn clock(&self, bound: Duration) -> Result<ClockReading, CallError> {
        let answer: proto::ClockResponse = self.peer.unary(CLOCK, proto::ClockRequest {}, bound).await?;
        answer.try_into().map_err(|fault| self.peer.called(CLOCK).unknown(NoAnswer::Garbled(fault)))
    }

    /// Sends a start ahead of its instant.
    ///
    /// # Errors
    /// See [`CallError`]; after [`CallError::UnknownOutcome`] it may start at its instant.
    pub async fn arm(&self, arm: &Arm, protocol: TaskProtocol, bound: Duration) -> Result<(), CallError> {
        let answer: proto::ArmResponse = self.peer.unary(ARM, arm.to_wire(protocol), bound).await?;
        if answer.accepted { Ok(()) } else { Err(self.peer.called(ARM).refused(answer.message)) }
    }

    /// Withdraws what was armed, if it has not started.
    ///
    /// # Errors
    /// See [`CallError`]; after [`CallError::UnknownOutcome`] it may still start.
    pub async fn disarm(&self, key: &AttemptKey, bound: Duration) -> Result<Disarmed, CallError> {
        use proto::disarm_response::Outcome;
        let request = proto::DisarmRequest { key: Some(key.into()) };
        let answer: proto::DisarmResponse = self.peer.unary(DISARM, request, bound).await?;
        match answer.outcome() {
            Outcome::Disarmed => Ok(Disarmed::Disarmed),
            Outcome::Started => Ok(Disarmed::Started),
            Outcome::NotArmed => Ok(Disarmed::NotArmed),
            Outcome::Unspecified => {
                let fault = NoAnswer::Garbled(RunnerFault::Missing("the outcome"));
                Err(self.peer.called(DISARM).unknown(fault))
            }
        }
    }

    /// Events of our runner: those it remembers after `from`, then those to come. `bound` is on its beginning.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn watch(&self, from: &WatchFrom, bound: Duration) -> Result<Events<'_>, CallError> {
        let WatchFrom { instance, after, run } = from.clone();
        let request = proto::WatchRequest { instance, after, run_id: run };
        Ok(Events { peer: &self.peer, stream: self.peer.streaming(WATCH, request, bound).await? })
    }
}

/// Events of a runner as they happen.
#[derive(Debug)]
pub struct Events<'a> {
    peer: &'a Peer,
    stream: Streaming<proto::TaskEvent>,
}

impl Events<'_> {
    /// The next event; `None` when the runner ends the stream: it stops, or this watcher was too slow. Dropping the
    /// wait loses no event.
    ///
    /// # Errors
    /// When the connection is lost or an event is not understood.
    pub async fn next(&mut self) -> Result<Option<TaskEvent>, CallError> {
        let called = self.peer.called(WATCH);
        match self.stream.message().await.map_err(|status| called.failed(status))? {
            Some(event) => event.try_into().map(Some).map_err(|fault| called.unknown(NoAnswer::Garbled(fault))),
            None => Ok(None),
        }
    }
}

/// An orchestrator, as a task server calls it.
#[derive(Debug)]
pub struct OrchestratorChannel {
    peer: Peer,
}

impl OrchestratorChannel {
    /// An orchestrator at an address; nothing is connected yet. `tls` as for [`TaskChannel::new`].
    pub fn new(address: TaskAddress, tls: Option<Tls>) -> Self {
        Self { peer: Peer::new(address, None, tls) }
    }

    /// Reports the end of a task.
    ///
    /// # Errors
    /// [`CallError::Refused`] when it does not acknowledge; see [`CallError`] for the others.
    pub async fn notify(&self, notice: &EndNotice, bound: Duration) -> Result<(), CallError> {
        let answer: proto::TaskEndResponse = self.peer.unary(NOTIFY, notice.to_wire(), bound).await?;
        if answer.acknowledged { Ok(()) } else { Err(self.peer.called(NOTIFY).refused(answer.message)) }
    }

    /// Asks for its health; `service` is a name that existing orchestrators ignore.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn health(&self, service: &str, bound: Duration) -> Result<Health, CallError> {
        let request = proto::HealthCheckRequest { service_name: service.to_owned() };
        let answer: proto::HealthCheckResponse = self.peer.unary(HEALTH, request, bound).await?;
        Ok(Health { running: answer.healthy, time: since(answer.timestamp_us).unwrap_or_default() })
    }
}
