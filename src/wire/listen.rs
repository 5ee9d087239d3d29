//! Listening on the address of a task server or an orchestrator.

use super::error::NO_CERTIFICATES;
use super::tls::Tls;
use crate::model::TaskAddress;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
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
    Unix(UnixListener, Guard),
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody answers on that socket.
    #[error("another process already answers on {}", .path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket has its name.
    #[error("{} exists and is no socket", .path.display())]
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
    /// that name is replaced. Port 0 is any that is free; [`Listener::address`] tells which. `tls` is for an address
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
                match std::fs::symlink_metadata(path) {
                    Ok(found) if !found.file_type().is_socket() => {
                        return Err(ListenError::Occupied { path: path.to_owned() });
                    }
                    Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                        return Err(ListenError::InUse { path: path.to_owned() });
                    }
                    _ => {}
                }
                let (listener, guard) = place(path).map_err(failed)?;
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

/// Bound under another name and moved into place: it is never open to others, and a dead socket is replaced in one go.
fn place(path: &Path) -> std::io::Result<(UnixListener, Guard)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    drop(std::fs::remove_file(&fresh));
    let listener = UnixListener::bind(&fresh)?;
    let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o660))
        .and_then(|()| std::fs::rename(&fresh, path))
        .and_then(|()| identity(path));
    match placed {
        Ok(identity) => Ok((listener, Guard { path: path.to_owned(), identity })),
        Err(error) => {
            drop(std::fs::remove_file(&fresh));
            Err(error)
        }
    }
}

/// Removes the socket's file at the end, unless it is another one by then.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for Guard {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
