//! Unix sockets: bound so that nobody else can ever open them, a dead one replaced, a live one respected.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::UnixListener;

/// A socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindSocketError {
    /// A process answers on it.
    #[error("another process already answers on it")]
    InUse,
    /// Something that is not a socket has its name.
    #[error("it exists and is not a socket")]
    Occupied,
    /// The operating system refuses it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Binds `path` with this mode of its file. Needs a running tokio runtime.
///
/// # Errors
/// See [`BindSocketError`].
pub fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketGuard), BindSocketError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(BindSocketError::Occupied),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => return Err(BindSocketError::InUse),
        _ => {}
    }
    // Bound under another name and moved into place, so that it is never open to others, and a dead socket of that name is
    // replaced in one step. The name is short: a socket's path has at most 107 bytes.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_file_name(format!(".{}.{serial}", std::process::id()));
    drop(std::fs::remove_file(&fresh));
    let listener = UnixListener::bind(&fresh)?;
    let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&fresh, path))
        .and_then(|()| identity(path));
    match placed {
        Ok(identity) => Ok((listener, SocketGuard { path: path.to_owned(), identity })),
        Err(error) => {
            drop(std::fs::remove_file(&fresh));
            Err(error.into())
        }
    }
}

/// Removes the socket's file when it is dropped, unless another file has that name by then.
#[derive(Debug)]
pub struct SocketGuard {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketGuard {
    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_a_live_one_respected_and_a_file_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (listener, guard) = bind(&path, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind(&path, 0o600), Err(BindSocketError::InUse)));
        drop(listener);
        let (second, second_guard) = bind(&path, 0o660).unwrap();
        drop(guard);
        assert!(path.exists(), "the guard of the first removes no other socket");
        drop((second, second_guard));
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(bind(&path, 0o600), Err(BindSocketError::Occupied)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
