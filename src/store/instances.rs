//! What each instance is now, and what it was.

use super::columns::{known, word};
use super::ledger::parsed;
use super::{Ledger, StoreError, events, time_text};
use crate::event::{Event, Fact};
use crate::model::{CommitId, ContainerId, Health, InstanceId, NodeName, Timestamp};
use crate::plan::Subject;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

/// An instance as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// The machine that it is on.
    pub node: NodeName,
    /// The instance.
    pub instance: InstanceId,
    /// Its container.
    pub container: Option<ContainerId>,
    /// What it does (`running`, `exited (1)`), or `absent`.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// The commit its container was created from.
    pub revision: Option<CommitId>,
    /// Since when it is so.
    pub since: Timestamp,
}

/// A look at an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedInstance {
    /// The machine that it is on.
    pub node: NodeName,
    /// The instance.
    pub instance: InstanceId,
    /// Its container; `None` is absent.
    pub container: Option<ContainerId>,
    /// What it does.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// The commit its container was created from.
    pub revision: Option<CommitId>,
    /// Since when its container is in this state, where the engine says so.
    pub since: Option<Timestamp>,
}

impl ObservedInstance {
    /// An instance that is not there.
    pub fn absent(node: NodeName, instance: InstanceId) -> Self {
        let state = "absent".to_owned();
        Self { node, instance, container: None, state, health: Health::Unchecked, revision: None, since: None }
    }

    /// State and health in one text: `running, healthy`.
    pub fn text(&self) -> String {
        state_text(&self.state, self.health)
    }
}

/// State and health in one text; health only where there is a check.
fn state_text(state: &str, health: Health) -> String {
    match health {
        Health::Unchecked => state.to_owned(),
        Health::Starting => format!("{state}, health not decided"),
        Health::Healthy => format!("{state}, healthy"),
        Health::Unhealthy => format!("{state}, unhealthy"),
    }
}

/// One line of an instance's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Its container then.
    pub container: Option<ContainerId>,
    /// State before; absent for the first.
    pub old: Option<String>,
    /// State after.
    pub new: String,
    /// Why.
    pub why: String,
    /// The commit its container was created from.
    pub revision: Option<CommitId>,
}

impl Ledger {
    /// Takes over what was seen of instances. What differs from before is written to the history and recorded as an
    /// event with the reason `why`; returns those transitions. One transaction for all of them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn saw(
        &self,
        seen: &[ObservedInstance],
        why: &str,
        now: Timestamp,
    ) -> Result<Vec<(InstanceId, Transition)>, StoreError> {
        let mut newest = None;
        let changes = self.store.with("note what instances do", |db| {
            // Most looks change nothing: they must not take the write lock.
            let mut differ = Vec::new();
            for look in seen {
                let row = current(db, &self.environment, &look.node, &look.instance)?;
                if row.as_ref().is_none_or(|row| !same(row, look)) {
                    differ.push(look);
                }
            }
            if differ.is_empty() {
                return Ok(Vec::new());
            }
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut changes = Vec::new();
            for look in differ {
                let old = current(&write, &self.environment, &look.node, &look.instance)?;
                if old.as_ref().is_some_and(|row| same(row, look)) {
                    continue;
                }
                // A state lasts since its container came to it, not since somebody noticed; a new health since it was found.
                let moved = old.as_ref().is_none_or(|row| row.container != look.container || row.state != look.state);
                let since = look.since.filter(|_| moved).map_or(now, |since| since.min(now));
                let change = Transition {
                    at: now,
                    container: look.container.clone(),
                    old: old.map(|row| state_text(&row.state, row.health)),
                    new: look.text(),
                    why: why.to_owned(),
                    revision: look.revision.clone(),
                };
                put(&write, &self.environment, look, since)?;
                newest = Some(log(&write, &self.environment, &look.node, &look.instance, &change)?);
                changes.push((look.instance.clone(), change));
            }
            write.commit()?;
            Ok(changes)
        })?;
        if let Some(id) = newest {
            self.store.announce(id);
        }
        Ok(changes)
    }

    /// An instance was removed by us, because it is no longer wanted: it is not known any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn removed(&self, node: &NodeName, instance: &InstanceId, why: &str, now: Timestamp) -> Result<(), StoreError> {
        let newest = self.store.with("forget an instance", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(old) = current(&write, &self.environment, node, instance)? else { return Ok(None) };
            let name = instance.to_string();
            for table in ["instances", "quarantine"] {
                let sql = format!("DELETE FROM {table} WHERE environment = ?1 AND node = ?2 AND instance = ?3");
                write.execute(&sql, params![&*self.environment, node, name])?;
            }
            let subject = Subject::Instance(node.clone(), instance.clone()).to_string();
            write.execute(
                "DELETE FROM repairs WHERE environment = ?1 AND subject = ?2",
                params![&*self.environment, subject],
            )?;
            let change = Transition {
                at: now,
                container: old.container,
                old: Some(state_text(&old.state, old.health)),
                new: "removed".to_owned(),
                why: why.to_owned(),
                revision: old.revision,
            };
            let id = log(&write, &self.environment, node, instance, &change)?;
            write.commit()?;
            Ok(Some(id))
        })?;
        if let Some(id) = newest {
            self.store.announce(id);
        }
        Ok(())
    }

    /// Every known instance, sorted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        let mut rows = self.store.with("read instances", |db| {
            let sql = "SELECT instance, container, state, health, revision, since, node FROM instances
                       WHERE environment = ?1";
            let mut statement = db.prepare_cached(sql)?;
            statement.query_map(params![&*self.environment], instance_row)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.sort_by(|a, b| (&a.instance, &a.node).cmp(&(&b.instance, &b.node)));
        Ok(rows)
    }

    /// The last `limit` changes of an instance, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history(&self, instance: &InstanceId, limit: usize) -> Result<Vec<Transition>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.store.with("read the history of an instance", |db| {
            let sql = "SELECT at, container, old_state, new_state, why, revision FROM instance_history
                       WHERE environment = ?1 AND instance = ?2 ORDER BY id DESC LIMIT ?3";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(params![&*self.environment, instance.to_string(), limit], |row| {
                Ok(Transition {
                    at: parsed(row, 0)?,
                    container: row.get::<_, Option<String>>(1)?.map(ContainerId::new),
                    old: row.get(2)?,
                    new: row.get(3)?,
                    why: row.get(4)?,
                    revision: row.get(5)?,
                })
            })?;
            let mut history = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            history.reverse();
            Ok(history)
        })
    }
}

fn same(row: &InstanceRow, look: &ObservedInstance) -> bool {
    row.container == look.container
        && row.state == look.state
        && row.health == look.health
        && (row.revision == look.revision || look.container.is_none())
}

fn current(
    db: &Connection,
    environment: &str,
    node: &NodeName,
    instance: &InstanceId,
) -> rusqlite::Result<Option<InstanceRow>> {
    db.prepare_cached(
        "SELECT instance, container, state, health, revision, since, node FROM instances
         WHERE environment = ?1 AND node = ?2 AND instance = ?3",
    )?
    .query_row(params![environment, node, instance.to_string()], instance_row)
    .optional()
}

fn instance_row(row: &Row<'_>) -> rusqlite::Result<InstanceRow> {
    Ok(InstanceRow {
        instance: parsed(row, 0)?,
        container: row.get::<_, Option<String>>(1)?.map(ContainerId::new),
        state: row.get(2)?,
        health: known(row, 3, "instances")?,
        revision: row.get(4)?,
        since: parsed(row, 5)?,
        node: row.get(6)?,
    })
}

fn put(db: &Connection, environment: &str, look: &ObservedInstance, since: Timestamp) -> rusqlite::Result<()> {
    let health = word(&look.health)?;
    db.prepare_cached(
        "INSERT INTO instances (environment, instance, container, state, health, revision, since, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (environment, node, instance) DO UPDATE SET
             container = ?3, state = ?4, health = ?5, revision = coalesce(?6, revision), since = ?7",
    )?
    .execute(params![
        environment,
        look.instance.to_string(),
        look.container.as_ref().map(ContainerId::as_str),
        look.state,
        health,
        look.revision,
        time_text(since),
        look.node
    ])?;
    Ok(())
}

/// Writes a change to the history and as an event; returns the event's number.
fn log(
    db: &Connection,
    environment: &str,
    node: &NodeName,
    instance: &InstanceId,
    change: &Transition,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO instance_history (environment, instance, at, container, old_state, new_state, why, revision, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        environment,
        instance.to_string(),
        time_text(change.at),
        change.container.as_ref().map(ContainerId::as_str),
        change.old,
        change.new,
        change.why,
        change.revision,
        node
    ])?;
    let fact = Fact::InstanceChanged {
        instance: instance.clone(),
        container: change.container.clone(),
        old: change.old.clone(),
        new: change.new.clone(),
        why: change.why.clone(),
        revision: change.revision.clone(),
    };
    events::insert(db, environment, &Event { at: change.at, fact })
}
