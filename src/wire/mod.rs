//! The task protocol: gRPC between an orchestrator and task servers, over TCP, mutual TLS or a Unix socket.
//!
//! In: plain values of `model` and of this module. Out: the same; the generated messages stay here. It speaks both
//! forms of the protocol with unmodified C++ peers ([`crate::model::TaskProtocol`]), and beyond it to our own runner
//! (`RunnerService`). It decides nothing: no retries, no time of its own but the bounds it is given. What
//! belongs to no call goes to the log: a peer whose TLS handshake failed, and certificates that were replaced.

mod accept;
mod carrier;
mod client;
mod codec;
mod connection;
mod error;
mod incoming;
mod listen;
mod notice;
pub mod outside;
mod payload;
mod peer;
mod raw;
mod runner;
mod server;
mod start;
mod status;
mod time;
mod tls;

pub use client::{Events, OrchestratorChannel, TaskChannel};
pub use connection::KeepAlive;
pub use error::{CallError, ConnectError, NoAnswer};
pub use listen::{ListenError, Listener};
pub use notice::{EndNotice, TaskResult};
pub use payload::{OutputFault, Payload};
pub use runner::{
    Arm, ArmCall, Capabilities, ClockReading, Disarmed, Ended, Happened, RunnerFault, Stamp, TaskEvent, Waiting,
    WatchFrom,
};
pub use server::{NotTaken, NoticeServer, Reply, ServeError, StartRefused, TaskCall, Tasks};
pub use start::{AttemptKey, PreparedStart, Start, StartCall, StartFault};
pub use status::{Ack, Health, Stopped, TaskState, TaskStatus};
pub use tls::{Tls, TlsError, TlsFault, TlsFiles};

/// The messages and services of `orchestrator.proto`. They are committed, so that a build needs no compiler of them.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, unreachable_pub, private_interfaces, reason = "generated")]
mod proto;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod through;
