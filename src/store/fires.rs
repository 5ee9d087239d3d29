//! The fire ledger: what became of each due time of a schedule, written down before anything is started.

use super::columns::{to_json, unknown};
use super::fires_removed;
use super::ledger::parsed;
use super::{Ledger, StoreError, time_text};
use crate::model::{CommitId, RunId, ScheduleName, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use std::str::FromStr;

/// What a run is fired for; with owner and schedule it is fired at most once. As text an RFC 3339 instant,
/// `commit:<id>` or `manual:<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DueKey {
    /// A due time.
    Instant(Timestamp),
    /// A commit that adds or changes the schedule.
    Commit(CommitId),
    /// Somebody's request. Its id has to be new for each request: it is forgotten when its run is removed by age.
    Manual(RunId),
}

/// A text that is no [`DueKey`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 instant, commit:<id> or manual:<id>")]
pub struct ParseDueError(String);

/// What became of a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum FireOutcome {
    /// Its run starts; written before it does.
    Started,
    /// Its run waits for an earlier one.
    Queued,
    /// It does not run, because an earlier run has not ended.
    Skipped,
    /// It does not run, because nobody was there in time. The key is the latest of several due times in a row.
    Missed {
        /// The earliest of them.
        missed_from: Timestamp,
        /// How many there are; at least so many when it is `schedule::agenda::MISSED_LIMIT`.
        missed: u64,
    },
    /// A later run took its place.
    Replaced,
}

/// Whether a due time was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// It is ours: what the outcome says may be done now.
    Recorded,
    /// It was taken before, with this outcome; nothing was changed and nothing may be started. `None` when its row was
    /// removed by age.
    AlreadyThere(Option<FireOutcome>),
}

/// A due time and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireRow {
    /// Name of the schedule.
    pub schedule: ScheduleName,
    /// What it was fired for.
    pub due: DueKey,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: FireOutcome,
    /// Id of its run; `None` when there is none, or when its record was removed by age.
    pub run: Option<RunId>,
    /// When that was written, to the millisecond.
    pub recorded_at: Timestamp,
}

impl Ledger {
    /// Takes a due time, before its run is started. A key is taken at most once, by whichever process is first. Before a
    /// start is acted on, it must be on the disk: [`Ledger::flush`] brings any number of them there at once. A start
    /// without the id of its run is not found by [`Ledger::interrupted_runs`].
    ///
    /// # Errors
    /// When the database cannot be written; then nothing may be started.
    pub fn fire(
        &self,
        schedule: &ScheduleName,
        due: &DueKey,
        outcome: FireOutcome,
        run: Option<&RunId>,
        now: Timestamp,
    ) -> Result<Fired, StoreError> {
        self.store.with("write the fire ledger", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let name = schedule.as_str();
            if let Some(row) = find(&write, &self.environment, name, due)? {
                return Ok(Fired::AlreadyThere(Some(row.outcome)));
            }
            if let DueKey::Instant(due) = due
                && fires_removed::has(&fires_removed::spans(&write, &self.environment, name)?, *due)
            {
                return Ok(Fired::AlreadyThere(None));
            }
            let [word, missed_from, missed] = columns(outcome)?;
            write
                .prepare_cached(
                    "INSERT INTO fires (environment, schedule, due, outcome, missed_from, missed, run, recorded_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    &*self.environment,
                    name,
                    due.to_string(),
                    word.as_str(),
                    missed_from.as_str(),
                    missed.as_i64(),
                    run,
                    time_text(now)
                ])?;
            write.commit()?;
            Ok(Fired::Recorded)
        })
    }

    /// Brings all that was written onto the disk; before a start is acted on.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing may be started.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    /// What waited or was started becomes something else: a queued run starts, or is replaced. Says whether it was
    /// `from` until now; if not, nothing was changed and nothing may be started. Like [`Ledger::fire`], a start must be
    /// on the disk before it is acted on. The run that is named here replaces the one that was, which must not have begun.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn refire(
        &self,
        schedule: &ScheduleName,
        due: &DueKey,
        from: FireOutcome,
        to: FireOutcome,
        run: Option<&RunId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.store.with("write the fire ledger", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let [word, missed_from, missed] = columns(to)?;
            let [before, ..] = columns(from)?;
            let key = (schedule.as_str(), due.to_string());
            if from == FireOutcome::Started {
                write
                    .prepare_cached(
                        "DELETE FROM runs WHERE state = 'running' AND started_at IS NULL AND id = (
                             SELECT run FROM fires
                             WHERE environment = ?1 AND schedule = ?2 AND due = ?3 AND outcome = 'started')",
                    )?
                    .execute(params![&*self.environment, key.0, key.1])?;
            }
            let changed = write
                .prepare_cached(
                    "UPDATE fires SET outcome = ?5, missed_from = ?6, missed = ?7, run = ?8, recorded_at = ?9
                     WHERE environment = ?1 AND schedule = ?2 AND due = ?3 AND outcome = ?4",
                )?
                .execute(params![
                    &*self.environment,
                    key.0,
                    key.1,
                    before.as_str(),
                    word.as_str(),
                    missed_from.as_str(),
                    missed.as_i64(),
                    run,
                    time_text(now)
                ])?;
            write.commit()?;
            Ok(changed > 0)
        })
    }

    /// The latest due time in the ledger that is not later than `now`, whatever became of it; what
    /// `schedule::agenda::due` asks for. Later ones are there when a start is a moment ahead, or the wall clock was: they
    /// settle themselves and nothing before them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn settled(&self, schedule: &ScheduleName, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        // Instants begin with a digit, before `:`; the other keys with a letter, after it. Texts of one second are not
        // in the order of time (`00.5Z` is before `00Z`); `~` is after both.
        let sql = "SELECT due FROM fires WHERE environment = ?1 AND schedule = ?2 AND due < ':' AND due < ?3
                   ORDER BY due DESC";
        let text = now.to_string();
        let second = |text: &str| text.get(..19).unwrap_or_default().to_owned();
        self.store.with("read the fire ledger", |db| {
            let removed = fires_removed::spans(db, &self.environment, schedule.as_str())?;
            let mut latest: Option<Timestamp> = None;
            let mut statement = db.prepare_cached(sql)?;
            let mut rows =
                statement.query(params![&*self.environment, schedule.as_str(), format!("{}~", second(&text))])?;
            while let Some(row) = rows.next()? {
                let due: Timestamp = parsed(row, 0)?;
                if latest.is_some_and(|latest| second(&latest.to_string()) != second(&due.to_string())) {
                    break;
                }
                latest = latest.max(Some(due).filter(|due| *due <= now));
            }
            Ok(latest.max(fires_removed::latest(&removed, now)))
        })
    }

    /// Whether something became of a due time, whatever it was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_settled(&self, schedule: &ScheduleName, due: Timestamp) -> Result<bool, StoreError> {
        self.store.with("read the fire ledger", |db| {
            let name = schedule.as_str();
            Ok(find(db, &self.environment, name, &DueKey::Instant(due))?.is_some()
                || fires_removed::has(&fires_removed::spans(db, &self.environment, name)?, due))
        })
    }

    /// What became of a due time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fire_of(&self, schedule: &ScheduleName, due: &DueKey) -> Result<Option<FireRow>, StoreError> {
        self.store.with("read the fire ledger", |db| find(db, &self.environment, schedule.as_str(), due))
    }

    /// What became of due times of one schedule or of all, the newest entries first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn fires(&self, schedule: Option<&ScheduleName>, limit: usize) -> Result<Vec<FireRow>, StoreError> {
        let sql = format!(
            "{SELECT} AND (?2 IS NULL OR schedule = ?2) ORDER BY recorded_at DESC, rtrim(due, 'Z') DESC LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.store.with("read the fire ledger", |db| {
            db.prepare_cached(&sql)?
                .query_map(params![&*self.environment, schedule.map(ScheduleName::as_str), limit], fire_row)?
                .collect()
        })
    }

    /// What waits for an earlier run, in the order in which it came.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn queued(&self) -> Result<Vec<FireRow>, StoreError> {
        let sql = format!("{SELECT} AND outcome = 'queued' ORDER BY recorded_at, rtrim(due, 'Z')");
        self.store.with("read the fire ledger", |db| {
            db.prepare_cached(&sql)?.query_map(params![&*self.environment], fire_row)?.collect()
        })
    }
}

const SELECT: &str = "SELECT schedule, due, outcome, missed_from, missed, run, recorded_at
                                 FROM fires WHERE environment = ?1";

fn find(db: &Connection, environment: &str, schedule: &str, due: &DueKey) -> rusqlite::Result<Option<FireRow>> {
    let sql = format!("{SELECT} AND schedule = ?2 AND due = ?3");
    db.prepare_cached(&sql)?.query_row(params![environment, schedule, due.to_string()], fire_row).optional()
}

/// The columns `outcome`, `missed_from` and `missed`.
fn columns(outcome: FireOutcome) -> rusqlite::Result<[serde_json::Value; 3]> {
    let mut json = to_json(&outcome)?;
    Ok(["outcome", "missed_from", "missed"]
        .map(|key| json.get_mut(key).map(serde_json::Value::take).unwrap_or_default()))
}

fn fire_row(row: &Row<'_>) -> rusqlite::Result<FireRow> {
    let outcome = json!({
        "outcome": row.get::<_, String>(2)?,
        "missed_from": row.get::<_, Option<String>>(3)?,
        "missed": row.get::<_, Option<i64>>(4)?,
    });
    Ok(FireRow {
        schedule: ScheduleName::new(row.get::<_, String>(0)?),
        due: parsed(row, 1)?,
        outcome: serde_json::from_value(outcome).map_err(|_| unknown(row, 2, "fires"))?,
        run: row.get(5)?,
        recorded_at: parsed(row, 6)?,
    })
}

impl fmt::Display for DueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(at) => f.pad(&at.to_string()),
            Self::Commit(id) => f.pad(&format!("commit:{id}")),
            Self::Manual(id) => f.pad(&format!("manual:{id}")),
        }
    }
}

impl FromStr for DueKey {
    type Err = ParseDueError;

    fn from_str(text: &str) -> Result<Self, ParseDueError> {
        match (text.split_once(':'), text.parse()) {
            (Some(("commit", id)), _) if !id.is_empty() => Ok(Self::Commit(CommitId::new(id))),
            (Some(("manual", id)), _) if !id.is_empty() => Ok(Self::Manual(RunId::new(id))),
            (_, Ok(at)) => Ok(Self::Instant(at)),
            _ => Err(ParseDueError(text.to_owned())),
        }
    }
}

impl From<DueKey> for String {
    fn from(due: DueKey) -> Self {
        due.to_string()
    }
}

impl TryFrom<String> for DueKey {
    type Error = ParseDueError;

    fn try_from(text: String) -> Result<Self, ParseDueError> {
        text.parse()
    }
}

#[cfg(test)]
#[path = "fires_tests.rs"]
mod tests;
