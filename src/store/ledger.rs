//! The part of the store that belongs to one environment: what the planner has to remember.

use super::{Recorded, Store, StoreError, events, time_text};
use crate::event::{Event, Fact};
use crate::model::{ContainerId, DeploymentName, InstanceId, OwnerId, Timestamp};
use crate::plan::{Memory, Quarantine, Repair};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Repairs older than this no longer count.
const REPAIRS: Duration = Duration::from_secs(600);

/// Which repo an environment is applied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoIdentity {
    /// What stays the same wherever the repo is cloned to (the id of its first commit), or the address when unknown.
    pub identity: String,
    /// Where it was read from, for people.
    pub address: String,
}

/// One environment of the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) store: Store,
    pub(super) environment: Arc<str>,
}

impl Store {
    /// An environment for reading, and for what a person asks for (resume, release).
    pub fn ledger(&self, environment: &str) -> Ledger {
        Ledger { store: self.clone(), environment: environment.into() }
    }

    /// The environments that were ever applied, sorted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn environments(&self) -> Result<Vec<String>, StoreError> {
        self.with("list the environments", |db| {
            let mut statement = db.prepare_cached("SELECT name FROM environments ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Takes an environment for a repo; every apply begins with it. The same repo may come from another address, and
    /// the same address may hold a rewritten repo.
    ///
    /// # Errors
    /// [`StoreError::EnvironmentTaken`] when it was last applied from another repo.
    pub fn claim_environment(
        &self,
        environment: &str,
        repo: &RepoIdentity,
        now: Timestamp,
    ) -> Result<Ledger, StoreError> {
        let holder = self.with("claim an environment", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let holder = write
                .query_row("SELECT identity, address FROM environments WHERE name = ?1", params![environment], |row| {
                    Ok(RepoIdentity { identity: row.get(0)?, address: row.get(1)? })
                })
                .optional()?;
            let ours = |holder: &RepoIdentity| holder.identity == repo.identity || holder.address == repo.address;
            if let Some(other) = holder.filter(|holder| !ours(holder)) {
                return Ok(Some(other));
            }
            write.execute(
                "INSERT INTO environments (name, identity, address, since) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET identity = ?2, address = ?3",
                params![environment, repo.identity, repo.address, time_text(now)],
            )?;
            write.commit()?;
            Ok(None)
        })?;
        match holder {
            None => Ok(self.ledger(environment)),
            Some(other) => Err(StoreError::EnvironmentTaken {
                environment: environment.to_owned(),
                repo: repo.address.clone(),
                other: other.address,
            }),
        }
    }
}

impl Ledger {
    /// The store it is part of.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Name of the environment.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Who owns its objects on an engine.
    pub fn owner(&self) -> OwnerId {
        self.store.owner(&self.environment)
    }

    /// Records a fact. Returns its number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record(&self, event: &Event) -> Result<i64, StoreError> {
        self.store.record_in(&self.environment, event)
    }

    /// What a plan made at `now` has to know.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self, now: Timestamp) -> Result<Memory, StoreError> {
        let since = jiff::SignedDuration::try_from(REPAIRS).ok().and_then(|age| now.checked_sub(age).ok());
        let since = time_text(since.unwrap_or(Timestamp::MIN));
        self.store.with("read what a plan has to remember", |db| {
            let read = db.transaction()?;
            read_memory(&read, &self.environment, &since)
        })
    }

    /// Notes that `entry` failed its gate, together with the event; it replaces an older note about the instance.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn quarantine(&self, entry: &Quarantine, now: Timestamp) -> Result<(), StoreError> {
        let fact = Fact::Quarantined {
            instance: entry.instance.clone(),
            revision: entry.revision.clone(),
            verdict: entry.verdict.clone(),
        };
        let id = self.store.with("quarantine an instance", |db| {
            let write = db.transaction()?;
            write.execute(
                "INSERT OR REPLACE INTO quarantine (environment, instance, spec, revision, verdict, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    &*self.environment,
                    entry.instance.to_string(),
                    entry.spec,
                    entry.revision,
                    entry.verdict,
                    time_text(now)
                ],
            )?;
            let id = events::insert(&write, &self.environment, &Event { at: now, fact })?;
            write.commit()?;
            Ok(id)
        })?;
        self.store.announce(id);
        Ok(())
    }

    /// Forgets that an instance failed. Says whether it was quarantined.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn release(&self, instance: &InstanceId) -> Result<bool, StoreError> {
        self.change(
            "release an instance",
            "DELETE FROM quarantine WHERE environment = ?1 AND instance = ?2",
            &instance.to_string(),
        )
    }

    /// Notes that a deployment was stopped by hand. Says whether that is new.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn suspend(&self, deployment: &DeploymentName, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT OR IGNORE INTO suspended (environment, deployment, since) VALUES (?1, ?2, ?3)";
        let at = time_text(now);
        let changed = self
            .store
            .with("suspend a deployment", |db| db.execute(sql, params![&*self.environment, deployment.as_str(), at]))?
            > 0;
        if changed {
            self.record(&Event { at: now, fact: Fact::Suspended { deployment: deployment.clone() } })?;
        }
        Ok(changed)
    }

    /// Keeps a deployment running again. Says whether it was suspended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn resume(&self, deployment: &DeploymentName, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "DELETE FROM suspended WHERE environment = ?1 AND deployment = ?2";
        let changed = self.change("resume a deployment", sql, deployment.as_str())?;
        if changed {
            self.record(&Event { at: now, fact: Fact::Resumed { deployment: deployment.clone() } })?;
        }
        Ok(changed)
    }

    /// Remembers digests of fields that were changed in a container while it stayed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn applied(
        &self,
        container: &ContainerId,
        digests: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.with("remember applied fields", |db| {
            let write = db.transaction()?;
            for (field, digest) in digests {
                write.execute(
                    "INSERT OR REPLACE INTO applied (environment, container, field, digest, at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![&*self.environment, container.as_str(), field, digest, time_text(now)],
                )?;
            }
            write.commit()
        })
    }

    /// Forgets what was applied to a container that is gone.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget(&self, container: &ContainerId) -> Result<(), StoreError> {
        let sql = "DELETE FROM applied WHERE environment = ?1 AND container = ?2";
        self.change("forget a container", sql, container.as_str()).map(drop)
    }

    /// Notes a repair of drift in these fields, and drops those that no longer count.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn repaired(&self, instance: &InstanceId, fields: &str, now: Timestamp) -> Result<(), StoreError> {
        let since = jiff::SignedDuration::try_from(REPAIRS).ok().and_then(|age| now.checked_sub(age).ok());
        let since = time_text(since.unwrap_or(Timestamp::MIN));
        self.store.with("note a repair", |db| {
            let write = db.transaction()?;
            write.execute(
                "INSERT INTO repairs (environment, instance, fields, at) VALUES (?1, ?2, ?3, ?4)",
                params![&*self.environment, instance.to_string(), fields, time_text(now)],
            )?;
            write.execute(
                "DELETE FROM repairs WHERE environment = ?1 AND at < ?2",
                params![&*self.environment, since],
            )?;
            write.commit()
        })
    }

    /// The newest events about `subject` and what lies below it, in order of time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events_about(&self, subject: &str, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.store.events(&super::EventFilter {
            environment: Some(self.environment.to_string()),
            subject: Some(subject.to_owned()),
            limit,
            newest: true,
            ..super::EventFilter::default()
        })
    }

    /// Runs a statement on one named row of this environment; says whether it changed any.
    fn change(&self, what: &'static str, sql: &str, name: &str) -> Result<bool, StoreError> {
        self.store.with(what, |db| Ok(db.prepare_cached(sql)?.execute(params![&*self.environment, name])? > 0))
    }
}

fn read_memory(db: &Connection, environment: &str, since: &str) -> rusqlite::Result<Memory> {
    let mut memory = Memory::default();
    let mut applied = db.prepare_cached("SELECT container, field, digest FROM applied WHERE environment = ?1")?;
    let mut rows = applied.query(params![environment])?;
    while let Some(row) = rows.next()? {
        let fields: &mut BTreeMap<_, _> = memory.applied.entry(ContainerId::new(row.get::<_, String>(0)?)).or_default();
        fields.insert(row.get(1)?, row.get(2)?);
    }
    let mut quarantine =
        db.prepare_cached("SELECT instance, spec, revision, verdict FROM quarantine WHERE environment = ?1")?;
    let mut rows = quarantine.query(params![environment])?;
    while let Some(row) = rows.next()? {
        memory.quarantine.push(Quarantine {
            instance: parsed(row, 0)?,
            spec: row.get(1)?,
            revision: row.get(2)?,
            verdict: row.get(3)?,
        });
    }
    let mut suspended = db.prepare_cached("SELECT deployment FROM suspended WHERE environment = ?1")?;
    let mut rows = suspended.query(params![environment])?;
    while let Some(row) = rows.next()? {
        memory.suspended.insert(DeploymentName::new(row.get::<_, String>(0)?));
    }
    let mut known = db.prepare_cached("SELECT instance FROM instances WHERE environment = ?1")?;
    let mut rows = known.query(params![environment])?;
    while let Some(row) = rows.next()? {
        memory.known.insert(parsed(row, 0)?);
    }
    let mut repairs =
        db.prepare_cached("SELECT instance, fields, at FROM repairs WHERE environment = ?1 AND at >= ?2 ORDER BY id")?;
    let mut rows = repairs.query(params![environment, since])?;
    while let Some(row) = rows.next()? {
        memory.repairs.push(Repair { instance: parsed(row, 0)?, fields: row.get(1)?, at: parsed(row, 2)? });
    }
    Ok(memory)
}

/// A column whose text has a parser.
pub(super) fn parsed<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
