//! Which schedules are known, and since when each is known in its present form.

use super::ledger::parsed;
use super::{Ledger, StoreError, time_text};
use crate::model::{CommitId, ScheduleName, Timestamp};
use rusqlite::{OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;

/// Since when a schedule is known in its present form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSchedule {
    /// Due times until then never run.
    pub since: Timestamp,
    /// The commit that brought it.
    pub revision: CommitId,
}

impl Ledger {
    /// Remembers the commit whose schedules are in force, whatever becomes of its deployments later.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_in_force(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.store.with("note the commit in force", |db| {
            db.execute("UPDATE environments SET in_force = ?2 WHERE name = ?1", params![&*self.environment, commit])
                .map(drop)
        })
    }

    /// The commit whose schedules are in force.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn in_force(&self) -> Result<Option<CommitId>, StoreError> {
        self.store.with("read the commit in force", |db| {
            let select = "SELECT in_force FROM environments WHERE name = ?1";
            Ok(db.query_row(select, params![&*self.environment], |row| row.get(0)).optional()?.flatten())
        })
    }

    /// The schedules of the commit in force, each with a digest of its content. Returns when each was first known in this
    /// form: with another digest it is known since `now`. Due times until then never run. One that was first known later than
    /// `now` was so by a wall clock that was ahead; it is known since `now` as well. What stands before `:` in a digest is
    /// its encoding: with another one nothing is known of a change, and there is taken to be none, so that nothing runs
    /// because this program was exchanged.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn see_schedules<'a>(
        &self,
        schedules: impl IntoIterator<Item = (&'a ScheduleName, String)>,
        revision: &CommitId,
        now: Timestamp,
    ) -> Result<BTreeMap<ScheduleName, KnownSchedule>, StoreError> {
        self.store.with("note the schedules", |db| {
            // One transaction for all: thousands may be new at once.
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut insert = write.prepare_cached(
                "INSERT INTO schedules (environment, schedule, digest, revision, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (environment, schedule) DO UPDATE SET
                     revision = CASE WHEN digest <> ?3 AND same_encoding THEN ?4 ELSE revision END,
                     seen_at = CASE WHEN seen_at > ?5 OR digest <> ?3 AND same_encoding THEN ?5 ELSE seen_at END,
                     digest = ?3
                 WHERE digest <> ?3 OR seen_at > ?5"
                    .replace("same_encoding", "substr(digest, 1, instr(digest, ':')) = substr(?3, 1, instr(?3, ':'))")
                    .as_str(),
            )?;
            let mut select = write
                .prepare_cached("SELECT seen_at, revision FROM schedules WHERE environment = ?1 AND schedule = ?2")?;
            let mut known = BTreeMap::new();
            for (schedule, digest) in schedules {
                insert.execute(params![&*self.environment, schedule.as_str(), digest, revision, time_text(now)])?;
                let seen = select.query_row(params![&*self.environment, schedule.as_str()], |row| {
                    Ok(KnownSchedule { since: parsed(row, 0)?, revision: row.get(1)? })
                })?;
                known.insert(schedule.clone(), seen);
            }
            drop((insert, select));
            write.commit()?;
            Ok(known)
        })
    }

    /// Forgets the schedules that are not among `kept` and the figures of their tasks. Their runs and fires stay; one
    /// that comes back is known since then. Returns the forgotten, sorted.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget_schedules<'a>(
        &self,
        kept: impl IntoIterator<Item = &'a ScheduleName>,
    ) -> Result<Vec<ScheduleName>, StoreError> {
        let kept: Vec<&str> = kept.into_iter().map(ScheduleName::as_str).collect();
        let kept = serde_json::Value::from(kept).to_string();
        self.store.with("forget schedules", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let gone = "environment = ?1 AND schedule NOT IN (SELECT value FROM json_each(?2))";
            let mut forgotten = write
                .prepare(&format!("DELETE FROM schedules WHERE {gone} RETURNING schedule"))?
                .query_map(params![&*self.environment, kept], |row| row.get::<_, String>(0).map(ScheduleName::new))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            write.execute(&format!("DELETE FROM task_figures WHERE {gone}"), params![&*self.environment, kept])?;
            write.commit()?;
            forgotten.sort();
            Ok(forgotten)
        })
    }
}
