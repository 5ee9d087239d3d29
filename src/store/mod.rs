//! What has to outlive the process: facts, what was applied, what failed, what was stopped by hand.
//!
//! One SQLite file, `setpoint.db` in the state folder, that a person may read with the `sqlite3` shell: times are text,
//! the view `timeline` reads like a log. In: [`crate::event::Event`]s and what conductors learn. Out: [`crate::plan::Memory`] for the planner, rows
//! for status, `events` and `why`. Nothing outside this folder knows SQL.
//!
//! The handle is synchronous: a mutex around one connection. In WAL mode with `synchronous=NORMAL` a write is an append
//! to a mapped file without fsync, tens of microseconds; a hop to another thread would cost as much and would let an
//! event overtake the step that it announces. Reads are bounded by their `limit`. A power cut may lose the last writes,
//! never the file; a killed process loses nothing. Only the start of a run waits for the disk ([`Ledger::fire`]):
//! after a power cut it must not happen again.

mod columns;
mod error;
mod events;
mod figures;
mod fires;
mod instances;
mod ledger;
mod lock;
mod plans;
mod prune_runs;
mod revisions;
mod run_tasks;
mod runs;
mod schedules;
mod schema;

pub use error::StoreError;
pub use events::{EventFilter, Recorded, Retention};
pub use figures::{FigureKind, Figures, TaskFigures};
pub use fires::{DueKey, FireOutcome, FireRow, Fired, ParseDueError};
pub use instances::{InstanceRow, Seen, Transition};
pub use ledger::{Ledger, RepoIdentity};
pub use lock::{ApplyLock, LockError};
pub use revisions::{RevisionOutcome, RevisionRow};
pub use run_tasks::{TaskRecord, TryRecord};
pub use runs::{Interrupted, RunFilter, RunRecord, RunRow, RunStart, RunState};
pub use schedules::KnownSchedule;

use crate::model::{OwnerId, Timestamp};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The store of one installation; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Mutex<Connection>,
    path: PathBuf,
    installation: String,
    newest: watch::Sender<i64>,
}

impl Store {
    /// Opens the store in `dir`, making folder (0700) and file (0600) when they are missing.
    ///
    /// # Errors
    /// When the file is damaged, was written by a newer version, or cannot be opened or written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (connection, path) = schema::open(dir)?;
        let installation = schema::installation(&connection).map_err(|source| error::at(&path, "read", source))?;
        let newest = events::newest(&connection).map_err(|source| error::at(&path, "read", source))?;
        let newest = watch::Sender::new(newest);
        Ok(Self { inner: Arc::new(Inner { connection: Mutex::new(connection), path, installation, newest }) })
    }

    /// The random id of this installation, made once: what tells its objects on an engine from those of others.
    pub fn installation(&self) -> &str {
        &self.inner.installation
    }

    /// Who owns the objects of an environment: `<installation>/<environment>`.
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
    fn with<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic while the mutex was held leaves no half-done work behind: its transaction was rolled back.
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|source| error::at(&self.inner.path, what, source))
    }
}

/// Text of a time in the database: fixed width, so that its order is the order of time.
fn time_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The same with microseconds, where lateness is read from the difference of two times.
fn fine_time_text(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests;
