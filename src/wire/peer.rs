//! Calls to one address: over one connection that is made when it is needed, each within its bound.

use super::connection::{Connection, KeepAlive};
use super::error::{CallError, Called, ConnectError, NoAnswer};
use super::tls::Tls;
use crate::model::TaskAddress;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::client::Grpc;
use tonic::codec::{Codec, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// A method: its name in messages and its path on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
}

/// An address and, when there is one, the connection to it.
#[derive(Debug)]
pub(super) struct Peer {
    address: TaskAddress,
    keep_alive: Option<KeepAlive>,
    tls: Option<Tls>,
    connection: Mutex<Option<Connection>>,
}

impl Peer {
    pub(super) fn new(address: TaskAddress, keep_alive: Option<KeepAlive>, tls: Option<Tls>) -> Self {
        Self { address, keep_alive, tls, connection: Mutex::new(None) }
    }

    pub(super) fn address(&self) -> &TaskAddress {
        &self.address
    }

    pub(super) fn called(&self, method: Method) -> Called<'_> {
        Called { method: method.name, peer: &self.address }
    }

    /// Sends one message and reads one.
    pub(super) async fn unary<M, R>(&self, method: Method, message: M, bound: Duration) -> Result<R, CallError>
    where
        M: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        self.unary_with(method, ProstCodec::default(), message, bound).await
    }

    /// The same with a codec of its own.
    pub(super) async fn unary_with<C, M, R>(
        &self,
        method: Method,
        codec: C,
        message: M,
        bound: Duration,
    ) -> Result<R, CallError>
    where
        C: Codec<Encode = M, Decode = R>,
        M: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        let call = async |mut grpc: Grpc<Connection>, request| {
            grpc.unary(request, PathAndQuery::from_static(method.path), codec).await.map(tonic::Response::into_inner)
        };
        self.within(method, message, bound, Some(bound), call).await
    }

    /// Sends one message and reads many; the bound is on the beginning of the answer.
    pub(super) async fn streaming<M, R>(
        &self,
        method: Method,
        message: M,
        bound: Duration,
    ) -> Result<Streaming<R>, CallError>
    where
        M: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let call = async |mut grpc: Grpc<Connection>, request| {
            let codec = ProstCodec::<M, R>::default();
            let path = PathAndQuery::from_static(method.path);
            grpc.server_streaming(request, path, codec).await.map(tonic::Response::into_inner)
        };
        self.within(method, message, bound, None, call).await
    }

    /// Connects if necessary and calls, both together within `bound`; `announced` is the bound that the peer is sent.
    async fn within<M, R>(
        &self,
        method: Method,
        message: M,
        bound: Duration,
        announced: Option<Duration>,
        call: impl AsyncFnOnce(Grpc<Connection>, Request<M>) -> Result<R, Status>,
    ) -> Result<R, CallError> {
        let called = self.called(method);
        let mut end = pin!(tokio::time::sleep(bound));
        // A dropped arm loses nothing: a connection that is half made is closed.
        let connection = tokio::select! {
            biased;
            connection = self.connected() => connection.map_err(|source| called.unreachable(source))?,
            () = &mut end => return Err(called.unreachable(ConnectError::TimedOut(bound))),
        };
        let mut request = Request::new(message);
        if let Some(announced) = announced {
            request.set_timeout(announced);
        }
        let mut grpc = Grpc::with_origin(connection.clone(), connection.origin());
        let answer = async {
            // The error of a connection that ended is kept as the source, which distinguishes it from an answer of the peer.
            grpc.ready().await.map_err(|fault| Status::from_error(fault.into()))?;
            call(grpc, request).await
        };
        // A dropped call is cancelled at the peer, which may have acted.
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|status| called.failed(status)),
            () = &mut end => {
                // A connection on which calls get no answer must not be used for the next one.
                if let Ok(mut kept) = self.connection.try_lock() {
                    *kept = None;
                }
                Err(called.unknown(NoAnswer::TimedOut(bound)))
            }
        }
    }

    /// The open connection, or a new one.
    async fn connected(&self) -> Result<Connection, ConnectError> {
        let mut kept = self.connection.lock().await;
        match &*kept {
            Some(connection) if !connection.is_closed() => Ok(connection.clone()),
            _ => {
                let connection = Connection::open(&self.address, self.keep_alive, self.tls.as_ref()).await?;
                Ok(kept.insert(connection).clone())
            }
        }
    }
}
