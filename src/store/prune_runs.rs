//! How long runs and fires are kept.

use super::fires::removed_until;
use super::ledger::parsed;
use super::{Ledger, StoreError};
use crate::model::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::BTreeMap;

/// Runs that are removed in one transaction: what is recorded meanwhile must not wait for long.
const AT_ONCE: usize = 10;

impl Ledger {
    /// Removes all but the newest `keep` runs of each schedule, with their tasks; a run that goes on stays. Fires are
    /// removed likewise, after their runs. That makes no due time fire again: how far they were removed is remembered,
    /// and what was fired for a commit stays. Returns how many runs went.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn prune_runs(&self, keep: usize) -> Result<usize, StoreError> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let mut gone = 0;
        loop {
            let removed = self.store.with("remove old runs", |db| remove_runs(db, &self.environment, keep))?;
            gone += removed;
            if removed < AT_ONCE {
                break;
            }
        }
        self.store.with("remove old fires", |db| remove_fires(db, &self.environment, keep))?;
        Ok(gone)
    }
}

fn remove_runs(db: &mut Connection, environment: &str, keep: i64) -> rusqlite::Result<usize> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old: Vec<String> = write
        .prepare_cached(&format!(
            "SELECT id FROM (
                 SELECT id, number, state, row_number() OVER (PARTITION BY schedule ORDER BY number DESC) AS place
                 FROM runs WHERE environment = ?1)
             WHERE place > ?2 AND state <> 'running' ORDER BY number LIMIT {AT_ONCE}"
        ))?
        .query_map(params![environment, keep], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for run in &old {
        // Else its fire would look like one whose run never began.
        write.prepare_cached("UPDATE fires SET run = NULL WHERE run = ?1")?.execute(params![run])?;
        write.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute(params![run])?;
    }
    write.commit()?;
    Ok(old.len())
}

fn remove_fires(db: &mut Connection, environment: &str, keep: i64) -> rusqlite::Result<()> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut statement = write.prepare_cached(
        "DELETE FROM fires WHERE environment = ?1 AND run IS NULL AND outcome <> 'queued' AND (schedule, due) IN (
             SELECT schedule, due FROM (
                 SELECT schedule, due, row_number() OVER (
                     PARTITION BY schedule ORDER BY recorded_at DESC, rtrim(due, 'Z') DESC) AS place
                 FROM fires WHERE environment = ?1 AND due NOT GLOB 'commit:*')
             WHERE place > ?2)
         RETURNING schedule, due",
    )?;
    let mut rows = statement.query(params![environment, keep])?;
    let mut until: BTreeMap<String, Timestamp> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        if let super::DueKey::Instant(due) = parsed(row, 1)? {
            let latest = until.entry(row.get(0)?).or_insert(due);
            *latest = due.max(*latest);
        }
    }
    drop(rows);
    drop(statement);
    for (schedule, due) in until {
        let due = removed_until(&write, environment, &schedule)?.map_or(due, |before| before.max(due));
        write.execute(
            "INSERT OR REPLACE INTO fires_removed (environment, schedule, due) VALUES (?1, ?2, ?3)",
            params![environment, schedule, due.to_string()],
        )?;
    }
    write.commit()
}
