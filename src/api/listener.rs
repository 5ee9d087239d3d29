//! Where requests come in.

use super::Socket;
use super::principal::Principal;
use super::routes::{Shared, router};
use crate::daemon::Handle;
use crate::process::supervise::TaskResult;
use tokio_util::sync::CancellationToken;

/// A place where requests come in; it says who the peer of each connection is.
#[derive(Debug)]
pub enum Listener {
    /// A Unix socket of this user.
    Unix(Socket),
}

/// Serves one listener until `stop` is cancelled; waiting requests are answered then. A server has any number of them.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: Listener, handle: Handle, stop: CancellationToken) -> TaskResult {
    let routes = router(Shared { handle, stop: stop.clone() }).into_make_service_with_connect_info::<Principal>();
    match listener {
        Listener::Unix(socket) => {
            // The guard removes the socket's file at the end.
            let (listener, guard) = socket.into_parts();
            tracing::info!(socket = %guard.path().display(), "the API listens");
            axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await?;
        }
    }
    Ok(())
}
