//! One HTTP/2 connection to a peer.
//!
//! Made and used directly, not through a pool: the caller must know whether a request was sent before the connection
//! broke, and a start must not wait for a hidden reconnection.

use super::carrier::{Carrier, First};
use super::error::{ConnectError, SendFault};
use super::tls::Tls;
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
use tokio::sync::watch;
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
pub(super) struct Connection {
    sender: http2::SendRequest<Body>,
    origin: Uri,
    first: watch::Receiver<Option<First>>,
}

impl Connection {
    /// Connects: in plain text without waiting for the peer's settings; over TLS with it. Dropped half-way, nothing is
    /// left behind.
    pub(super) async fn open(
        address: &TaskAddress,
        keep_alive: Option<KeepAlive>,
        tls: Option<&Tls>,
    ) -> Result<Self, ConnectError> {
        let is_tls = matches!(address, TaskAddress::Tls(..) | TaskAddress::TlsService { .. });
        let scheme = if is_tls { "https" } else { "http" };
        let authority = address.authority().unwrap_or_else(|| "localhost".to_owned());
        let origin = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        let origin = origin.map_err(ConnectError::Address)?;
        let (sender, first) = match address {
            TaskAddress::Tcp(host, port) => http2(tcp(host, *port).await?, keep_alive, false).await?,
            TaskAddress::Tls(host, port) | TaskAddress::TlsService { host, port, .. } => {
                let tls = tls.ok_or(ConnectError::NoTls)?;
                let name = if let TaskAddress::TlsService { name, .. } = address { name } else { host };
                let stream = tls.connect(name, tcp(host, *port).await?).await.map_err(ConnectError::handshake)?;
                // By TLS 1.3 this side is done before the peer has seen its certificate. Only when the peer goes on is
                // it known to be accepted; until then nothing may be sent that could be taken for a call.
                http2(stream, keep_alive, true).await?
            }
            TaskAddress::Unix(path) => {
                http2(UnixStream::connect(path).await.map_err(ConnectError::Connect)?, keep_alive, false).await?
            }
        };
        Ok(Self { sender, origin, first })
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

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let stream = TcpStream::connect((host, port)).await.map_err(ConnectError::Connect)?;
    // A start is one small packet that must not wait to be joined by another.
    stream.set_nodelay(true).map_err(ConnectError::Connect)?;
    Ok(stream)
}

/// Begins to speak HTTP/2, if asked for until the peer does so as well.
async fn http2<S>(
    stream: S,
    keep_alive: Option<KeepAlive>,
    both: bool,
) -> Result<(http2::SendRequest<Body>, watch::Receiver<Option<First>>), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new());
    if let Some(KeepAlive { interval, timeout }) = keep_alive {
        builder.keep_alive_interval(interval).keep_alive_timeout(timeout).keep_alive_while_idle(true);
    }
    let (stream, mut first) = Carrier::watched(stream);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|fault| ConnectError::Closed(Arc::new(fault)))?;
    let mut connection = Box::pin(connection);
    if both {
        let over = tokio::select! {
            biased;
            _ = first.wait_for(Option::is_some) => false,
            _ = &mut connection => true,
        };
        match first.borrow().clone() {
            Some(Ok(_)) if !over => {}
            heard => return Err(ConnectError::Rejected(heard.and_then(Result::err))),
        }
    }
    // Lives as long as a sender does; what ends it is reported to whoever is waiting for an answer.
    TokioExecutor::new().execute(async move { drop(connection.await) });
    Ok((sender, first))
}

/// Whether the peer began with a TLS alert; its first byte is one that HTTP/2 does not begin with.
fn alert(first: &watch::Receiver<Option<First>>) -> bool {
    matches!(&*first.borrow(), Some(Ok(0x15)))
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = SendFault;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendFault>> {
        self.sender.poll_ready(context).map_err(|fault| match alert(&self.first) {
            true => SendFault::SpeaksTls,
            false => SendFault::NotSent(Arc::new(fault)),
        })
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.sender.try_send_request(request);
        let first = self.first.clone();
        Box::pin(async move {
            answer.await.map_err(|fault| match fault.message() {
                _ if alert(&first) => SendFault::SpeaksTls,
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
        let mut connection =
            Connection::open(&TaskAddress::Tcp("127.0.0.1".to_owned(), port), None, None).await.unwrap();
        drop(listener.accept().await.unwrap());
        while !connection.is_closed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let fault = connection.call(Request::new(Body::empty())).await.unwrap_err();
        assert!(matches!(fault, SendFault::NotSent(_)), "{fault:?}");
    }
}
