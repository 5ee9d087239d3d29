//! Listening on the address of a task server or an orchestrator.

use super::error::NO_CERTIFICATES;
use super::tls::Tls;
use crate::model::TaskAddress;
use crate::process::socket::{self, BindSocketError, SocketGuard};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

/// A place that listens. The file of a Unix socket is removed with it.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    address: TaskAddress,
}

/// What listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Tls(TcpListener, Tls),
    Unix(UnixListener, SocketGuard),
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A process answers on that socket.
    #[error("another process already answers on {}", .path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket has its name.
    #[error("{} exists and is not a socket", .path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// The address asks for TLS.
    #[error("cannot listen on {address} without certificates: {NO_CERTIFICATES}")]
    NoTls {
        /// The address.
        address: TaskAddress,
    },
    /// It cannot be made.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: TaskAddress,
        /// Why.
        source: std::io::Error,
    },
}

impl Listener {
    /// Listens; needs a running tokio runtime. A Unix socket has mode 0660 (owner and group may call); a dead one of
    /// that name is replaced. Port 0 is any that is free; [`Listener::address`] returns which. `tls` is for an address
    /// that asks for it: only peers with a certificate of its CA are served then.
    ///
    /// A Unix socket is for callers of our own: peers built on the gRPC core (1.57 and later) call such a server by its
    /// escaped path, which h2 refuses as malformed unless they set `grpc.default_authority` (hyperium/h2#487).
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(address: &TaskAddress, tls: Option<&Tls>) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address: address.clone(), source };
        match address {
            TaskAddress::Tcp(host, port) => {
                let (listener, port) = tcp(host, *port).await.map_err(failed)?;
                Ok(Self { socket: Socket::Tcp(listener), address: TaskAddress::Tcp(host.clone(), port) })
            }
            TaskAddress::Tls(host, port) | TaskAddress::TlsService { host, port, .. } => {
                let tls = tls.ok_or_else(|| ListenError::NoTls { address: address.clone() })?.clone();
                let (listener, port) = tcp(host, *port).await.map_err(failed)?;
                Ok(Self { socket: Socket::Tls(listener, tls), address: TaskAddress::Tls(host.clone(), port) })
            }
            TaskAddress::Unix(path) => {
                let path = Path::new(path);
                let (listener, guard) = socket::bind(path, 0o660).map_err(|error| match error {
                    BindSocketError::InUse => ListenError::InUse { path: path.to_owned() },
                    BindSocketError::Occupied => ListenError::Occupied { path: path.to_owned() },
                    BindSocketError::Io(source) => failed(source),
                })?;
                Ok(Self { socket: Socket::Unix(listener, guard), address: address.clone() })
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &TaskAddress {
        &self.address
    }
}

/// With the port that it got.
async fn tcp(host: &str, port: u16) -> std::io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((host, port)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}
