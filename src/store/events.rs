//! The log of facts.

use super::{Store, StoreError, time_text};
use crate::event::{Event, Fact};
use crate::model::{CommitId, Timestamp};
use rusqlite::{Connection, Row, params};

/// A fact with its number.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// Its number; grows with each event.
    pub id: i64,
    /// The environment it belongs to; empty for facts about the daemon itself.
    pub environment: String,
    /// The fact.
    #[serde(flatten)]
    pub event: Event,
}

/// Which events are wanted. The default is all of them, from the first.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this environment, and those that belong to none.
    pub environment: Option<String>,
    /// Only about this subject or what lies below it: `shop` covers `shop/api/1`.
    pub subject: Option<String>,
    /// Only of this kind (`step_failed`).
    pub kind: Option<String>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only with a larger number.
    pub after: Option<i64>,
    /// At most so many; 0 is [`EventFilter::LIMIT`].
    pub limit: usize,
    /// The newest `limit` instead of the oldest; they come in order of time in any case.
    pub newest: bool,
}

impl EventFilter {
    /// What no answer exceeds.
    pub const LIMIT: usize = 1000;
}

impl Store {
    /// Records a fact that belongs to no environment. Returns its number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record(&self, event: &Event) -> Result<i64, StoreError> {
        self.record_in("", event)
    }

    pub(super) fn record_in(&self, environment: &str, event: &Event) -> Result<i64, StoreError> {
        let id = self.with("record an event", |db| insert(db, environment, event))?;
        self.announce(id);
        Ok(id)
    }

    /// Wakes those who wait for news.
    pub(super) fn announce(&self, id: i64) {
        self.inner.newest.send_if_modified(|newest| {
            let grew = id > *newest;
            *newest = id.max(*newest);
            grew
        });
    }

    /// The events that pass `filter`, in order of time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<Recorded>, StoreError> {
        self.with("read events", |db| select(db, filter))
    }
}

/// Writes one event; for use within a transaction.
pub(super) fn insert(db: &Connection, environment: &str, event: &Event) -> rusqlite::Result<i64> {
    let json = serde_json::to_value(event).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let kind = json.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
    let (subject, revision) = about(&event.fact);
    db.prepare_cached(
        "INSERT INTO events (at, environment, kind, subject, revision, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![time_text(event.at), environment, kind, subject, revision, json.to_string()])?;
    Ok(db.last_insert_rowid())
}

fn select(db: &Connection, filter: &EventFilter) -> rusqlite::Result<Vec<Recorded>> {
    let limit = match filter.limit {
        0 => EventFilter::LIMIT,
        wanted => wanted.min(EventFilter::LIMIT),
    };
    let order = if filter.newest { "DESC" } else { "ASC" };
    // `/` is followed by `0`: the range holds all texts that begin with `<subject>/`, and the index serves it.
    let sql = format!(
        "SELECT id, environment, json FROM events
         WHERE id > ?1
           AND (?2 IS NULL OR environment IN (?2, ''))
           AND (?3 IS NULL OR subject = ?3 OR (subject >= ?3 || '/' AND subject < ?3 || '0'))
           AND (?4 IS NULL OR kind = ?4)
           AND (?5 IS NULL OR at >= ?5)
         ORDER BY id {order} LIMIT ?6"
    );
    let subject = filter.subject.as_deref().map(|subject| subject.trim_end_matches('/'));
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            filter.after.unwrap_or(0),
            filter.environment,
            subject,
            filter.kind,
            filter.since.map(time_text),
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
        recorded,
    )?;
    let mut events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if filter.newest {
        events.reverse();
    }
    Ok(events)
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let json: String = row.get(2)?;
    let event = serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into()))?;
    Ok(Recorded { id: row.get(0)?, environment: row.get(1)?, event })
}

/// What a fact is about, and the commit it belongs to, for the columns by which people search.
fn about(fact: &Fact) -> (Option<String>, Option<CommitId>) {
    match fact {
        Fact::DaemonStarted { .. } | Fact::DaemonStopped | Fact::SourceUnreachable { .. } | Fact::SourceReachable => {
            (None, None)
        }
        Fact::RevisionSeen { revision } | Fact::RevisionRejected { revision, .. } => {
            (None, Some(revision.commit.clone()))
        }
        Fact::PlanMade { revision, .. } | Fact::ApplyFinished { revision, .. } => (None, Some(revision.clone())),
        Fact::PlanRefused { .. } => (None, None),
        Fact::StepStarted { subject, .. }
        | Fact::StepDone { subject, .. }
        | Fact::EngineWarned { subject, .. }
        | Fact::StepFailed { subject, .. }
        | Fact::StepSkipped { subject, .. }
        | Fact::DriftFound { subject, .. } => (Some(subject.to_string()), None),
        Fact::InstanceChanged { instance, revision, .. } => (Some(instance.to_string()), revision.clone()),
        Fact::Quarantined { instance, revision, .. } => (Some(instance.to_string()), Some(revision.clone())),
        Fact::RunBegun { schedule, revision, .. } => (Some(schedule.to_string()), Some(revision.clone())),
        Fact::RunEnded { schedule, .. } | Fact::RunLeftOut { schedule, .. } => (Some(schedule.to_string()), None),
        Fact::Suspended { deployment } | Fact::Resumed { deployment } => (Some(deployment.to_string()), None),
    }
}
