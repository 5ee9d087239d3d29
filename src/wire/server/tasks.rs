//! What a task runner serves: every call becomes a [`TaskCall`] in one bounded queue, answered through its [`Reply`].

use super::{ServeError, serve, server};
use crate::model::{RealTime, TaskId};
use crate::wire::listen::Listener;
use crate::wire::proto::runner_service_server::{RunnerService, RunnerServiceServer};
use crate::wire::proto::task_service_server::{TaskService, TaskServiceServer};
use crate::wire::proto::{self, disarm_response};
use crate::wire::raw::StartTaskRequest;
use crate::wire::runner::{ArmCall, Capabilities, ClockReading, Disarmed, TaskEvent, Waiting, WatchFrom};
use crate::wire::start::{AttemptKey, StartCall};
use crate::wire::status::{Stopped, TaskStatus};
use crate::wire::time::micros;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// Concurrent calls on one connection: an orchestrator may start all tasks of a run at one instant.
const CALLS: u32 = 1024;
/// Each is tried, which takes some microseconds.
const MAX_WISHES: usize = 1024;

/// The channel for an answer; an `Err` is a refusal with its reason. When it is dropped, the caller learns that it is not
/// known what came of its call. Closed (`is_closed`) when the caller has given up: a start is then better left alone.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;

/// Why a task was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartRefused {
    /// All slots are taken; it may be tried again in a moment.
    Busy(String),
    /// It will not be started.
    Final(String),
}

/// A call to a task runner.
#[derive(Debug)]
pub enum TaskCall {
    /// Start a task now; the answer is when it did, by the wall clock since 1970.
    Start(StartCall, oneshot::Sender<Result<Duration, StartRefused>>),
    /// Ask a task to stop.
    Stop {
        /// The attempt; without a run, whatever has that task id is meant.
        key: AttemptKey,
        /// Time until it is ended by force.
        grace: Duration,
        /// The answer.
        reply: Reply<Stopped>,
    },
    /// Report the state of a task. What is not known here has the state «unknown»; that is not a refusal.
    Status(AttemptKey, oneshot::Sender<TaskStatus>),
    /// Report the clocks of this host.
    Clock(oneshot::Sender<ClockReading>),
    /// Start a task at an instant; answered when a worker is ready for it.
    Arm(ArmCall, Reply<()>),
    /// Withdraw what was armed.
    Disarm(AttemptKey, oneshot::Sender<Disarmed>),
    /// Report what this runner is, and which of these settings its tasks could not have.
    Capabilities(Vec<RealTime>, oneshot::Sender<Capabilities>),
    /// Report what is remembered and what happens from now on. A watcher whose queue is full is dropped.
    Watch(WatchFrom, oneshot::Sender<mpsc::Receiver<Waiting>>),
}

/// A task runner's side of the task protocol.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// Where calls go.
    pub calls: mpsc::Sender<TaskCall>,
    /// The most bytes one request may have; larger ones are refused before they are read.
    pub max_request: usize,
}

impl Tasks {
    /// Serves until `shutdown`, then gives the calls in progress `drain` to end. Streams of events end when their senders
    /// are dropped.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(
        self,
        listener: Listener,
        drain: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let tasks = TaskServiceServer::new(self.clone()).max_decoding_message_size(self.max_request);
        let max = self.max_request;
        let runner = RunnerServiceServer::new(self).max_decoding_message_size(max);
        serve(server(CALLS).add_service(tasks).add_service(runner), listener, drain, shutdown).await
    }

    /// Queues a call and waits for its answer.
    async fn ask<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> TaskCall) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.calls.try_send(call(reply)).map_err(|fault| match fault {
            TrySendError::Full(_) => Status::resource_exhausted("busy; try again"),
            // Nothing was started: the code is one with which a server refuses a call.
            TrySendError::Closed(_) => Status::failed_precondition("the task runner is stopping"),
        })?;
        answer.await.map_err(|_| Status::aborted("the task runner dropped the call"))
    }
}

#[tonic::async_trait]
impl TaskService for Tasks {
    async fn start_task(
        &self,
        request: Request<StartTaskRequest>,
    ) -> Result<Response<proto::StartTaskResponse>, Status> {
        let call =
            StartCall::try_from(request.into_inner()).map_err(|fault| Status::invalid_argument(fault.to_string()))?;
        let task_id = call.key.task_id.as_str().to_owned();
        let answer = self.ask(|reply| TaskCall::Start(call, reply)).await?;
        let refusal = match &answer {
            Ok(_) => proto::StartRefusal::Unspecified,
            Err(StartRefused::Busy(_)) => proto::StartRefusal::Busy,
            Err(StartRefused::Final(_)) => proto::StartRefusal::Final,
        };
        let (success, actual_start_time_us, message) = match answer {
            Ok(started) => (true, micros(started), String::new()),
            Err(StartRefused::Busy(message) | StartRefused::Final(message)) => (false, 0, message),
        };
        let refusal = refusal.into();
        Ok(Response::new(proto::StartTaskResponse { success, message, actual_start_time_us, task_id, refusal }))
    }

    async fn stop_task(
        &self,
        request: Request<proto::StopTaskRequest>,
    ) -> Result<Response<proto::StopTaskResponse>, Status> {
        let request = request.into_inner();
        let key = AttemptKey {
            run_id: request.run_id,
            task_id: TaskId::new(request.task_id),
            occurrence: request.occurrence,
            attempt: request.attempt,
        };
        // A negative number is not a time.
        let grace = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let answer = self.ask(|reply| TaskCall::Stop { key, grace, reply }).await?;
        Ok(Response::new(match answer {
            Ok(stopped) => proto::StopTaskResponse {
                success: true,
                message: stopped.message,
                stop_time_us: stopped.at.map_or(0, micros),
            },
            Err(message) => proto::StopTaskResponse { success: false, message, stop_time_us: 0 },
        }))
    }

    async fn get_task_status(
        &self,
        request: Request<proto::TaskStatusRequest>,
    ) -> Result<Response<proto::TaskStatusResponse>, Status> {
        let request = request.into_inner();
        let key = AttemptKey {
            run_id: request.run_id,
            task_id: TaskId::new(request.task_id),
            occurrence: request.occurrence,
            attempt: request.attempt,
        };
        self.ask(|reply| TaskCall::Status(key, reply)).await.map(|status| Response::new(status.into_wire()))
    }
}

#[tonic::async_trait]
impl RunnerService for Tasks {
    async fn capabilities(
        &self,
        request: Request<proto::CapabilitiesRequest>,
    ) -> Result<Response<proto::CapabilitiesResponse>, Status> {
        let wishes = request.into_inner().wishes;
        if wishes.len() > MAX_WISHES {
            return Err(Status::invalid_argument(format!("more than {MAX_WISHES} wishes")));
        }
        let wishes = wishes.into_iter().map(RealTime::try_from).collect::<Result<Vec<_>, _>>();
        let wishes = wishes.map_err(|fault| Status::invalid_argument(fault.to_string()))?;
        self.ask(|reply| TaskCall::Capabilities(wishes, reply))
            .await
            .map(|capabilities| Response::new(capabilities.into_wire()))
    }

    async fn clock(&self, _: Request<proto::ClockRequest>) -> Result<Response<proto::ClockResponse>, Status> {
        self.ask(TaskCall::Clock).await.map(|reading| Response::new(reading.into_wire()))
    }

    async fn arm(&self, request: Request<proto::ArmRequest>) -> Result<Response<proto::ArmResponse>, Status> {
        let call =
            ArmCall::try_from(request.into_inner()).map_err(|fault| Status::invalid_argument(fault.to_string()))?;
        let answer = self.ask(|reply| TaskCall::Arm(call, reply)).await?;
        Ok(Response::new(proto::ArmResponse { accepted: answer.is_ok(), message: answer.err().unwrap_or_default() }))
    }

    async fn disarm(&self, request: Request<proto::DisarmRequest>) -> Result<Response<proto::DisarmResponse>, Status> {
        let key = request.into_inner().key.ok_or_else(|| Status::invalid_argument("key is missing"))?.into();
        let outcome = match self.ask(|reply| TaskCall::Disarm(key, reply)).await? {
            Disarmed::Disarmed => disarm_response::Outcome::Disarmed,
            Disarmed::Started => disarm_response::Outcome::Started,
            Disarmed::NotArmed => disarm_response::Outcome::NotArmed,
        };
        Ok(Response::new(proto::DisarmResponse { outcome: outcome.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::TaskEvent, Status>> + Send>>;

    async fn watch(&self, request: Request<proto::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let from = WatchFrom { instance: request.instance, after: request.after, run: request.run_id };
        let events = self.ask(|reply| TaskCall::Watch(from, reply)).await?;
        let stream = ReceiverStream::new(events)
            .map(|Waiting { event, .. }| Ok(TaskEvent::into_wire(Arc::unwrap_or_clone(event))));
        Ok(Response::new(Box::pin(stream)))
    }
}
