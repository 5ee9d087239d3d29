//! Commits that were read, and what became of them.

use super::columns::{known, word};
use super::ledger::parsed;
use super::{Ledger, StoreError, time_text};
use crate::model::{CommitId, Revision, Timestamp};
use crate::plan::PlanId;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionOutcome {
    /// Its files validate; it is the one that is kept.
    Accepted,
    /// Its files do not validate; nothing was changed.
    Rejected,
    /// Something that it wants is not done, and a hold says why.
    Held,
    /// The host was brought to it.
    Applied,
    /// Steps towards it failed.
    Failed,
    /// A newer commit came first.
    Superseded,
}

/// A commit and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRow {
    /// The commit.
    pub revision: Revision,
    /// What became of it.
    pub outcome: RevisionOutcome,
    /// When that was decided.
    pub at: Timestamp,
    /// The last plan made for it.
    pub plan: Option<PlanId>,
    /// Report of mistakes, or a count of failed steps.
    pub note: Option<String>,
}

impl Ledger {
    /// Notes what became of a commit.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn revision(
        &self,
        revision: &Revision,
        outcome: RevisionOutcome,
        plan: Option<&PlanId>,
        note: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.with("note a revision", |db| {
            db.prepare_cached(
                "INSERT OR REPLACE INTO revisions
                 (environment, commit_id, reference, summary, author, committed, outcome, at, plan, note, number)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT coalesce(max(number), 0) + 1 FROM revisions))",
            )?
            .execute(params![
                &*self.environment,
                revision.commit,
                revision.reference,
                revision.summary,
                revision.author,
                time_text(revision.time),
                word(&outcome)?,
                time_text(now),
                plan,
                note
            ])?;
            Ok(())
        })
    }

    /// The commit of this environment whose files were valid that something became of last, whatever the wall clock did since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_good(&self) -> Result<Option<RevisionRow>, StoreError> {
        self.newest_where("outcome <> 'rejected'")
    }

    /// The last commit that the host was brought to completely.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_applied(&self) -> Result<Option<RevisionRow>, StoreError> {
        self.newest_where("outcome = 'applied'")
    }

    /// What is known of a commit.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_revision(&self, commit: &CommitId) -> Result<Option<RevisionRow>, StoreError> {
        let sql = format!("{SELECT} AND commit_id = ?2");
        self.store.with("read a revision", |db| {
            db.prepare_cached(&sql)?.query_row(params![&*self.environment, commit], revision_row).optional()
        })
    }

    /// The commit that a plan was made for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn revision_of_plan(&self, plan: &PlanId) -> Result<Option<CommitId>, StoreError> {
        let sql = "SELECT revision FROM events WHERE kind = 'plan_made' AND environment = ?1
                   AND json_extract(json, '$.plan') = ?2 ORDER BY id DESC LIMIT 1";
        self.store.with("read the commit of a plan", |db| {
            db.prepare_cached(sql)?.query_row(params![&*self.environment, plan], |row| row.get(0)).optional()
        })
    }

    fn newest_where(&self, condition: &str) -> Result<Option<RevisionRow>, StoreError> {
        let sql = format!("{SELECT} AND {condition} ORDER BY number DESC LIMIT 1");
        self.store.with("read revisions", |db| {
            db.prepare_cached(&sql)?.query_row(params![&*self.environment], revision_row).optional()
        })
    }
}

impl super::Store {
    /// The last commit with valid files that came from a repo, and the environment it was for; so that a daemon can go
    /// on while the repo cannot be reached.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_good_of(&self, address: &str) -> Result<Option<(String, Revision)>, StoreError> {
        let sql = "SELECT r.commit_id, r.reference, r.summary, r.author, r.committed, r.outcome, r.at, r.plan, r.note,
                          r.environment
                   FROM revisions r JOIN environments e ON e.name = r.environment
                   WHERE e.address = ?1 AND r.outcome <> 'rejected' ORDER BY r.number DESC LIMIT 1";
        self.with("read revisions", |db| {
            db.prepare_cached(sql)?
                .query_row(params![address], |row| Ok((row.get(9)?, revision_row(row)?.revision)))
                .optional()
        })
    }
}

const SELECT: &str = "SELECT commit_id, reference, summary, author, committed, outcome, at, plan, note
                      FROM revisions WHERE environment = ?1";

fn revision_row(row: &Row<'_>) -> rusqlite::Result<RevisionRow> {
    Ok(RevisionRow {
        revision: Revision {
            commit: row.get(0)?,
            reference: row.get(1)?,
            summary: row.get(2)?,
            author: row.get(3)?,
            time: parsed(row, 4)?,
        },
        outcome: known(row, 5, "revisions")?,
        at: parsed(row, 6)?,
        plan: row.get(7)?,
        note: row.get(8)?,
    })
}
