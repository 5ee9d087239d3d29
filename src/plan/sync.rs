//! The state of a host relative to a commit, one for each deployment and one for the whole host: exit codes, status and the
//! activation of schedules follow from it. Pure, and decided only here.

use super::input::PlanInput;
use super::objects::needed_by;
use super::step::{FieldChange, HeldReason, Plan};
use super::subject::Subject;
use crate::model::{Container, Deployment, DeploymentName, FieldKind, Health, Observed, OwnerId, Status};
use std::collections::{BTreeMap, BTreeSet};

/// The state of something relative to Git, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sync {
    /// It matches the commit and runs.
    InSync,
    /// There are steps to do, or something is still starting.
    Progressing,
    /// A wanted change is held; the holds say why.
    Held,
    /// Something that should run is not running or is unhealthy, and no step can change that now.
    Degraded,
    /// The newest commit, or the plan for it, must not be carried out.
    Refused,
    /// The engine could not be read in full.
    Unknown,
}

impl Sync {
    /// `in sync`, `held`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Progressing => "progressing",
            Self::Held => "held",
            Self::Degraded => "degraded",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// The state of affairs: of each deployment that Git names, and of the whole, which is at least as bad as the worst of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syncs {
    /// The state of the whole host.
    pub whole: Sync,
    /// The state of each deployment.
    pub deployments: BTreeMap<DeploymentName, Sync>,
}

/// The state of the host, by a plan and its input. `failing` are the subjects whose steps failed and wait for another attempt;
/// empty if the caller does not track that.
pub fn sync(plan: &Plan, input: &PlanInput<'_>, failing: &BTreeSet<Subject>) -> Syncs {
    let unknown = !plan.missing.is_empty();
    let mut whole = if unknown { Sync::Unknown } else { Sync::InSync };
    let mut found: Vec<(&Subject, Sync)> = Vec::new();
    for step in plan.changes() {
        let state = if failing.contains(&step.subject) { Sync::Degraded } else { Sync::Progressing };
        found.push((&step.subject, state));
    }
    for held in &plan.held {
        found.push((&held.subject, if is_down(&held.changes) { Sync::Degraded } else { Sync::Held }));
    }
    for (_, state) in &found {
        whole = whole.max(*state);
    }
    let of_deployment = |deployment: &Deployment| {
        let concerned = found.iter().filter(|(subject, _)| concerns(subject, deployment)).map(|(_, state)| *state);
        let base = if unknown { Sync::Unknown } else { Sync::InSync };
        concerned.chain(health(deployment, input.observed, input.owner)).fold(base, Sync::max)
    };
    let deployments: BTreeMap<_, _> =
        input.desired.deployments.iter().map(|(name, deployment)| (name.clone(), of_deployment(deployment))).collect();
    whole = deployments.values().copied().fold(whole, Sync::max);
    Syncs { whole, deployments }
}

/// Whether a hold keeps something down that should run.
fn is_down(changes: &[FieldChange]) -> bool {
    changes.iter().any(|change| change.field.kind == FieldKind::State)
}

/// What the containers of a deployment say by themselves.
fn health<'a>(
    deployment: &'a Deployment,
    observed: &'a Observed,
    owner: &'a OwnerId,
) -> impl Iterator<Item = Sync> + 'a {
    let of_deployment = |container: &&Container| {
        container.owner.as_ref() == Some(owner)
            && container.instance.as_ref().is_some_and(|id| id.service.deployment == deployment.name)
    };
    observed.containers.iter().filter(of_deployment).filter_map(|container| {
        match (container.status, container.health) {
            (Status::Running, Health::Unhealthy) => Some(Sync::Degraded),
            (Status::Restarting, _) | (Status::Running, Health::Starting) => Some(Sync::Progressing),
            _ => None,
        }
    })
}

/// Whether a subject is a matter of a deployment.
fn concerns(subject: &Subject, deployment: &Deployment) -> bool {
    match subject {
        Subject::Deployment(name) => *name == deployment.name,
        Subject::Instance(_, id) => id.service.deployment == deployment.name,
        Subject::Network(_, name) => deployment.networks.contains_key(name),
        Subject::Volume(_, name) => deployment.volumes.contains_key(name),
        Subject::Image(node, _) => {
            deployment.services.iter().any(|service| needed_by(service, node).any(|(need, _)| need == *subject))
        }
        Subject::Container(..) => false,
    }
}

impl HeldReason {
    /// Whether it keeps the commit from being carried out. What the host did meanwhile, or a person asked for, does not.
    pub fn is_of_commit(&self) -> bool {
        !matches!(self, Self::DriftReported | Self::Flapping { .. } | Self::Suspended | Self::BeingRemoved)
    }
}

impl Plan {
    /// Whether the host is as the commit wants it: nothing is left to be done, and nothing of the commit is held.
    pub fn is_applied(&self) -> bool {
        self.is_empty() && self.missing.is_empty() && !self.held.iter().any(|held| held.why.is_of_commit())
    }
}
