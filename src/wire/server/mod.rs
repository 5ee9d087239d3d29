//! Serving: what arrives becomes plain values for the caller of this module; nothing is decided here.

mod orchestrator;
mod tasks;

pub use orchestrator::{NotTaken, NoticeServer};
pub use tasks::{Reply, StartRefused, TaskCall, Tasks};

use super::accept::Handshakes;
use super::incoming::{Guarded, Incoming};
use super::listen::{Listener, Socket};
use std::future::Future;
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Router;
use tonic::transport::{Error, Server};

/// A silent peer is pinged after this long, so that streams to dead hosts end.
const PING: Duration = Duration::from_secs(30);
/// And given up when it does not answer for this long.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the headers of a call.
const HEADERS: u32 = 16 << 10;

/// Serving failed.
#[derive(Debug, thiserror::Error)]
#[error("serving the task protocol failed")]
pub struct ServeError(#[from] Error);

/// A server that takes so many concurrent calls on one connection.
fn server(calls: u32) -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(calls)
        .http2_max_header_list_size(HEADERS)
}

/// Serves until `shutdown`, then gives the calls in progress `drain` to end.
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
        // Ends when the sender is dropped; nothing is ever sent.
        drop(asked_rx.await);
        tokio::time::sleep(drain).await;
    };
    let serving = async {
        match listener.socket {
            Socket::Tcp(socket) => {
                let incoming = Incoming::new(socket).map(|one| one.map(|(stream, place)| Guarded::new(stream, place)));
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
            Socket::Tls(socket, tls) => {
                router.serve_with_incoming_shutdown(Handshakes::new(Incoming::new(socket), tls), stop).await
            }
            Socket::Unix(socket, guard) => {
                let incoming = Incoming::new(socket).map(|one| one.map(|(stream, place)| Guarded::new(stream, place)));
                let served = router.serve_with_incoming_shutdown(incoming, stop).await;
                drop(guard);
                served
            }
        }
    };
    // Calls that are cut off get no answer; their callers see a lost connection when the process ends.
    tokio::select! {
        served = serving => Ok(served?),
        () = cut => Ok(()),
    }
}
