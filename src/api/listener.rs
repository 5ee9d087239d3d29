//! Where requests come in.

use super::Socket;
use super::principal::Principal;
use super::routes::{Shared, router};
use crate::daemon::Handle;
use crate::process::supervise::TaskResult;
use std::future::IntoFuture;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A place where requests come in; it says who the peer of each connection is.
#[derive(Debug)]
pub enum Listener {
    /// A Unix socket of this user.
    Unix(Socket),
}

/// The longest wait at shutdown for peers to read their answers, after the last request was handled.
const DELIVERY_LIMIT: Duration = Duration::from_secs(1);

/// Serves one listener until `stop` is cancelled. Waiting requests are answered then; a peer that does not read its answer, such as
/// logs that are followed behind a pager, is not waited for. A server has any number of listeners.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: Listener, handle: Handle, stop: CancellationToken) -> TaskResult {
    let shared = Shared { handle, stop: stop.clone(), requests: TaskTracker::new() };
    let requests = shared.requests.clone();
    let routes = router(shared).into_make_service_with_connect_info::<Principal>();
    let ended = stop.clone();
    let no_more = async {
        stop.cancelled().await;
        requests.close();
        requests.wait().await;
        tokio::time::sleep(DELIVERY_LIMIT).await;
    };
    match listener {
        Listener::Unix(socket) => {
            // The guard removes the socket's file at the end.
            let (listener, guard) = socket.into_parts();
            tracing::info!(socket = %guard.path().display(), "the API listens");
            let served = axum::serve(listener, routes).with_graceful_shutdown(ended.cancelled_owned());
            // Nothing is lost with either: what is not served at the end is what nobody reads.
            tokio::select! {
                served = served.into_future() => served?,
                () = no_more => tracing::debug!("a peer does not read its answer"),
            }
        }
    }
    Ok(())
}
