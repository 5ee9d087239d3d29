//! What has to outlive the process: facts, what was applied, what failed, what was stopped by hand.
//!
//! One SQLite file, `setpoint.db` in the state folder, that a person may read with the `sqlite3` shell: times are text,
//! the view `timeline` reads like a log. In: [`crate::event::Event`]s and what conductors learn. Out: [`crate::plan::Memory`] for the planner, rows
//! for status, `events` and `why`. Nothing outside this folder knows SQL.
//!
//! The handle is synchronous: a mutex around one connection. In WAL mode with `synchronous=NORMAL` a write is an append
//! to a mapped file without fsync, tens of microseconds; a hop to another thread would cost as much and would let an
//! event overtake the step that it announces. Reads are bounded by their `limit`. A power cut may lose the last writes,
//! never the file; a killed process loses nothing. What a run rests on waits for the disk ([`Store::flush`]): after a power
//! cut it must not happen again.

mod columns;
mod database;
mod error;
mod events;
mod figures;
mod fires;
mod fires_removed;
mod installation;
mod instances;
mod ledger;
mod lock;
mod plans;
mod prune_runs;
mod retention;
mod revisions;
mod run_tasks;
mod runs;
mod schedules;
mod schema;

pub use database::Store;
pub use error::{StoreError, UnknownValue};
pub use events::{EventFilter, Recorded};
pub use figures::{FigureKind, Figures, TaskFigures};
pub use fires::{DueKey, FireOutcome, FireRow, Fired, ParseDueError};
pub use instances::{InstanceRow, ObservedInstance, Transition};
pub use ledger::{Ledger, RepoIdentity};
pub use lock::{ApplyLock, LockError};
pub use retention::Retention;
pub use revisions::{RevisionOutcome, RevisionRow};
pub use run_tasks::{TaskRecord, TryRecord};
pub use runs::{Interrupted, RunFilter, RunRecord, RunRow, RunStart, RunState};
pub use schedules::KnownSchedule;

use columns::{fine_time_text, time_text};

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;
