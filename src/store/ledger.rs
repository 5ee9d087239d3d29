//! The part of the store that belongs to one environment: what the planner has to remember.

use super::{Recorded, Store, StoreError, events, time_text};
use crate::event::{Event, Fact};
use crate::model::{DeploymentName, InstanceId, NodeName, OwnerId, Timestamp};
use crate::plan::{Base, Memory, Quarantine, REMEMBERED, Repair};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which repo an environment is applied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoIdentity {
    /// What stays the same wherever the repo is cloned to (the id of its first commit), or the address when unknown.
    pub identity: String,
    /// Where it was read from, for people.
    pub address: String,
    /// Where the repo is that this one is a clone of; its own address when it is none.
    pub origin: String,
}

impl RepoIdentity {
    /// Whether this is the repo that was noted. The same history is not enough: a fork has it too. The same address is: it
    /// may hold a rewritten repo.
    fn is_at(&self, noted: &str) -> bool {
        [&self.address, &self.origin].into_iter().any(|address| plain(address) == plain(noted))
    }
}

/// An address without what may be written in one way or another: `git@host:a/b.git` is `ssh://git@host/a/b`.
fn plain(address: &str) -> String {
    let (address, folder) = address.split_once(" (").unwrap_or((address, ""));
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let scp = scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':'));
    let rest = if scp { rest.replacen(':', "/", 1) } else { rest.to_owned() };
    let rest = rest.split_once('@').map_or(rest.as_str(), |(_, host)| host);
    format!("{} {folder}", rest.trim_end_matches('/').trim_end_matches(".git"))
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

    /// Takes an environment for a repo; every apply begins with it. Another repo takes it over only with `adopt`.
    ///
    /// # Errors
    /// [`StoreError::EnvironmentTaken`] when it was last applied from another repo.
    pub fn claim_environment(
        &self,
        environment: &str,
        repo: &RepoIdentity,
        adopt: bool,
        now: Timestamp,
    ) -> Result<Ledger, StoreError> {
        let holder = self.with("claim an environment", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let holder = write
                .query_row("SELECT identity, address FROM environments WHERE name = ?1", params![environment], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            if let Some(other) = holder.filter(|(_, address)| !adopt && !repo.is_at(address)) {
                return Ok(Some(other));
            }
            write.execute(
                "INSERT INTO environments (name, identity, address, since) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET identity = ?2, address = ?3",
                params![environment, repo.identity, repo.origin, time_text(now)],
            )?;
            write.commit()?;
            Ok(None)
        })?;
        match holder {
            None => Ok(self.ledger(environment)),
            Some((identity, other)) => Err(StoreError::EnvironmentTaken {
                environment: environment.to_owned(),
                repo: repo.origin.clone(),
                other,
                same_history: identity == repo.identity,
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
        let since = time_text(now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN));
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
                "INSERT OR REPLACE INTO quarantine (environment, node, instance, spec, revision, verdict, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    &*self.environment,
                    entry.node,
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
    pub fn release(&self, node: &NodeName, instance: &InstanceId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM quarantine WHERE environment = ?1 AND node = ?2 AND instance = ?3";
        let key = instance.to_string();
        self.store.with("release an instance", |db| {
            Ok(db.prepare_cached(sql)?.execute(params![&*self.environment, node, key])? > 0)
        })
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

    /// Puts on record what was asked of an object on the engine, in addition to what was asked before, and what the engine
    /// reports of it now; a report that is empty leaves the one on record. `object` is the engine's id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record_base(&self, object: &str, base: &Base, now: Timestamp) -> Result<(), StoreError> {
        self.store.with("record what an object was made as", |db| {
            db.prepare_cached(
                "INSERT INTO bases (environment, object, asked, reported, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (environment, object) DO UPDATE SET
                     asked = json_patch(asked, ?3),
                     reported = CASE WHEN ?4 = '{}' THEN reported ELSE ?4 END, at = ?5",
            )?
            .execute(params![
                &*self.environment,
                object,
                json_text(&base.asked),
                json_text(&base.reported),
                time_text(now)
            ])
            .map(drop)
        })
    }

    /// Forgets the record of an object that is gone.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget(&self, object: &str) -> Result<(), StoreError> {
        self.change("forget an object", "DELETE FROM bases WHERE environment = ?1 AND object = ?2", object).map(drop)
    }

    /// Notes a repair of drift, and drops those that no longer count.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn repaired(&self, repair: &Repair) -> Result<(), StoreError> {
        let Repair { subject, fields, wish, at } = repair;
        let since = time_text(at.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN));
        self.store.with("note a repair", |db| {
            let write = db.transaction()?;
            write.execute(
                "INSERT INTO repairs (environment, subject, fields, wish, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![&*self.environment, subject, fields, wish, time_text(*at)],
            )?;
            write.execute(
                "DELETE FROM repairs WHERE environment = ?1 AND at < ?2",
                params![&*self.environment, since],
            )?;
            write.commit()
        })
    }

    /// Takes the newest repair of `subject` back: it was not carried out.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn not_repaired(&self, subject: &str) -> Result<(), StoreError> {
        let newest = "DELETE FROM repairs WHERE id = \
            (SELECT max(id) FROM repairs WHERE environment = ?1 AND subject = ?2)";
        self.change("take a repair back", newest, subject).map(drop)
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
    let mut bases = db.prepare_cached("SELECT object, asked, reported FROM bases WHERE environment = ?1")?;
    let mut rows = bases.query(params![environment])?;
    while let Some(row) = rows.next()? {
        let base = Base { asked: json_map(row, 1)?, reported: json_map(row, 2)? };
        memory.bases.insert(row.get(0)?, base);
    }
    let mut quarantine =
        db.prepare_cached("SELECT instance, spec, revision, verdict, node FROM quarantine WHERE environment = ?1")?;
    let mut rows = quarantine.query(params![environment])?;
    while let Some(row) = rows.next()? {
        memory.quarantine.push(Quarantine {
            instance: parsed(row, 0)?,
            spec: row.get(1)?,
            revision: row.get(2)?,
            verdict: row.get(3)?,
            node: row.get(4)?,
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
    let mut repairs = db.prepare_cached(
        "SELECT subject, fields, wish, at FROM repairs WHERE environment = ?1 AND at >= ?2 ORDER BY id",
    )?;
    let mut rows = repairs.query(params![environment, since])?;
    while let Some(row) = rows.next()? {
        memory.repairs.push(Repair {
            subject: row.get(0)?,
            fields: row.get(1)?,
            wish: row.get(2)?,
            at: parsed(row, 3)?,
        });
    }
    Ok(memory)
}

/// A map of texts always has a JSON form.
fn json_text(map: &BTreeMap<String, String>) -> String {
    serde_json::to_string(map).unwrap_or_default()
}

fn json_map(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<BTreeMap<String, String>> {
    let parsed = serde_json::from_str(row.get_ref(column)?.as_str()?);
    parsed.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
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
