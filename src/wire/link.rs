//! One HTTP/2 connection to a peer.
//!
//! Made and used directly, not through a pool: whoever calls must know whether a request was sent before the connection
//! broke, and a start must not wait for a hidden reconnection.

use super::error::{ConnectError, SendFault};
use crate::model::TaskAddress;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, Uri};
use tonic::codegen::{BoxFuture, Service};

/// HTTP/2 pings on a connection that is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Time between two.
    pub interval: Duration,
    /// The connection is given up when one is not answered for this long.
    pub timeout: Duration,
}

/// A connection. Its clones share it; it ends when all of them are dropped.
#[derive(Clone, Debug)]
pub(super) struct Link {
    sender: http2::SendRequest<Body>,
    origin: Uri,
}

impl Link {
    /// Connects, without waiting for the peer's settings. Dropped half-way, nothing is left behind.
    pub(super) async fn open(address: &TaskAddress, keep_alive: Option<KeepAlive>) -> Result<Self, ConnectError> {
        let authority = match address {
            TaskAddress::Tcp(..) => address.to_string(),
            TaskAddress::Unix(_) => "localhost".to_owned(),
        };
        let origin = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
        let origin = origin.map_err(ConnectError::Address)?;
        let sender = match address {
            TaskAddress::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(ConnectError::Connect)?;
                // A start is one small packet that must not wait to be joined by another.
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                handshake(stream, keep_alive).await
            }
            TaskAddress::Unix(path) => {
                handshake(UnixStream::connect(path).await.map_err(ConnectError::Connect)?, keep_alive).await
            }
        };
        Ok(Self { sender: sender.map_err(|fault| ConnectError::Closed(Arc::new(fault)))?, origin })
    }

    /// Nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// What stands before the path of each request.
    pub(super) fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

async fn handshake<S>(stream: S, keep_alive: Option<KeepAlive>) -> Result<http2::SendRequest<Body>, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new());
    if let Some(KeepAlive { interval, timeout }) = keep_alive {
        builder.keep_alive_interval(interval).keep_alive_timeout(timeout).keep_alive_while_idle(true);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // Lives as long as a sender does; what ends it is told to whoever is waiting for an answer.
    TokioExecutor::new().execute(async move { drop(connection.await) });
    Ok(sender)
}

impl Service<Request<Body>> for Link {
    type Response = Response<Incoming>;
    type Error = SendFault;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendFault>> {
        self.sender.poll_ready(context).map_err(|fault| SendFault::NotSent(Arc::new(fault)))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.sender.try_send_request(request);
        Box::pin(async move {
            answer.await.map_err(|fault| match fault.message() {
                // The request comes back only when none of it was sent.
                Some(_) => SendFault::NotSent(Arc::new(fault.into_error())),
                None => SendFault::Lost(Arc::new(fault.into_error())),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_on_a_connection_that_has_ended_is_known_not_to_be_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut link = Link::open(&TaskAddress::Tcp("127.0.0.1".to_owned(), port), None).await.unwrap();
        drop(listener.accept().await.unwrap());
        while !link.is_closed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let fault = link.call(Request::new(Body::empty())).await.unwrap_err();
        assert!(matches!(fault, SendFault::NotSent(_)), "{fault:?}");
    }
}
