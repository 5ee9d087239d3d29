//! The socket of the local API.

use crate::process::lock::LockFile;
use crate::process::socket::{self, BindSocketError, SocketGuard};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A socket that listens.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    guard: SocketGuard,
}

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon answers on it.
    #[error("another daemon already answers on {}; stop it, or give this one another `socket` and `state-dir`", .path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket has its name.
    #[error("{} exists and is not a socket; move it away, or choose another `socket`", .path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("cannot listen on {}; its folder must be writable for this user, and the path at most 107 bytes long", .path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Socket {
    /// Binds `path` with mode 0600, making its folder (0700) when it is missing. Needs a running tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        // Held while the socket is checked and replaced: of two daemons that start at the same time, the second finds the first.
        let lock = LockFile::open(&path.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        match socket::bind(path, 0o600) {
            Ok((listener, guard)) => Ok(Self { listener, guard }),
            Err(BindSocketError::InUse) => Err(BindError::InUse { path: path.to_owned() }),
            Err(BindSocketError::Occupied) => Err(BindError::Occupied { path: path.to_owned() }),
            Err(BindSocketError::Io(source)) => Err(failed(source)),
        }
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketGuard) {
        (self.listener, self.guard)
    }
}
