//! The state of a host.

use super::words::words;
use super::{Health, Revision};
use crate::daemon::status as inner;
use crate::model::Timestamp;
use crate::plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything at a glance. `version` goes up when a field changes its meaning or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this form.
    pub version: u32,
    /// The process; absent when no daemon answers, and then so is what only a daemon knows.
    pub daemon: Option<DaemonStatus>,
    /// Name of the environment; absent until a commit was good.
    pub environment: Option<String>,
    /// The repo.
    pub source: SourceStatus,
    /// The engine.
    pub engine: EngineStatus,
    /// Commits.
    pub revision: RevisionStatus,
    /// How the host stands to the commit; absent before the first observation.
    pub sync: Option<Sync>,
    /// The last plan in one line.
    pub verdict: Option<String>,
    /// Id of the last plan.
    pub plan: Option<String>,
    /// The plan that is being carried out.
    pub applying: Option<Applying>,
    /// What is wanted and not done, and why.
    pub held: Vec<HeldStatus>,
    /// Steps that wait before they are tried again.
    pub waiting: Vec<WaitingStatus>,
    /// Every deployment that Git names or that has instances, sorted.
    pub deployments: Vec<DeploymentStatus>,
    /// Every instance, sorted.
    pub instances: Vec<InstanceStatus>,
    /// What keeps the daemon from its work.
    pub problem: Option<String>,
    /// The process that applies now, which the daemon waits for.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// When the last look at the engine was completed.
    pub reconciled_at: Option<Timestamp>,
    /// How long ago that is, in milliseconds, when this was asked.
    pub age_ms: Option<u64>,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Id of the installation.
    pub installation: String,
}

/// The repo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its address, without secrets.
    pub address: String,
    /// Whether the last fetch worked; absent before the first.
    pub reachable: Option<bool>,
    /// Why it did not.
    pub error: Option<String>,
    /// When the last good fetch was.
    pub fetched_at: Option<Timestamp>,
    /// When it is tried again after a failure.
    #[serde(default)]
    pub next_try: Option<Timestamp>,
}

/// The engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Whether the last look worked; absent before the first.
    pub reachable: Option<bool>,
    /// Why it did not.
    pub error: Option<String>,
    /// What could not be read of it; then nothing is removed.
    pub missing: Vec<String>,
}

/// Commits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RevisionStatus {
    /// Where the followed branch or tag is.
    pub head: Option<Revision>,
    /// The commit that is kept: the newest with valid files.
    pub wanted: Option<Revision>,
    /// The commit that the host was last brought to completely.
    pub applied: Option<Revision>,
    /// The newest commit, when its files are not valid.
    pub rejected: Option<Rejected>,
}

/// A commit that cannot be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// The commit.
    pub revision: Revision,
    /// How many mistakes; 0 when its files cannot be read, or reading them ended in a fault.
    pub mistakes: usize,
    /// All of them, as people read them.
    pub report: String,
}

/// A plan being carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applying {
    /// Its id.
    pub plan: String,
    /// Steps with a result.
    pub ended: usize,
    /// All steps.
    pub steps: usize,
    /// The subjects of the steps in progress.
    pub running: BTreeSet<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Something held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// What it is about.
    pub subject: String,
    /// What would be done.
    pub wanted: String,
    /// Why it is not.
    pub why: String,
    /// The command that lifts the hold.
    pub release: Option<String>,
    /// The fields that differ.
    pub changes: Vec<String>,
}

/// A step that waits before it is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingStatus {
    /// What it is about.
    pub subject: String,
    /// How often it was tried.
    pub tried: u32,
    /// When it is tried again.
    pub at: Timestamp,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStatus {
    /// Its name.
    pub name: String,
    /// How it stands to the commit; absent when Git does not name it.
    pub sync: Option<Sync>,
    /// Whether it was stopped by hand and is left alone.
    pub suspended: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance.
    pub instance: String,
    /// Name of its container.
    pub name: Option<String>,
    /// Short id of its container.
    pub container: Option<String>,
    /// What it does, or `absent`.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// Commit its container was created from.
    pub revision: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
    /// What the host changed about it.
    pub drift: Vec<String>,
    /// What was seen when it failed its gate; it is not tried again until Git changes it.
    pub quarantined: Option<String>,
    /// Whether Git still names it.
    pub wanted: bool,
}

words! {
    /// How something stands to what Git wants of it; the later ones are worse.
    Sync = plan::Sync { InSync, Progressing, Held, Degraded, Refused, Unknown }
}

impl From<inner::Status> for Status {
    fn from(status: inner::Status) -> Self {
        let inner::Status {
            version,
            daemon,
            environment,
            source,
            engine,
            revision,
            sync,
            verdict,
            plan,
            applying,
            held,
            waiting,
            deployments,
            instances,
            problem,
            waits_for,
            reconciled_at,
            age_ms,
        } = status;
        Self {
            version,
            daemon: daemon.map(Into::into),
            environment,
            source: source.into(),
            engine: engine.into(),
            revision: revision.into(),
            sync: sync.map(Into::into),
            verdict,
            plan,
            applying: applying.map(Into::into),
            held: held.into_iter().map(Into::into).collect(),
            waiting: waiting.into_iter().map(Into::into).collect(),
            deployments: deployments.into_iter().map(Into::into).collect(),
            instances: instances.into_iter().map(Into::into).collect(),
            problem,
            waits_for,
            reconciled_at,
            age_ms,
        }
    }
}

impl From<inner::DaemonStatus> for DaemonStatus {
    fn from(daemon: inner::DaemonStatus) -> Self {
        let inner::DaemonStatus { version, pid, started_at, installation } = daemon;
        Self { version, pid, started_at, installation }
    }
}

impl From<inner::SourceStatus> for SourceStatus {
    fn from(source: inner::SourceStatus) -> Self {
        let inner::SourceStatus { address, reachable, error, fetched_at, next_try } = source;
        Self { address, reachable, error, fetched_at, next_try }
    }
}

impl From<inner::EngineStatus> for EngineStatus {
    fn from(engine: inner::EngineStatus) -> Self {
        let inner::EngineStatus { reachable, error, missing } = engine;
        Self { reachable, error, missing }
    }
}

impl From<inner::RevisionStatus> for RevisionStatus {
    fn from(revision: inner::RevisionStatus) -> Self {
        let inner::RevisionStatus { head, wanted, applied, rejected } = revision;
        Self {
            head: head.map(Into::into),
            wanted: wanted.map(Into::into),
            applied: applied.map(Into::into),
            rejected: rejected.map(Into::into),
        }
    }
}

impl From<inner::Rejected> for Rejected {
    fn from(rejected: inner::Rejected) -> Self {
        let inner::Rejected { revision, mistakes, report } = rejected;
        Self { revision: revision.into(), mistakes, report }
    }
}

impl From<inner::Applying> for Applying {
    fn from(applying: inner::Applying) -> Self {
        let inner::Applying { plan, ended, steps, running, since } = applying;
        Self { plan, ended, steps, running, since }
    }
}

impl From<inner::HeldStatus> for HeldStatus {
    fn from(held: inner::HeldStatus) -> Self {
        let inner::HeldStatus { subject, wanted, why, release, changes } = held;
        Self { subject, wanted, why, release, changes }
    }
}

impl From<inner::WaitingStatus> for WaitingStatus {
    fn from(waiting: inner::WaitingStatus) -> Self {
        let inner::WaitingStatus { subject, tried, at } = waiting;
        Self { subject, tried, at }
    }
}

impl From<inner::DeploymentStatus> for DeploymentStatus {
    fn from(deployment: inner::DeploymentStatus) -> Self {
        let inner::DeploymentStatus { name, sync, suspended } = deployment;
        Self { name: name.to_string(), sync: sync.map(Into::into), suspended }
    }
}

impl From<inner::InstanceStatus> for InstanceStatus {
    fn from(instance: inner::InstanceStatus) -> Self {
        let inner::InstanceStatus {
            instance,
            name,
            container,
            state,
            health,
            revision,
            since,
            drift,
            quarantined,
            wanted,
        } = instance;
        Self {
            instance: instance.to_string(),
            name,
            container,
            state,
            health: health.into(),
            revision: revision.map(Into::into),
            since,
            drift,
            quarantined,
            wanted,
        }
    }
}
