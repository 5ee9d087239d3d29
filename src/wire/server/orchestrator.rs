//! What an orchestrator serves: end notices, and its health.

use super::{ServeError, serve, server};
use crate::wire::listen::Listener;
use crate::wire::notice::EndNotice;
use crate::wire::proto::orchestrator_service_server::{OrchestratorService, OrchestratorServiceServer};
use crate::wire::proto::{HealthCheckRequest, HealthCheckResponse, TaskEndResponse};
use crate::wire::raw::TaskEndNotification;
use crate::wire::status::Health;
use crate::wire::time::micros;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Concurrent calls on one connection: a task server reports one end at a time, or a few.
const CALLS: u32 = 16;
/// A notice that is not complete within this is given up.
const CALL: Duration = Duration::from_secs(10);

/// Why a notice is not acknowledged. Its task server may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// More notices wait than there is room for.
    #[error("busy; try again")]
    Full,
    /// The orchestrator is stopping.
    #[error("the orchestrator is stopping")]
    Stopping,
    /// No task of that name is in flight.
    #[error("unknown task")]
    Unknown,
}

/// An orchestrator's side of the task protocol.
pub struct NoticeServer<N, H> {
    /// Takes each notice without waiting: it stamps the arrival and puts the notice in a bounded queue.
    pub notice: N,
    /// Returns the health of the orchestrator.
    pub health: H,
    /// The most bytes one notice may have; larger ones are refused before they are read.
    pub max_notice: usize,
}

impl<N, H> fmt::Debug for NoticeServer<N, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator").field("max_notice", &self.max_notice).finish_non_exhaustive()
    }
}

impl<N, H> NoticeServer<N, H>
where
    N: Fn(EndNotice) -> Result<(), NotTaken> + Send + Sync + 'static,
    H: Fn() -> Health + Send + Sync + 'static,
{
    /// Serves until `shutdown`, then gives the calls in progress `drain` to end.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(
        self,
        listener: Listener,
        drain: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let max = self.max_notice;
        let service = OrchestratorServiceServer::new(self).max_decoding_message_size(max);
        serve(server(CALLS).timeout(CALL).add_service(service), listener, drain, shutdown).await
    }
}

#[tonic::async_trait]
impl<N, H> OrchestratorService for NoticeServer<N, H>
where
    N: Fn(EndNotice) -> Result<(), NotTaken> + Send + Sync + 'static,
    H: Fn() -> Health + Send + Sync + 'static,
{
    async fn notify_task_end(
        &self,
        request: Request<TaskEndNotification>,
    ) -> Result<Response<TaskEndResponse>, Status> {
        let from = request.remote_addr();
        let taken = (self.notice)(EndNotice::from_wire(request.into_inner(), from));
        Ok(Response::new(match taken {
            Ok(()) => TaskEndResponse { acknowledged: true, message: String::new() },
            Err(why) => TaskEndResponse { acknowledged: false, message: why.to_string() },
        }))
    }

    async fn health_check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let health = (self.health)();
        Ok(Response::new(HealthCheckResponse {
            healthy: health.running,
            status: if health.running { "running" } else { "stopped" }.to_owned(),
            timestamp_us: micros(health.time),
        }))
    }
}
