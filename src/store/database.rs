//! The handle of the store: one connection to the database, and the flush of its log.

use super::{StoreError, error, schema};
use crate::model::OwnerId;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The store of one installation; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

/// What all clones of a store share.
#[derive(Debug)]
pub(super) struct Inner {
    connection: Mutex<Connection>,
    path: PathBuf,
    installation: String,
    pub(super) newest: watch::Sender<i64>,
    /// When old events were last removed.
    pub(super) pruned: Mutex<Option<std::time::Instant>>,
    /// Length of the log when all of it was last known to be on the disk.
    #[cfg(test)]
    flushed: std::sync::atomic::AtomicU64,
    /// How often the disk was waited for.
    #[cfg(test)]
    flushes: std::sync::atomic::AtomicU64,
}

impl Store {
    /// Opens the store in `dir`, making folder (0700) and file (0600) when they are missing.
    ///
    /// # Errors
    /// When the file is damaged, was written by a newer version, or cannot be opened or written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (connection, path) = schema::open(dir)?;
        let installation = schema::installation(&connection).map_err(|source| error::at(&path, "read", source))?;
        let newest = newest_event(&connection).map_err(|source| error::at(&path, "read", source))?;
        let newest = watch::Sender::new(newest);
        let inner = Inner {
            connection: Mutex::new(connection),
            path,
            installation,
            newest,
            pruned: Mutex::new(None),
            #[cfg(test)]
            flushed: std::sync::atomic::AtomicU64::default(),
            #[cfg(test)]
            flushes: std::sync::atomic::AtomicU64::default(),
        };
        let store = Self { inner: Arc::new(inner) };
        // The entries of the folder, so that a log that is flushed is also found.
        let folder = std::fs::File::open(dir).and_then(|folder| folder.sync_all());
        folder.map_err(|source| StoreError::Flush { path: dir.to_owned(), source })?;
        store.flush()?;
        Ok(store)
    }

    /// Waits until all that was written before is on the disk, also what others wrote. Nobody waits for that meanwhile:
    /// the log is flushed by a handle of its own.
    ///
    /// # Errors
    /// When the disk does not take it; then what was written may be lost, and nothing may rest on it.
    pub fn flush(&self) -> Result<(), StoreError> {
        let path = self.log();
        let flushed = match std::fs::File::open(&path) {
            #[cfg(test)]
            Ok(file) => file.metadata().and_then(|log| {
                self.inner.flushed.fetch_max(log.len(), std::sync::atomic::Ordering::Relaxed);
                self.inner.flushes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                file.sync_data()
            }),
            #[cfg(not(test))]
            Ok(file) => file.sync_data(),
            // Nothing was written since the file was opened, or all of it was moved into the database, which SQLite flushes.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        flushed.map_err(|source| StoreError::Flush { path, source })
    }

    /// The write-ahead log. What is appended to it is in the database; older parts are moved there now and then.
    fn log(&self) -> PathBuf {
        self.inner.path.with_file_name("setpoint.db-wal")
    }

    /// What a power cut leaves of this store now, in another folder: what was not flushed is lost. The store must have
    /// been kept from moving its log ([`Store::keep_log`]).
    #[cfg(test)]
    pub(crate) fn power_cut(&self, into: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(into)?;
        std::fs::copy(&self.inner.path, into.join("setpoint.db"))?;
        std::fs::copy(self.inner.path.with_file_name("installation"), into.join("installation"))?;
        let log = into.join("setpoint.db-wal");
        std::fs::copy(self.log(), &log)?;
        let flushed = self.inner.flushed.load(std::sync::atomic::Ordering::Relaxed);
        std::fs::OpenOptions::new().write(true).open(log)?.set_len(flushed)
    }

    /// How often the disk was waited for until now.
    #[cfg(test)]
    pub(crate) fn flushes(&self) -> u64 {
        self.inner.flushes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Never moves parts of the log into the database.
    #[cfg(test)]
    pub(crate) fn keep_log(&self) -> Result<(), StoreError> {
        self.with("keep the log", |db| db.pragma_update(None, "wal_autocheckpoint", 0))
    }

    /// The random id of this installation, made once: what distinguishes its objects on an engine from those of others.
    pub fn installation(&self) -> &str {
        &self.inner.installation
    }

    /// The owner of the objects of an environment: `<installation>/<environment>`.
    pub fn owner(&self, environment: &str) -> OwnerId {
        OwnerId::new(format!("{}/{environment}", self.inner.installation))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The number of the newest event of this process; changes when one is recorded.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.inner.newest.subscribe()
    }

    /// Runs `work` on the connection; `what` names the operation in the error.
    pub(super) fn with<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic while the mutex was held leaves no half-done work behind: its transaction was rolled back.
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|source| error::at(&self.inner.path, what, source))
    }
}

/// The number of the newest event.
fn newest_event(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))
}
