//! How long runs and fires are kept.

use super::fires::DueKey;
use super::ledger::parsed;
use super::{Ledger, StoreError, fires_removed};
use crate::model::{ScheduleName, Timestamp};
use rusqlite::{Connection, TransactionBehavior, params};
use std::time::Duration;

/// Occurrences or fires that are removed in one transaction: what is recorded meanwhile must not wait for long.
const AT_ONCE: u16 = 500;
/// Time between two transactions in which others write.
const PAUSE: Duration = Duration::from_millis(2);

/// A run to remove: among those before the newest `?3` of its schedule the oldest.
const OLD_RUN: &str = "SELECT id FROM runs
     WHERE environment = ?1 AND schedule = ?2 AND state <> 'running' AND number <= (
         SELECT number FROM runs WHERE environment = ?1 AND schedule = ?2 ORDER BY number DESC LIMIT 1 OFFSET ?3)
     ORDER BY number LIMIT 1";
/// Fires to remove, earliest first: before the latest `?3` due times, or asked for by hand; those of a run go after it.
const OLD_FIRES: &str = "SELECT due, outcome = 'missed' FROM fires
     WHERE environment = ?1 AND schedule = ?2 AND run IS NULL AND outcome <> 'queued' AND due < ':' AND due <= (
         SELECT due FROM fires WHERE environment = ?1 AND schedule = ?2 AND due < ':'
         ORDER BY due DESC LIMIT 1 OFFSET ?3)
     ORDER BY due LIMIT ?4";
const OLD_REQUESTS: &str = "DELETE FROM fires
     WHERE environment = ?1 AND schedule = ?2 AND due > 'manual:' AND due < 'manual;' AND run IS NULL
           AND outcome <> 'queued'";

impl Ledger {
    /// Removes all but the newest `keep` runs of a schedule, with their tasks; a run that goes on stays. Fires are
    /// removed likewise, after their runs. That makes no due time fire again: how far they were removed is remembered,
    /// and what was fired for a commit stays. What it costs does not grow with what is kept, and others write in between.
    /// Returns how many runs went.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn prune_runs(&self, schedule: &ScheduleName, keep: usize) -> Result<usize, StoreError> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let mut gone = 0;
        loop {
            let step = self.store.with("remove old runs", |db| remove_run(db, &self.environment, schedule, keep))?;
            match step {
                Step::Nothing => break,
                Step::Part => {}
                Step::Whole => gone += 1,
            }
            std::thread::sleep(PAUSE);
        }
        loop {
            let removed =
                self.store.with("remove old fires", |db| remove_fires(db, &self.environment, schedule, keep))?;
            if removed < usize::from(AT_ONCE) {
                return Ok(gone);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// What one transaction did.
enum Step {
    Nothing,
    /// Some of a run's tasks.
    Part,
    /// The last of them and the run.
    Whole,
}

fn remove_run(db: &mut Connection, environment: &str, schedule: &ScheduleName, keep: i64) -> rusqlite::Result<Step> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old: Option<String> = write
        .prepare_cached(OLD_RUN)?
        .query_map(params![environment, schedule.as_str(), keep], |row| row.get(0))?
        .next()
        .transpose()?;
    let Some(run) = old else { return Ok(Step::Nothing) };
    let tasks = write
        .prepare_cached(
            "DELETE FROM run_tasks WHERE run = ?1 AND (task_index, occurrence) IN (
                 SELECT task_index, occurrence FROM run_tasks WHERE run = ?1 LIMIT ?2)",
        )?
        .execute(params![run, AT_ONCE])?;
    if tasks == usize::from(AT_ONCE) {
        write.commit()?;
        return Ok(Step::Part);
    }
    // Else its fire would look like one whose run never began.
    write.prepare_cached("UPDATE fires SET run = NULL WHERE run = ?1")?.execute(params![run])?;
    write.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute(params![run])?;
    write.commit()?;
    Ok(Step::Whole)
}

fn remove_fires(db: &mut Connection, environment: &str, schedule: &ScheduleName, keep: i64) -> rusqlite::Result<usize> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let name = schedule.as_str();
    let mut old: Vec<(Timestamp, bool)> = write
        .prepare_cached(OLD_FIRES)?
        .query_map(params![environment, name, keep, AT_ONCE], |row| Ok((parsed(row, 0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let count = old.len();
    if count > 0 {
        let mut delete =
            write.prepare_cached("DELETE FROM fires WHERE environment = ?1 AND schedule = ?2 AND due = ?3")?;
        for (due, _) in &old {
            delete.execute(params![environment, name, DueKey::Instant(*due).to_string()])?;
        }
        old.sort_unstable();
        fires_removed::add(&write, environment, name, &old)?;
    }
    write.prepare_cached(OLD_REQUESTS)?.execute(params![environment, name])?;
    write.commit()?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn removal_reads_by_indexes_of_the_one_schedule_and_sorts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for sql in [OLD_RUN, OLD_FIRES, OLD_REQUESTS] {
            let plan: Vec<String> = store
                .with("test", |db| {
                    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let count = statement.parameter_count();
                    let values = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
                    statement.query_map(values, |row| row.get(3))?.collect()
                })
                .unwrap();
            let all = plan.join("\n");
            assert!(plan.iter().all(|line| !line.starts_with("SCAN") && !line.contains("TEMP B-TREE")), "{all}");
            assert!(all.contains("environment=? AND schedule=?"), "{all}");
        }
    }
}
