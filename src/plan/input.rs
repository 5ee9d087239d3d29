//! What the planner looks at. All of it is data, the time included.

use crate::model::{ContainerId, DeploymentName, Desired, InstanceId, Observed, OwnerId, Revision, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Everything a plan follows from.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// What the repo wants.
    pub desired: &'a Desired,
    /// The commit that wants it.
    pub revision: &'a Revision,
    /// What the engine reported.
    pub observed: &'a Observed,
    /// Whose containers are ours.
    pub owner: &'a OwnerId,
    /// What was done and learned before.
    pub memory: &'a Memory,
    /// Guards that the caller lifts.
    pub allow: &'a [Allow],
}

/// What the store remembers that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Digests of fields by container that were changed in place after it was created; they overrule its label.
    pub applied: BTreeMap<ContainerId, BTreeMap<String, String>>,
    /// What failed its gate.
    pub quarantine: Vec<Quarantine>,
    /// Deployments that were stopped by hand.
    pub suspended: BTreeSet<DeploymentName>,
    /// Instances that were once there, so that an absent one counts as removed and not as new.
    pub known: BTreeSet<InstanceId>,
    /// Repairs of the last ten minutes, oldest first.
    pub repairs: Vec<Repair>,
}

/// An instance whose settings failed their gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The instance.
    pub instance: InstanceId,
    /// Digest of all its desired fields ([`crate::plan::spec_digest`]).
    pub spec: String,
    /// The commit that failed.
    pub revision: String,
    /// What was seen.
    pub verdict: String,
}

/// A repair that was made because of drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The instance.
    pub instance: InstanceId,
    /// Which fields were changed back ([`crate::plan::fought_over`]).
    pub fields: String,
    /// When.
    pub at: Timestamp,
}

/// A guard lifted by the caller: `prune`, `prune:shop/cache`, `retry`, `retry:shop/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Which guard.
    pub guard: AllowedGuard,
    /// A deployment, service or instance that it is limited to, as text.
    pub scope: Option<String>,
}

/// A guard that a caller may lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedGuard {
    /// Removal beyond the budget or against the policy.
    Prune,
    /// Another try of what is quarantined or flapping.
    Retry,
}
