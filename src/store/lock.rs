//! The lock for applying: one process at a time, daemon or command, for one state folder.

use crate::process::lock::LockFile;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The right to change the host; given back when it is dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct ApplyLock {
    file: LockFile,
}

/// The lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its file cannot be made or read.
    #[error("cannot use the lock file {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process holds it.
    #[error("another apply is in progress: {holder}; waited {}s. Try again when it is done", .waited.as_secs())]
    Held {
        /// Process id and what it does.
        holder: String,
        /// How long was waited.
        waited: Duration,
    },
}

impl ApplyLock {
    /// Takes the lock of the state folder `dir`, waiting at most `wait`. `what` tells others who holds it
    /// (`daemon`, `setpoint apply`).
    ///
    /// # Errors
    /// When another process holds it for longer, or the file cannot be used.
    pub async fn acquire(dir: &Path, what: &str, wait: Duration) -> Result<Self, LockError> {
        let path = dir.join("apply.lock");
        let failed = |source| LockError::File { path: path.clone(), source };
        let mut file = LockFile::open(&path).map_err(failed)?;
        if !file.lock_within(wait).await.map_err(failed)? {
            return Err(LockError::Held { holder: holder(&mut file), waited: wait });
        }
        file.set_holder(&format!("{} {what}", std::process::id())).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for ApplyLock {
    fn drop(&mut self) {
        // Best effort, for readers of the file; closing it gives the lock back in any case.
        if let Err(error) = self.file.clear_holder() {
            tracing::debug!(%error, "the lock file could not be emptied");
        }
    }
}

/// What the holder wrote about itself.
fn holder(file: &mut LockFile) -> String {
    match file.holder().as_deref().and_then(|text| text.split_once(' ')) {
        Some((pid, what)) => format!("{what}, process {pid}"),
        None => "an unnamed process".to_owned(),
    }
}
