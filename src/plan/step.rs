//! The plan as data: what will be done, in which order, why, and what it costs. The code that carries it out makes no decisions.

use super::action::{Action, Guard};
use super::id::PlanId;
use super::subject::Subject;
use crate::model::{
    CommitId, Condition, DeploymentName, Field, InstanceId, Location, Revision, ServiceRef, Status, Strategy, Timestamp,
};
use std::collections::BTreeMap;

/// The whole ordered change.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Digest of all that would be carried out; equal ids mean the same plan.
    pub id: PlanId,
    pub environment: String,
    /// The commit that it applies.
    pub revision: Revision,
    /// When the engine was observed.
    pub observed_at: Timestamp,
    /// What could not be observed; not empty means nothing is removed.
    pub missing: Vec<String>,
    /// The steps; each one comes after those that it needs.
    pub steps: Vec<Step>,
    /// Changes that are wanted but not made now.
    pub held: Vec<Held>,
    /// Instances that are in sync.
    pub unchanged: usize,
    /// The strategy of each deployment that has steps.
    pub strategies: BTreeMap<DeploymentName, Strategy>,
}

/// Position of a step in [`Plan::steps`].
pub type StepId = usize;

/// One node of the plan's graph.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its position in [`Plan::steps`].
    pub id: StepId,
    pub subject: Subject,
    /// The deployment whose strategy and limits it follows.
    pub deployment: Option<DeploymentName>,
    pub action: Action,
    /// The condition that is checked again before the step.
    pub guard: Guard,
    /// The steps that must have reached a milestone before it starts.
    pub needs: Vec<Need>,
    pub changes: Vec<FieldChange>,
    pub reason: Reason,
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
    /// It succeeded: its container is healthy or has completed, as its gate requires.
    Done,
}

/// One difference between the wanted and the current state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub field: Field,
    /// The current value; `None` is the default.
    pub old: Option<String>,
    /// The wanted value; `None` is the default.
    pub new: Option<String>,
    pub origin: Origin,
    /// The place in the repo that sets it.
    pub at: Option<Location>,
    /// Whether its values are always hidden.
    pub hidden: bool,
}

/// The origin of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Git,
    /// Somebody or something on the host.
    Drift,
    /// Both, to different values.
    Both,
}

/// Why a step exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is in Git and has never existed.
    New,
    /// More replicas are wanted.
    ScaledUp {
        from: u32,
        to: u32,
    },
    /// It existed and was removed on the host.
    Vanished,
    /// Fields differ; see the step's changes.
    Changed,
    /// It exists but is not running.
    NotRunning(Status),
    Unhealthy,
    /// It is no longer in Git.
    Dropped,
    /// Fewer replicas are wanted.
    ScaledDown {
        from: u32,
        to: u32,
    },
    /// An interrupted replacement left it.
    Interrupted,
    /// A service needs it and it does not exist.
    NeededBy(ServiceRef),
    Unused,
    /// It has a port or a name that this instance needs.
    MakesRoom(InstanceId),
    /// Others depend on it and it is still starting.
    Awaited,
    /// Its deployment was stopped by hand, but it is running again.
    Suspended,
    /// It was requested on the command line.
    Asked,
}

/// What a step costs those who use the service; ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// Nothing is disrupted.
    None,
    /// It is changed while it runs.
    InPlace,
    /// The process is restarted.
    Restart,
    /// A new container takes over before the old one stops.
    RecreateStartFirst,
    /// The old container stops before the new one starts, or it is removed.
    RecreateDowntime,
    DataLoss,
}

/// Something wanted that is not done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub subject: Subject,
    /// What would be done (`remove`, `replace`, …).
    pub wanted: &'static str,
    pub why: HeldReason,
    pub changes: Vec<FieldChange>,
}

/// Why something is wanted and not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldReason {
    /// It did not become healthy with these settings; they are not tried again until Git changes them.
    Quarantined {
        /// The commit that failed.
        revision: CommitId,
        /// What was observed.
        verdict: String,
    },
    /// Pruning is switched off.
    PruneDisabled,
    /// More would be removed than one plan may remove.
    PruneBudget {
        /// How many instances would be removed.
        wanted: usize,
        /// How many may be removed.
        allowed: usize,
    },
    /// Drift is reported and not repaired.
    DriftReported,
    /// The engine could not be read in full: nothing is removed, and nothing is created that may already exist.
    Incomplete,
    /// The deployment was stopped by hand.
    Suspended,
    /// A container that is not ours has the name.
    NameTaken { name: String },
    /// A container that is not ours has the port.
    PortTaken {
        /// `8080/tcp`.
        port: String,
        /// Name of the container that has it.
        holder: String,
    },
    /// A network or volume of that name exists and is not ours.
    Foreign,
    /// It is declared external but does not exist.
    ExternalMissing,
    /// The image is not on the host and must not be pulled.
    ImageMissing { reference: String },
    /// Something it needs is itself held.
    Needs(Subject),
    /// Something it needs exists but has not reached the required state.
    NotReached {
        needs: Subject,
        /// The required state.
        condition: Condition,
    },
    /// Its container is being removed by somebody; it is created after that.
    BeingRemoved,
    /// Its step waits for itself, through these others. This is a bug in the planner; nothing of such a plan is carried out.
    Circle(Vec<Subject>),
    /// It was repaired several times without lasting effect.
    Flapping {
        /// How often it was repaired within the window.
        times: u32,
    },
    /// It would lose data, which must be allowed explicitly.
    DataLoss {
        /// What would be lost, as a noun: `its content`, `the data at /data`.
        lost: String,
    },
    /// Containers that are not ours are connected to it.
    InUseByForeign {
        /// One of these containers.
        holder: String,
    },
}
