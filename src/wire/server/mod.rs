//! Serving: what arrives becomes plain values for whoever decides, and nothing is decided here.

mod orchestrator;
mod tasks;

pub use orchestrator::{NotTaken, Orchestrator};
pub use tasks::{Reply, TaskCall, Tasks};

use super::accept::Handshakes;
use super::listen::{Listener, Socket};
use std::future::Future;
use std::time::Duration;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Error, Server};

/// A peer is asked for a sign of life after this long without one, so that streams to dead hosts end.
const PING: Duration = Duration::from_secs(30);
/// And given up when it gives none for this long.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Serving ended with a mistake.
#[derive(Debug, thiserror::Error)]
#[error("serving the task protocol failed")]
pub struct ServeError(#[from] Error);

fn server() -> Server {
    Server::builder().http2_keepalive_interval(Some(PING)).http2_keepalive_timeout(Some(PING_TIMEOUT))
}

/// Serves until `shutdown`, then gives the calls under way `drain` to end.
async fn serve(
    router: Router,
    listener: Listener,
    drain: Duration,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (asked, asked_rx) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        shutdown.await;
        drop(asked);
    };
    let cut = async {
        // Ends when the sender is dropped, which is all that is ever done with it.
        drop(asked_rx.await);
        tokio::time::sleep(drain).await;
    };
    let tcp = |socket| TcpIncoming::from(socket).with_nodelay(Some(true));
    let serving = async {
        match listener.socket {
            Socket::Tcp(socket) => router.serve_with_incoming_shutdown(tcp(socket), stop).await,
            Socket::Tls(socket, tls) => {
                router.serve_with_incoming_shutdown(Handshakes::new(tcp(socket), tls), stop).await
            }
            Socket::Unix(socket, guard) => {
                let served = router.serve_with_incoming_shutdown(UnixListenerStream::new(socket), stop).await;
                drop(guard);
                served
            }
        }
    };
    // Calls that are cut off lose their answers; their callers see a lost connection when the process ends.
    tokio::select! {
        served = serving => Ok(served?),
        () = cut => Ok(()),
    }
}
