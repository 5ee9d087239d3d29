//! The plan as data: what will be done, in which order, why, and what it costs. Whoever carries it out has no choice left.

use super::action::{Action, Guard};
use super::id::PlanId;
use crate::model::{
    Condition, DeploymentName, Field, InstanceId, Location, Revision, ServiceRef, Status, Strategy, Timestamp,
};
use std::collections::BTreeMap;
use std::fmt;

/// The whole ordered change.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Digest of all that would be carried out; equal ids mean the same plan.
    pub id: PlanId,
    /// The environment it is for.
    pub environment: String,
    /// The commit it carries out.
    pub revision: Revision,
    /// When the engine was looked at.
    pub observed_at: Timestamp,
    /// What could not be observed; not empty means nothing is removed.
    pub missing: Vec<String>,
    /// The steps, sorted so that each stands after those it needs.
    pub steps: Vec<Step>,
    /// What is wanted and not done now.
    pub held: Vec<Held>,
    /// Instances that are as they should be.
    pub unchanged: usize,
    /// The strategy of each deployment that has steps.
    pub strategies: BTreeMap<DeploymentName, Strategy>,
}

/// Position of a step in [`Plan::steps`].
pub type StepId = usize;

/// One node of the plan's graph.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its position.
    pub id: StepId,
    /// What it is about.
    pub subject: Subject,
    /// The deployment whose strategy and limits it follows.
    pub deployment: Option<DeploymentName>,
    /// The engine call.
    pub action: Action,
    /// What must still hold when it is carried out.
    pub guard: Guard,
    /// The steps that must have come so far before it starts.
    pub needs: Vec<Need>,
    /// The fields it changes.
    pub changes: Vec<FieldChange>,
    /// Why it exists.
    pub reason: Reason,
    /// What it costs those who use the service.
    pub disruption: Disruption,
}

/// One edge of the plan's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The step that is waited for.
    pub step: StepId,
    /// How far it must have come.
    pub until: Milestone,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// Its container runs.
    Started,
    /// It ended well: healthy or completed, as its gate asks.
    Done,
}

/// What a step or a held wish is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A deployment as a whole; only ever held.
    Deployment(DeploymentName),
    /// A replica of a service.
    Instance(InstanceId),
    /// A network by name.
    Network(String),
    /// A volume by name.
    Volume(String),
    /// An image by reference.
    Image(String),
    /// A container by name that is no instance by itself: a leftover of an interrupted replacement.
    Container(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(name) => f.pad(name.as_str()),
            Self::Instance(id) => f.pad(&id.to_string()),
            Self::Network(name) => f.pad(&format!("network {name}")),
            Self::Volume(name) => f.pad(&format!("volume {name}")),
            Self::Image(name) => f.pad(&format!("image {name}")),
            Self::Container(name) => f.pad(&format!("container {name}")),
        }
    }
}

/// One difference between what is wanted and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The field.
    pub field: Field,
    /// What is there; `None` is the default.
    pub old: Option<String>,
    /// What is wanted; `None` is the default.
    pub new: Option<String>,
    /// Who made the difference.
    pub origin: Origin,
    /// The place in the repo that sets it.
    pub at: Option<Location>,
    /// Whether its values are not shown, whatever they are.
    pub hidden: bool,
}

/// Who made a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A commit.
    Git,
    /// Somebody or something on the host.
    Drift,
    /// Both, to different values.
    Both,
}

/// Why a step exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Git names it and it was never there.
    New,
    /// More replicas are wanted.
    ScaledUp {
        /// How many there are.
        from: u32,
        /// How many are wanted.
        to: u32,
    },
    /// It was there and was removed on the host.
    Vanished,
    /// Fields differ; they stand in the step's changes.
    Changed,
    /// It is there and does not run.
    NotRunning(Status),
    /// Its health check went bad.
    Unhealthy,
    /// Git no longer names it.
    Dropped,
    /// Fewer replicas are wanted.
    ScaledDown {
        /// How many there are.
        from: u32,
        /// How many are wanted.
        to: u32,
    },
    /// An interrupted replacement left it.
    Interrupted,
    /// A service needs it and it is not there.
    NeededBy(ServiceRef),
    /// Nothing uses it any more.
    Unused,
    /// It holds a port or a name that this instance is to have.
    MakesRoom(InstanceId),
    /// Others depend on it and it is still starting.
    Awaited,
    /// Its deployment was stopped by hand, and it runs again all the same.
    Suspended,
    /// Somebody asked for it on the command line.
    Asked,
}

/// What a step costs those who use the service; ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// Nobody notices.
    None,
    /// Changed while it runs.
    InPlace,
    /// The process starts again.
    Restart,
    /// A new container takes over before the old one stops.
    RecreateStartFirst,
    /// The old container stops before the new one starts, or it is removed.
    RecreateDowntime,
    /// Data is lost.
    DataLoss,
}

/// Something wanted that is not done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is about.
    pub subject: Subject,
    /// What would be done (`remove`, `replace`, …).
    pub wanted: &'static str,
    /// Why it is not.
    pub why: HeldReason,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
}

/// Why something is wanted and not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldReason {
    /// It failed its gate with these settings and is not tried again until Git changes them.
    Quarantined {
        /// Commit that failed.
        revision: String,
        /// What was seen.
        verdict: String,
    },
    /// Policy says nothing is pruned.
    PruneDisabled,
    /// More would be removed than one plan may.
    PruneBudget {
        /// How many instances would go.
        wanted: usize,
        /// How many may.
        allowed: usize,
    },
    /// Policy says drift is reported and not repaired.
    DriftReported,
    /// The engine was not fully observed: nothing is removed on half a look, and nothing made that may be there.
    Incomplete,
    /// The deployment was stopped by hand.
    Suspended,
    /// A container that is not ours has the name.
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container that is not ours has the port.
    PortTaken {
        /// `8080/tcp`.
        port: String,
        /// Name of the container that has it.
        holder: String,
    },
    /// A network or volume of that name exists and is not ours.
    Foreign,
    /// It is declared external and does not exist.
    ExternalMissing,
    /// The image may not be pulled and is not on the host.
    ImageMissing {
        /// The reference.
        reference: String,
    },
    /// Something it needs is itself held.
    Needs(Subject),
    /// Something it needs is there and has not come as far as it must.
    NotReached {
        /// What it needs.
        needs: Subject,
        /// How far that must come.
        condition: Condition,
    },
    /// Its container is being removed by somebody; it is created anew once that is over.
    BeingRemoved,
    /// Its step waits for itself, through these others. The planner makes no such plan; if it does, nothing of it is done.
    Circle(Vec<Subject>),
    /// It was repaired again and again and does not stay so.
    Flapping {
        /// How often within the window.
        times: u32,
    },
    /// Doing it would lose data, which needs an explicit word.
    DataLoss {
        /// What would be lost, as a noun: `its content`, `what is at /data`.
        lost: String,
    },
    /// Containers that are not ours are connected to it.
    InUseByForeign {
        /// One of them.
        holder: String,
    },
}
