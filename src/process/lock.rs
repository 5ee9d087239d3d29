//! Locks on files, between processes. The kernel gives a lock back when its process dies.

use super::clock;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a held lock is tried again: `flock` cannot wait with a bound.
const RETRY: Duration = Duration::from_millis(50);

/// A file that is locked; dropped, it gives the lock back.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl LockFile {
    /// Opens the file, creating it (0600) when it is missing. The lock is not taken yet.
    ///
    /// # Errors
    /// When it cannot be opened or created.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).write(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self { file })
    }

    /// Takes the lock without waiting; `false` when another process holds it.
    ///
    /// # Errors
    /// When the file system does not support locks.
    pub fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock, waiting for it without a bound. Blocks the calling thread.
    ///
    /// # Errors
    /// As [`LockFile::try_lock`].
    pub fn lock(&self) -> io::Result<()> {
        loop {
            match self.file.lock() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Takes the lock, waiting at most `patience`; `false` when another process held it for all that time.
    ///
    /// # Errors
    /// As [`LockFile::try_lock`].
    pub async fn lock_within(&self, patience: Duration) -> io::Result<bool> {
        let begin = clock::monotonic();
        while !self.try_lock()? {
            let Some(pause) = pause(begin, patience) else { return Ok(false) };
            tokio::time::sleep(pause).await;
        }
        Ok(true)
    }

    /// The same for a thread that may block; it also gives up when `is_stopped`.
    ///
    /// # Errors
    /// As [`LockFile::try_lock`].
    pub fn lock_within_blocking(&self, patience: Duration, is_stopped: impl Fn() -> bool) -> io::Result<bool> {
        let begin = clock::monotonic();
        while !self.try_lock()? {
            let Some(pause) = pause(begin, patience).filter(|_| !is_stopped()) else { return Ok(false) };
            std::thread::sleep(pause);
        }
        Ok(true)
    }

    /// Writes into the file who holds the lock.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_holder(&mut self, holder: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{holder}")
    }

    /// Who holds the lock, as the holder wrote it; `None` when nothing can be read.
    pub fn holder(&mut self) -> Option<String> {
        let mut text = String::new();
        self.file.rewind().and_then(|()| self.file.read_to_string(&mut text)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Removes the holder's text, for readers of the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear_holder(&self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

/// How long to wait until the next try; `None` when `patience` is over.
fn pause(begin: Instant, patience: Duration) -> Option<Duration> {
    let left = patience.saturating_sub(begin.elapsed());
    (!left.is_zero()).then(|| RETRY.min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_waited_for_with_a_bound_and_tells_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = LockFile::open(&path).unwrap();
        assert!(first.try_lock().unwrap());
        first.set_holder("me").unwrap();
        let mut second = LockFile::open(&path).unwrap();
        assert!(!second.lock_within(Duration::from_millis(10)).await.unwrap());
        assert!(!second.lock_within_blocking(Duration::from_mins(10), || true).unwrap(), "it gives up when stopped");
        assert_eq!(second.holder().as_deref(), Some("me"));
        first.clear_holder().unwrap();
        assert_eq!(second.holder(), None);
        drop(first);
        assert!(second.lock_within(Duration::from_secs(10)).await.unwrap());
    }
}
