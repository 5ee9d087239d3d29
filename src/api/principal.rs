//! Who asks, and what they may do.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::fmt;
use tokio::net::UnixListener;

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read what is there and what happened.
    Read,
    /// Have done what the commit in force asks for: look now, run a schedule, leave a deployment alone.
    Write,
    /// Have a plan carried out, with guards lifted.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

/// Who asks. The listener says so, for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What it is called in messages and logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// The peer of the Unix socket is an admin: its mode lets nobody in but the daemon's own user and root.
impl Connected<IncomingStream<'_, UnixListener>> for Principal {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        match stream.io().peer_cred() {
            Ok(peer) => Self { name: format!("user {}", peer.uid()), role: Role::Admin },
            Err(_) => Self { name: "an unknown user".to_owned(), role: Role::Read },
        }
    }
}
