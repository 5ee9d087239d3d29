//! One request and the head of its answer, on a connection of its own.

use super::client_error::ClientError;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::pin::Pin;
use tokio::net::UnixStream;

/// What moves bytes of a connection while it is polled.
type Connection = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// An answer whose body is yet to come.
pub(super) struct Exchange {
    pub(super) response: Response<Incoming>,
    /// `None` when it has ended.
    pub(super) connection: Option<Connection>,
    /// The connection ends with it.
    pub(super) _sender: SendRequest<Full<Bytes>>,
}

impl Exchange {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn new(stream: UnixStream, method: Method, path: &str, body: Bytes) -> Result<Self, ClientError> {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "setpoint")
            .body(Full::new(body))
            .map_err(|error| ClientError::Answer { what: error.to_string() })?;
        let mut connection: Option<Connection> = Some(Box::pin(connection));
        let response = with(&mut connection, sender.send_request(request)).await??;
        Ok(Self { response, connection, _sender: sender })
    }
}

/// Waits for `work`, and moves the connection meanwhile.
pub(super) async fn with<T>(
    connection: &mut Option<Connection>,
    work: impl Future<Output = T>,
) -> Result<T, hyper::Error> {
    tokio::pin!(work);
    loop {
        let moved = async {
            match connection {
                Some(connection) => connection.await,
                None => std::future::pending().await,
            }
        };
        // `work` is never dropped before it ends.
        tokio::select! {
            done = &mut work => return Ok(done),
            ended = moved => {
                *connection = None;
                ended?;
            }
        }
    }
}
