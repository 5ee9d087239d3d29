//! The input of the planner. All of it is data, including the time.

use crate::model::{CommitId, DeploymentName, Desired, InstanceId, NodeName, Observed, OwnerId, Revision, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Everything a plan follows from.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    pub desired: &'a Desired,
    /// The commit of `desired`.
    pub revision: &'a Revision,
    pub observed: &'a Observed,
    /// Owner label of the containers that we manage.
    pub owner: &'a OwnerId,
    /// What the store remembers.
    pub memory: &'a Memory,
    /// Guards that the caller lifts.
    pub allow: &'a [Allow],
}

/// What the store remembers that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is on record of our containers and networks, by the engine's id.
    pub bases: BTreeMap<String, Base>,
    /// Instances that did not become healthy with their settings.
    pub quarantine: Vec<Quarantine>,
    /// Deployments that were stopped by hand.
    pub suspended: BTreeSet<DeploymentName>,
    /// Instances that were once there, so that an absent one counts as removed and not as new.
    pub known: BTreeSet<InstanceId>,
    /// Repairs of the last [`REMEMBERED`](crate::plan::REMEMBERED), oldest first.
    pub repairs: Vec<Repair>,
}

/// What is on record of an object on the engine: the base that tells drift from a commit. All values are digests, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// Fields that were requested in place later; they take precedence over its label. An empty text is a field that was unset.
    pub asked: BTreeMap<String, String>,
    /// What the engine then reported for the fields that the host can change. A field that is absent was not reported.
    pub reported: BTreeMap<String, String>,
}

impl Base {
    /// Whether the engine's report is on record. It never is empty for a container: each has a name.
    pub fn is_recorded(&self) -> bool {
        !self.reported.is_empty()
    }
}

/// An instance whose settings failed their gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The node on which it failed.
    pub node: NodeName,
    pub instance: InstanceId,
    /// Digest of all its desired fields ([`crate::plan::spec_digest`]).
    pub spec: String,
    /// The commit that failed.
    pub revision: CommitId,
    /// What was observed.
    pub verdict: String,
}

/// A repair that was made because of drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was repaired, as the text of its [`Subject`](crate::plan::Subject).
    pub subject: String,
    /// The fields that were reverted ([`crate::plan::fought_over`]).
    pub fields: String,
    /// Digest of the wanted state of the subject ([`crate::plan::wish`]).
    pub wish: String,
    pub at: Timestamp,
}

/// A guard lifted by the caller: `prune`, `prune:shop/cache`, `retry`, `retry:shop/api`, `data-loss:shop/db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    pub guard: AllowedGuard,
    /// A deployment, service or instance that it is limited to, as text.
    pub scope: Option<String>,
}

/// A guard that a caller may lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedGuard {
    /// Removal beyond the budget or although pruning is switched off.
    Prune,
    /// Another attempt for what is quarantined or flapping.
    Retry,
    /// Loss of data. Always with a scope: the instance, or the name of the volume.
    DataLoss,
}

impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (guard, scope) = match text.split_once(':') {
            Some((guard, scope)) => (guard, Some(scope.trim_end_matches('/').to_owned())),
            None => (text, None),
        };
        let guard = match guard {
            "prune" => AllowedGuard::Prune,
            "retry" => AllowedGuard::Retry,
            "data-loss" if scope.is_none() => {
                return Err(
                    "`data-loss` must name what may be lost: `data-loss:SERVICE` or `data-loss:VOLUME`".to_owned()
                );
            }
            "data-loss" => AllowedGuard::DataLoss,
            other => {
                return Err(format!(
                    "`{other}` is not a guard; write `prune`, `retry` or `data-loss`, with `:deployment/service` to limit it"
                ));
            }
        };
        Ok(Self { guard, scope })
    }
}

impl TryFrom<String> for Allow {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Allow> for String {
    fn from(allow: Allow) -> Self {
        allow.to_string()
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.guard {
            AllowedGuard::Prune => "prune",
            AllowedGuard::Retry => "retry",
            AllowedGuard::DataLoss => "data-loss",
        })?;
        self.scope.as_ref().map_or(Ok(()), |scope| write!(f, ":{scope}"))
    }
}
