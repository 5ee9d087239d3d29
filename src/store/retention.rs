//! How long events, histories and commits are kept.

use super::{Store, StoreError, time_text};
use crate::model::Timestamp;
use crate::process::clock;
use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Rows that are removed in one transaction: what is recorded meanwhile must not wait for long.
const AT_ONCE: u16 = 500;
/// Transactions for each table in one go; what is left goes the next time.
const GOES: usize = 40;
/// Time between two of them, in which others write.
const PAUSE: Duration = Duration::from_millis(1);
/// So much older at most do all things look to a process that has just begun than they did to the one before it.
const FIRST_STEP: SignedDuration = SignedDuration::from_hours(48);

/// How long events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older ones go.
    pub age: Duration,
    /// The oldest beyond this number go.
    pub rows: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(90 * 24 * 3600), rows: 200_000 }
    }
}

impl Store {
    /// Removes what is older or more than `retention` allows, or a part of it when it is much. The commit in force of each
    /// environment, the last one with valid files and the last one that was applied stay for ever. A wall clock that jumps
    /// removes nothing: age counts at most twice as fast as the time that this process lives. Returns how many events went.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn prune(&self, retention: Retention, now: Timestamp) -> Result<usize, StoreError> {
        let now = self.aged(now)?;
        let age = SignedDuration::try_from(retention.age).unwrap_or(SignedDuration::MAX);
        let oldest = time_text(now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let rows = i64::try_from(retention.rows).unwrap_or(i64::MAX);
        let mut gone = 0;
        for table in ["events", "instance_history"] {
            for _ in 0..GOES {
                let removed = self.with("remove old events", |db| remove(db, table, &oldest, rows))?;
                if table == "events" {
                    gone += removed;
                }
                if removed == 0 {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        }
        self.with("remove old revisions", |db| db.execute(OLD_REVISIONS, params![oldest]))?;
        Ok(gone)
    }

    /// The time by which things age.
    fn aged(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let mut last = self.inner.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        let lived = |last: Instant| SignedDuration::try_from(2 * last.elapsed()).unwrap_or(SignedDuration::MAX);
        let step = last.map_or(FIRST_STEP, lived);
        let aged = self.with("note how old things are", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before: Option<String> =
                write.query_row("SELECT value FROM meta WHERE key = 'aged'", [], |row| row.get(0)).optional()?;
            // Without a note, or with one from a clock that was ahead, this is the first time.
            let before = before.and_then(|text| text.parse::<Timestamp>().ok()).filter(|before| *before <= now);
            let aged = before.map_or(now, |before| now.min(before.checked_add(step).unwrap_or(now)));
            write.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('aged', ?1)", params![time_text(aged)])?;
            write.commit()?;
            Ok(aged)
        })?;
        *last = Some(clock::monotonic());
        Ok(aged)
    }
}

/// Without those that are still needed: numbers are of all environments together.
const OLD_REVISIONS: &str = "DELETE FROM revisions WHERE at < ?1
    AND NOT EXISTS (SELECT 1 FROM environments e WHERE e.name = environment AND e.in_force = commit_id)
    AND number NOT IN (SELECT max(number) FROM revisions WHERE outcome <> 'rejected' GROUP BY environment)
    AND number NOT IN (SELECT max(number) FROM revisions WHERE outcome = 'applied' GROUP BY environment)";

/// Looks at the oldest rows alone: numbers grow, and so does time but for a clock that was put back.
fn remove(db: &mut Connection, table: &str, oldest: &str, rows: i64) -> rusqlite::Result<usize> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed = write
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE id IN (
                 SELECT id FROM (SELECT id, at FROM {table} ORDER BY id LIMIT ?3)
                 WHERE at < ?1 OR id <= (SELECT max(id) FROM {table}) - ?2)"
        ))?
        .execute(params![oldest, rows, AT_ONCE])?;
    write.commit()?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Fact};
    use crate::model::{CommitId, Revision};
    use crate::store::{EventFilter, Ledger, RevisionOutcome};

    const YEAR: i64 = 365 * 24 * 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn note(ledger: &Ledger, commit: &str, outcome: RevisionOutcome, second: i64) {
        let revision = Revision {
            commit: CommitId::new(commit),
            reference: "main".to_owned(),
            summary: String::new(),
            author: String::new(),
            time: at(0),
        };
        ledger.revision(&revision, outcome, None, None, at(second)).unwrap();
    }

    /// The process before ended `second`.
    fn lived_until(store: &Store, second: i64) {
        store
            .with("test", |db| {
                let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('aged', ?1)";
                db.execute(sql, params![time_text(at(second))])
            })
            .unwrap();
    }

    #[test]
    fn the_commit_in_force_and_the_last_good_ones_stay_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for environment in ["prod", "test"] {
            let repo = crate::store::RepoIdentity {
                identity: "i".to_owned(),
                address: environment.to_owned(),
                origin: environment.to_owned(),
            };
            let ledger = store.claim_environment(environment, &repo, false, at(0)).unwrap();
            note(&ledger, "old", RevisionOutcome::Applied, 0);
            note(&ledger, "in-force", RevisionOutcome::Applied, 1);
            note(&ledger, "applied", RevisionOutcome::Applied, 2);
            note(&ledger, "good", RevisionOutcome::Failed, 3);
            note(&ledger, "bad", RevisionOutcome::Rejected, 4);
            ledger.put_in_force(&CommitId::new("in-force")).unwrap();
        }
        lived_until(&store, YEAR);
        store.prune(Retention::default(), at(YEAR)).unwrap();
        for environment in ["prod", "test"] {
            let ledger = store.ledger(environment);
            let is_there = |commit: &str| ledger.find_revision(&CommitId::new(commit)).unwrap().is_some();
            assert!(["in-force", "applied", "good"].into_iter().all(is_there));
            assert!(!["old", "bad"].into_iter().any(is_there));
            assert_eq!(store.last_good_of(environment).unwrap().unwrap().1.commit, CommitId::new("good"));
        }
    }

    #[test]
    fn a_clock_that_jumps_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ledger = store.ledger("prod");
        for second in 0..20 {
            store.record(&Event { at: at(second), fact: Fact::DaemonStopped }).unwrap();
        }
        note(&ledger, "rejected", RevisionOutcome::Rejected, 0);
        assert_eq!(store.prune(Retention::default(), at(30)).unwrap(), 0);
        for _ in 0..10 {
            assert_eq!(store.prune(Retention::default(), at(10 * YEAR)).unwrap(), 0);
        }
        assert_eq!(store.prune(Retention::default(), at(40)).unwrap(), 0);
        assert_eq!(store.events(&EventFilter::default()).unwrap().len(), 20);
        assert!(ledger.find_revision(&CommitId::new("rejected")).unwrap().is_some());
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.prune(Retention::default(), at(10 * YEAR)).unwrap(), 0, "after a restart by the wrong clock");
    }

    #[test]
    fn the_last_good_commit_is_the_last_that_was_noted_by_whatever_clock() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Store::open(dir.path()).unwrap().ledger("prod");
        note(&ledger, "older", RevisionOutcome::Applied, YEAR);
        note(&ledger, "newer", RevisionOutcome::Applied, 0);
        assert_eq!(ledger.last_good().unwrap().unwrap().revision.commit, CommitId::new("newer"));
        assert_eq!(ledger.last_applied().unwrap().unwrap().revision.commit, CommitId::new("newer"));
    }

    #[test]
    fn much_that_is_old_goes_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for second in 0..1_200 {
            store.record(&Event { at: at(second), fact: Fact::DaemonStopped }).unwrap();
        }
        let age = Duration::from_secs(100);
        assert_eq!(store.prune(Retention { age, rows: 10_000 }, at(1_200)).unwrap(), 1_100);
        assert_eq!(store.prune(Retention { age, rows: 10 }, at(1_200)).unwrap(), 90);
    }
}
