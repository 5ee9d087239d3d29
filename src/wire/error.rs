//! Why a call failed, by what it means for the task.

use crate::model::TaskAddress;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It was never sent: nothing has started, and it may be tried again.
    #[error("{method}: {peer} cannot be reached")]
    Unreachable {
        /// The called method.
        method: &'static str,
        /// The peer.
        peer: TaskAddress,
        /// Why.
        source: ConnectError,
    },
    /// The peer refused it: nothing has started.
    #[error("{method}: {peer} refuses: {message}")]
    Refused {
        /// The called method.
        method: &'static str,
        /// The peer.
        peer: TaskAddress,
        /// What the peer says.
        message: String,
    },
    /// The peer has no free slot for it: nothing has started, and it may be tried again in a moment.
    #[error("{method}: {peer} is busy: {message}")]
    Busy {
        /// The called method.
        method: &'static str,
        /// The peer.
        peer: TaskAddress,
        /// What the peer says.
        message: String,
    },
    /// The peer does not serve this method: nothing has started.
    #[error("{method}: {peer} does not serve it")]
    Unsupported {
        /// The called method.
        method: &'static str,
        /// The peer.
        peer: TaskAddress,
    },
    /// It was sent, or may have been, and no answer shows what came of it: ask for the status before trying again.
    #[error("{method}: it is not known whether {peer} acted on it")]
    UnknownOutcome {
        /// The called method.
        method: &'static str,
        /// The peer.
        peer: TaskAddress,
        /// Why.
        source: NoAnswer,
    },
}

/// Why a peer cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not valid.
    #[error("it is not an address")]
    Address(#[source] tonic::codegen::http::Error),
    /// No connection.
    #[error("the connection failed")]
    Connect(#[source] std::io::Error),
    /// The address asks for TLS.
    #[error("its address asks for TLS, and there are no certificates for it: {NO_CERTIFICATES}")]
    NoTls,
    /// No TLS connection, whichever side refused it.
    #[error("the TLS handshake failed")]
    Tls(#[source] std::io::Error),
    /// TLS from this side met something else.
    #[error("it does not speak TLS there; write its address without `tls://`")]
    Plain,
    /// Plain text met TLS.
    #[error("it speaks TLS there; write its address with `tls://`")]
    SpeaksTls,
    /// The peer ended it after this side's part of the TLS handshake. It reports why, or else its log does.
    #[error("it closed the connection after the TLS handshake; it may not accept this side's certificate")]
    Rejected(#[source] Option<Arc<std::io::Error>>),
    /// The connection ended before the call could be sent.
    #[error("the connection ended before the call was sent")]
    Closed(#[source] Arc<hyper::Error>),
    /// No connection within the bound.
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// What to do when an address asks for TLS and there are no certificates.
pub(super) const NO_CERTIFICATES: &str = "set `tls-cert`, `tls-key` and `tls-ca`";

impl ConnectError {
    /// Whether it may pass by itself, as when a server has not come up yet.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Closed(_) | Self::TimedOut(_))
    }

    /// A handshake that failed.
    pub(super) fn handshake(fault: std::io::Error) -> Self {
        match fault.get_ref().and_then(|fault| fault.downcast_ref()) {
            Some(rustls::Error::InvalidMessage(_)) => Self::Plain,
            _ => Self::Tls(fault),
        }
    }
}

/// Why there is no answer to a call that was sent.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// None within the bound.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer ended the call in a way that does not show whether it acted.
    #[error("it answered {code:?}: {message}")]
    Status {
        /// The code of gRPC.
        code: Code,
        /// What the peer says.
        message: String,
    },
    /// The answer is not understood.
    #[error("its answer is not understood")]
    Garbled(#[source] super::runner::RunnerFault),
}

/// A request that could not be answered over a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendFault {
    /// Nothing of it was sent.
    #[error("nothing was sent")]
    NotSent(#[source] Arc<hyper::Error>),
    /// A peer that speaks TLS could not read it.
    #[error("the peer speaks TLS")]
    SpeaksTls,
    /// Some of it may have been.
    #[error("the connection was lost")]
    Lost(#[source] Arc<hyper::Error>),
}

/// The method and the peer of a call; makes the errors of that call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) method: &'static str,
    pub(super) peer: &'a TaskAddress,
}

impl Called<'_> {
    pub(super) fn unreachable(self, source: ConnectError) -> CallError {
        CallError::Unreachable { method: self.method, peer: self.peer.clone(), source }
    }

    pub(super) fn refused(self, message: impl Into<String>) -> CallError {
        CallError::Refused { method: self.method, peer: self.peer.clone(), message: message.into() }
    }

    pub(super) fn busy(self, message: impl Into<String>) -> CallError {
        CallError::Busy { method: self.method, peer: self.peer.clone(), message: message.into() }
    }

    pub(super) fn unknown(self, source: NoAnswer) -> CallError {
        CallError::UnknownOutcome { method: self.method, peer: self.peer.clone(), source }
    }

    /// What a failed call means. A status with a source was made on this side; one without came from the peer.
    pub(super) fn failed(self, status: tonic::Status) -> CallError {
        if let Some(fault) = status.source() {
            return match fault.downcast_ref::<SendFault>() {
                Some(SendFault::NotSent(source)) => self.unreachable(ConnectError::Closed(Arc::clone(source))),
                Some(SendFault::SpeaksTls) => self.unreachable(ConnectError::SpeaksTls),
                Some(SendFault::Lost(source)) => self.unknown(NoAnswer::Lost(Box::new(Arc::clone(source)))),
                None => self.unknown(NoAnswer::Lost(Box::new(status))),
            };
        }
        match status.code() {
            // HTTP servers that are not gRPC servers are reported as this as well (404).
            Code::Unimplemented => CallError::Unsupported { method: self.method, peer: self.peer.clone() },
            // Codes with which a server refuses a call before it acts.
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unauthenticated => self.refused(status.message()),
            // More calls wait there than its queue has room for.
            Code::ResourceExhausted => self.busy(status.message()),
            code => self.unknown(NoAnswer::Status { code, message: status.message().to_owned() }),
        }
    }
}
