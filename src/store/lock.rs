//! Who applies, daemon or command: one process at a time for one state folder.

use crate::process::clock;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a held lock is tried again: `flock` cannot wait with a bound.
const RETRY: Duration = Duration::from_millis(50);

/// The right to change the host; given back when it is dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct ApplyLock {
    file: File,
}

/// The lock was not to be had.
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
    #[error("another apply is under way: {holder}; waited {}s. Try again when it is done", .waited.as_secs())]
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
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let begin = clock::monotonic();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
            let waited = begin.elapsed();
            if waited >= wait {
                return Err(LockError::Held { holder: holder(&mut file), waited });
            }
            tokio::time::sleep(RETRY.min(wait - waited)).await;
        }
        let note = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{} {what}", std::process::id())
        };
        let mut note = note;
        note().map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for ApplyLock {
    fn drop(&mut self) {
        // Best effort, for readers of the file; closing it gives the lock back in any case.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock file could not be emptied");
        }
    }
}

/// What the holder wrote about itself.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    match (read, text.trim().split_once(' ')) {
        (Ok(_), Some((pid, what))) => format!("{what}, process {pid}"),
        _ => "an unnamed process".to_owned(),
    }
}
