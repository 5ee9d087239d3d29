//! The socket: bound so that nobody else can ever open it, a dead one replaced, a living one respected.

use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A socket that listens.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    guard: Guard,
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
    /// Something that is no socket has its name.
    #[error("{} exists and is no socket; move it away, or choose another `socket`", .path.display())]
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
        // Held while it is looked at and replaced: of two daemons that start at once, the second finds the first.
        let lock_path = path.with_extension("lock");
        let lock = std::fs::OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(BindError::Occupied { path: path.to_owned() }),
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(BindError::InUse { path: path.to_owned() });
            }
            _ => {}
        }
        // Bound under another name and moved into place, so that it is never open to others, and a dead socket of that
        // name is replaced in one go.
        let fresh = path.with_file_name(format!(".{}.sock", std::process::id()));
        drop(std::fs::remove_file(&fresh));
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        let place = || -> std::io::Result<(u64, u64)> {
            std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&fresh, path)?;
            identity(path)
        };
        match place() {
            Ok(identity) => Ok(Self { listener, guard: Guard { path: path.to_owned(), identity } }),
            Err(source) => {
                drop(std::fs::remove_file(&fresh));
                Err(failed(source))
            }
        }
    }

    pub(super) fn into_parts(self) -> (UnixListener, Guard) {
        (self.listener, self.guard)
    }
}

/// Removes the socket's file at the end, unless it is another one by then.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    identity: (u64, u64),
}

impl Guard {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if identity(&self.path).ok() == Some(self.identity) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Device and inode.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
