//! What the daemon knows, as a read model for the API: written after each look, read without asking anybody.

use super::follow::Head;
use crate::apply::load::Loaded;
use crate::apply::observe::by_instance;
use crate::model::{CommitId, DeploymentName, Health, InstanceId, Observed, Revision, Timestamp};
use crate::plan::render::{change_line, held_text, release, verdict};
use crate::plan::{FieldChange, HeldReason, Memory, Origin, Plan, Subject, Sync, Syncs};
use crate::store::InstanceRow;
use std::collections::{BTreeMap, BTreeSet};

/// Everything at a glance. `version` goes up when a field changes its meaning or goes.
#[derive(Clone, Debug, PartialEq)]
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
    pub waits_for: Option<String>,
    /// When the last look at the engine was completed.
    pub reconciled_at: Option<Timestamp>,
    /// How long ago that is, in milliseconds, when this was asked.
    pub age_ms: Option<u64>,
}

/// The process.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
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
    pub next_try: Option<Timestamp>,
}

/// The engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineStatus {
    /// Whether the last look worked; absent before the first.
    pub reachable: Option<bool>,
    /// Why it did not.
    pub error: Option<String>,
    /// What could not be read of it; then nothing is removed.
    pub missing: Vec<String>,
}

/// Commits.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The commit.
    pub revision: Revision,
    /// How many mistakes; 0 when its files cannot be read, or reading them ended in a fault.
    pub mistakes: usize,
    /// All of them, as people read them.
    pub report: String,
}

/// A plan being carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Applying {
    /// Its id.
    pub plan: String,
    /// Steps with a result.
    pub ended: usize,
    /// All steps.
    pub steps: usize,
    /// What is under way.
    pub running: BTreeSet<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Something held.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingStatus {
    /// What it is about.
    pub subject: String,
    /// How often it was tried.
    pub tried: u32,
    /// When it is tried again.
    pub at: Timestamp,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentStatus {
    /// Its name.
    pub name: DeploymentName,
    /// How it stands to the commit; absent when Git does not name it.
    pub sync: Option<Sync>,
    /// Whether it was stopped by hand and is left alone.
    pub suspended: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceStatus {
    /// The instance.
    pub instance: InstanceId,
    /// Name of its container.
    pub name: Option<String>,
    /// Short id of its container.
    pub container: Option<String>,
    /// What it does, or `absent`.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// Commit its container was created from.
    pub revision: Option<CommitId>,
    /// Since when it is so.
    pub since: Timestamp,
    /// What the host changed about it.
    pub drift: Vec<String>,
    /// What was seen when it failed its gate; it is not tried again until Git changes it.
    pub quarantined: Option<String>,
    /// Whether Git still names it.
    pub wanted: bool,
}

impl Status {
    /// Version of the form.
    pub const VERSION: u32 = 1;

    /// Before anything is known.
    pub fn new(daemon: Option<DaemonStatus>, address: &str) -> Self {
        Self {
            version: Self::VERSION,
            daemon,
            environment: None,
            source: SourceStatus { address: address.to_owned(), ..SourceStatus::default() },
            engine: EngineStatus::default(),
            revision: RevisionStatus::default(),
            sync: None,
            verdict: None,
            plan: None,
            applying: None,
            held: Vec::new(),
            waiting: Vec::new(),
            deployments: Vec::new(),
            instances: Vec::new(),
            problem: None,
            waits_for: None,
            reconciled_at: None,
            age_ms: None,
        }
    }

    /// The same with its age as of `now`.
    pub fn aged(mut self, now: Timestamp) -> Self {
        let age = self.reconciled_at.map(|at| now.duration_since(at));
        self.age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(0));
        self
    }

    /// Takes over where the repo is.
    pub fn follow(&mut self, head: &Head) {
        self.source.error.clone_from(&head.error);
        self.source.reachable = match (&head.revision, &head.error) {
            (None, None) => None,
            (_, error) => Some(error.is_none()),
        };
        self.source.fetched_at = head.fetched_at;
        self.source.next_try = head.next_try;
        self.revision.head.clone_from(&head.revision);
    }

    /// Takes over a completed look and the plan made from it.
    pub fn look(
        &mut self,
        loaded: &Loaded,
        observed: &Observed,
        plan: &Plan,
        syncs: &Syncs,
        memory: &Memory,
        rows: Vec<InstanceRow>,
    ) {
        let of_rows = rows.iter().map(|row| &row.instance.service.deployment);
        let names: BTreeSet<&DeploymentName> = loaded.desired.deployments.keys().chain(of_rows).collect();
        let suspended = |name: &DeploymentName| memory.suspended.contains(name);
        let deployment = |name: &DeploymentName| DeploymentStatus {
            name: name.clone(),
            sync: syncs.deployments.get(name).copied(),
            suspended: suspended(name),
        };
        self.deployments = names.into_iter().map(deployment).collect();
        self.environment = Some(plan.environment.clone());
        self.engine = EngineStatus { reachable: Some(true), error: None, missing: observed.missing.clone() };
        self.revision.wanted = Some(loaded.revision.clone());
        // A commit that is refused is still the newest that somebody wants.
        let refused = self.revision.rejected.is_some();
        self.sync = Some(if refused { syncs.whole.max(Sync::Refused) } else { syncs.whole });
        self.verdict = Some(verdict(plan));
        self.plan = Some(plan.id.to_string());
        self.held = held(plan);
        self.instances = instances(loaded, observed, plan, rows);
        self.reconciled_at = Some(observed.at);
    }
}

/// What a plan holds back.
pub(super) fn held(plan: &Plan) -> Vec<HeldStatus> {
    let held = plan.held.iter().map(|held| HeldStatus {
        subject: held.subject.to_string(),
        wanted: held.wanted.to_owned(),
        why: held_text(&held.why),
        release: release(held),
        changes: held.changes.iter().map(change_line).collect(),
    });
    held.collect()
}

fn instances(loaded: &Loaded, observed: &Observed, plan: &Plan, rows: Vec<InstanceRow>) -> Vec<InstanceStatus> {
    let containers = by_instance(observed, &loaded.owner);
    let mut drift = drift(plan);
    let mut quarantined: BTreeMap<&InstanceId, &str> = BTreeMap::new();
    for held in &plan.held {
        if let (Subject::Instance(_, instance), HeldReason::Quarantined { verdict, .. }) = (&held.subject, &held.why) {
            quarantined.insert(instance, verdict);
        }
    }
    let wanted = |instance: &InstanceId| {
        loaded.desired.service(&instance.service).is_some_and(|service| instance.slot <= service.replicas)
    };
    rows.into_iter()
        .map(|row| InstanceStatus {
            name: containers.get(&row.instance).map(|container| container.name.clone()),
            container: row.container.as_ref().map(|id| id.short().to_owned()),
            state: row.state,
            health: row.health,
            revision: row.revision,
            since: row.since,
            drift: drift.remove(&Subject::Instance(observed.node.clone(), row.instance.clone())).unwrap_or_default(),
            quarantined: quarantined.get(&row.instance).map(|verdict| (*verdict).to_owned()),
            wanted: wanted(&row.instance),
            instance: row.instance,
        })
        .collect()
}

/// What the host changed, by subject, whether it is repaired or held.
pub fn drift(plan: &Plan) -> BTreeMap<Subject, Vec<String>> {
    let lines = |changes: &[FieldChange]| -> Vec<String> {
        changes.iter().filter(|change| change.origin != Origin::Git).map(change_line).collect()
    };
    let of_steps = plan.steps.iter().map(|step| (step.subject.clone(), lines(&step.changes)));
    let of_held = plan.held.iter().map(|held| (held.subject.clone(), lines(&held.changes)));
    of_steps.chain(of_held).filter(|(_, lines)| !lines.is_empty()).collect()
}
