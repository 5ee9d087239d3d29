//! Runs of schedules: begun, ended, or found interrupted.

use super::columns::{known, known_or_null, natural, word};
use super::ledger::parsed;
use super::{DueKey, Ledger, StoreError, TaskRecord, fine_time_text, run_tasks, time_text};
use crate::model::{CommitId, RunId, ScheduleName, Timestamp};
use crate::schedule::RunVerdict;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

/// A run that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Its id, the one it was fired with.
    pub id: RunId,
    /// Name of its schedule.
    pub schedule: ScheduleName,
    /// What it was fired for.
    pub due: DueKey,
    /// The commit whose schedule it follows.
    pub revision: CommitId,
    /// It fails when a real-time policy cannot be had.
    pub strict: bool,
    /// When it is to start: its due time and the jitter. Kept to the microsecond.
    pub planned_at: Timestamp,
    /// Which boot of this machine prepares it (`process::boot`).
    pub boot: String,
    /// The process that runs it in a terminal; `None` for a daemon's.
    pub process: Option<u32>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It runs, or its process died and nobody has settled it yet.
    Running,
    /// It came to its end.
    Ended,
    /// Its process died before its end.
    Interrupted,
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its number: grows with each run, whatever the wall clock does.
    pub number: i64,
    /// Its id.
    pub id: RunId,
    /// Name of its schedule.
    pub schedule: ScheduleName,
    /// What it was fired for.
    pub due: DueKey,
    /// The commit whose schedule it follows; `None` when it never began.
    pub revision: Option<CommitId>,
    /// It fails when a real-time policy cannot be had; `false` also when it never began.
    pub strict: bool,
    /// When it was to start, to the microsecond; when it was fired, if it never began.
    pub planned_at: Timestamp,
    /// When it started by the wall clock, to the microsecond; `None` when it never began.
    pub started_at: Option<Timestamp>,
    /// Where it is.
    pub state: RunState,
    /// How it ended; `None` while it runs.
    pub verdict: Option<RunVerdict>,
    /// When it ended or was found interrupted, to the millisecond.
    pub ended_at: Option<Timestamp>,
    /// What else there is to say, for people.
    pub note: Option<String>,
}

/// A run with its tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    #[serde(flatten)]
    pub run: RunRow,
    /// Its occurrences by task and number, the first [`RunRecord::LIMIT`].
    pub tasks: Vec<TaskRecord>,
    /// How many occurrences were left out of `tasks`.
    pub left_out: u64,
}

impl RunRecord {
    /// What no answer exceeds.
    pub const LIMIT: usize = 20_000;
}

/// Which runs are wanted. The default is all of them.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this schedule.
    pub schedule: Option<ScheduleName>,
    /// Only in this state.
    pub state: Option<RunState>,
    /// Only planned for this time or later.
    pub since: Option<Timestamp>,
    /// At most so many; 0 is [`RunFilter::LIMIT`].
    pub limit: usize,
}

impl RunFilter {
    /// What no answer exceeds.
    pub const LIMIT: usize = 1000;
}

/// A run that its process did not bring to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// Its id.
    pub run: RunId,
    /// Name of its schedule.
    pub schedule: ScheduleName,
    /// What it was fired for.
    pub due: DueKey,
    /// When it was planned, or when it was fired if it never began.
    pub since: Timestamp,
    /// It began, or the machine lost power after it was prepared, so that nobody knows; what its last attempts came to is
    /// not known either. Otherwise nothing of it was started.
    pub began: bool,
    /// The process that ran it in a terminal, and may do so still.
    pub process: Option<u32>,
}

impl Ledger {
    /// A run is prepared: after it was fired, and a moment before it begins. It is on the disk when this returns, so that
    /// after a power cut nobody takes it for one that had not begun. It may be prepared again while it has not begun.
    ///
    /// # Errors
    /// When the database cannot be written, or a run of that id has begun; then it must not begin.
    pub fn prepare_run(&self, run: &RunStart) -> Result<(), StoreError> {
        self.store.with("prepare a run", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write
                .prepare_cached("DELETE FROM runs WHERE id = ?1 AND state = 'running' AND started_at IS NULL")?
                .execute(params![run.id])?;
            // Fails where a run of that id has begun.
            write
                .prepare_cached(
                    "INSERT INTO runs (id, environment, schedule, due, revision, strict, planned_at, boot, process, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'running')",
                )?
                .execute(params![
                    run.id,
                    &*self.environment,
                    run.schedule.as_str(),
                    run.due.to_string(),
                    run.revision,
                    run.strict,
                    fine_time_text(run.planned_at),
                    run.boot,
                    run.process
                ])?;
            write.commit()
        })?;
        self.flush()
    }

    /// A run that was prepared begins, `at` by the wall clock (kept to the microsecond): before its first task is started.
    /// It need not be on the disk for that.
    ///
    /// # Errors
    /// When the database cannot be written, or no run of that id is prepared; then it must not begin.
    pub fn begin_run(&self, run: &RunId, at: Timestamp) -> Result<(), StoreError> {
        self.store.with("begin a run", |db| {
            let changed = db
                .prepare_cached(
                    "UPDATE runs SET started_at = ?3
                     WHERE environment = ?1 AND id = ?2 AND state = 'running' AND started_at IS NULL",
                )?
                .execute(params![&*self.environment, run, fine_time_text(at)])?;
            if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
        })
    }

    /// A run came to its end. Says whether it was running.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn end_run(
        &self,
        run: &RunId,
        verdict: RunVerdict,
        note: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = Closing { run, state: RunState::Ended, verdict, note, now };
        self.store.with("end a run", |db| row.write(db, &self.environment))
    }

    /// Runs that are recorded as running, and fires whose run never began; by time. Asked by a daemon before its first fire,
    /// these are exactly what an earlier process left behind: a state folder has one daemon at a time. `boot` is this boot
    /// of the machine.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn interrupted_runs(&self, boot: &str) -> Result<Vec<Interrupted>, StoreError> {
        // A killed process loses nothing that it wrote: within one boot a run without a start has not begun.
        let sql = "SELECT id, schedule, due, planned_at, started_at IS NOT NULL OR boot IS NOT ?2, process
                   FROM runs WHERE environment = ?1 AND state = 'running'
                   UNION ALL
                   SELECT run, schedule, due, recorded_at, 0, NULL FROM fires
                   WHERE environment = ?1 AND outcome = 'started' AND run IS NOT NULL
                         AND NOT EXISTS (SELECT 1 FROM runs WHERE id = fires.run)
                   ORDER BY 4, 3";
        self.store.with("look for interrupted runs", |db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(params![&*self.environment, boot], |row| {
                Ok(Interrupted {
                    run: row.get(0)?,
                    schedule: ScheduleName::new(row.get::<_, String>(1)?),
                    due: parsed(row, 2)?,
                    since: parsed(row, 3)?,
                    began: row.get(4)?,
                    process: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Closes a run that was found interrupted; for one that never began a record is made. Says whether there was
    /// something to close.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn settle_interrupted(
        &self,
        run: &RunId,
        verdict: RunVerdict,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let closing = Closing { run, state: RunState::Interrupted, verdict, note: Some(note), now };
        self.store.with("close an interrupted run", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let fired: Option<(String, String, Timestamp)> = write
                .query_row(
                    "SELECT schedule, due, recorded_at FROM fires
                     WHERE run = ?1 AND environment = ?2 AND outcome = 'started'
                           AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)",
                    params![run, &*self.environment],
                    |row| Ok((row.get(0)?, row.get(1)?, parsed(row, 2)?)),
                )
                .optional()?;
            if let Some((schedule, due, at)) = fired {
                write.execute(
                    "INSERT INTO runs (id, environment, schedule, due, strict, planned_at, state)
                     VALUES (?1, ?2, ?3, ?4, 0, ?5, 'running')",
                    params![run, &*self.environment, schedule, due, fine_time_text(at)],
                )?;
            }
            let closed = closing.write(&write, &self.environment)?;
            write.commit()?;
            Ok(closed)
        })
    }

    /// A run with its tasks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn run(&self, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        let sql = format!("{SELECT} AND id = ?2");
        self.store.with("read a run", |db| {
            let read = db.transaction()?;
            let row = read.prepare_cached(&sql)?.query_row(params![&*self.environment, id], run_row).optional()?;
            let Some(run) = row else { return Ok(None) };
            let tasks = run_tasks::read(&read, id, RunRecord::LIMIT)?;
            let mut left_out = 0;
            if tasks.len() == RunRecord::LIMIT {
                let sql = "SELECT count(*) FROM run_tasks WHERE run = ?1";
                let all = read.query_row(sql, params![id], |row| natural(row, 0))?;
                left_out = all.saturating_sub(tasks.len() as u64);
            }
            Ok(Some(RunRecord { run, tasks, left_out }))
        })
    }

    /// The runs that pass `filter`, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        let limit = match filter.limit {
            0 => RunFilter::LIMIT,
            wanted => wanted.min(RunFilter::LIMIT),
        };
        // Without `OR`, so that the index serves it.
        let schedule = if filter.schedule.is_some() { "schedule = ?2" } else { "?2 IS NULL" };
        let sql = format!(
            "{SELECT} AND {schedule} AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR planned_at >= ?4)
             ORDER BY number DESC LIMIT ?5"
        );
        self.store.with("read runs", |db| {
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(
                params![
                    &*self.environment,
                    filter.schedule.as_ref().map(ScheduleName::as_str),
                    filter.state.as_ref().map(word).transpose()?,
                    filter.since.map(fine_time_text),
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                run_row,
            )?;
            rows.collect()
        })
    }
}

/// The end of a run.
struct Closing<'a> {
    run: &'a RunId,
    state: RunState,
    verdict: RunVerdict,
    note: Option<&'a str>,
    now: Timestamp,
}

impl Closing<'_> {
    fn write(&self, db: &rusqlite::Connection, environment: &str) -> rusqlite::Result<bool> {
        let changed = db
            .prepare_cached(
                "UPDATE runs SET state = ?3, verdict = ?4, ended_at = ?5, note = coalesce(?6, note)
                 WHERE environment = ?1 AND id = ?2 AND state = 'running'",
            )?
            .execute(params![
                environment,
                self.run,
                word(&self.state)?,
                word(&self.verdict)?,
                time_text(self.now),
                self.note
            ])?;
        Ok(changed > 0)
    }
}

const SELECT: &str = "SELECT number, id, schedule, due, revision, strict, planned_at, started_at, state, verdict,
                             ended_at, note
                      FROM runs WHERE environment = ?1";

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let time = |column| -> rusqlite::Result<Option<Timestamp>> {
        row.get::<_, Option<String>>(column)?.map(|_| parsed(row, column)).transpose()
    };
    Ok(RunRow {
        number: row.get(0)?,
        id: row.get(1)?,
        schedule: ScheduleName::new(row.get::<_, String>(2)?),
        due: parsed(row, 3)?,
        revision: row.get(4)?,
        strict: row.get(5)?,
        planned_at: parsed(row, 6)?,
        started_at: time(7)?,
        state: known(row, 8, "runs")?,
        verdict: known_or_null(row, 9, "runs")?,
        ended_at: time(10)?,
        note: row.get(11)?,
    })
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
