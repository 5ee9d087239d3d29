//! The plan as data: what will be done, in which order, why, and what it costs. Whoever carries it out has no choice left.

use crate::model::{
    Attachment, ConfigFile, ContainerId, ContainerSpec, DeploymentName, Field, ImageBuild, InstanceId, Location,
    Network, OwnerId, Probe, Resources, Restart, Revision, ServiceRef, Status, Strategy, Timestamp, Volume,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The whole ordered change.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Eight hexadecimal digits over the desired inputs and the observed state; equal ids mean the same plan.
    pub id: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// The step that is waited for.
    pub step: StepId,
    /// How far it must have come.
    pub until: Milestone,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// Its container runs.
    Started,
    /// It ended well: healthy or completed, as its gate asks.
    Done,
}

/// What a step or a held wish is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
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
            Self::Instance(id) => f.pad(&id.to_string()),
            Self::Network(name) => f.pad(&format!("network {name}")),
            Self::Volume(name) => f.pad(&format!("volume {name}")),
            Self::Image(name) => f.pad(&format!("image {name}")),
            Self::Container(name) => f.pad(&format!("container {name}")),
        }
    }
}

/// One change of an engine, a small state machine that the engine carries out by itself. Idempotent: carried out again
/// after an interruption it ends in the same state.
#[derive(Clone, Debug)]
pub enum Action {
    /// Get an image from its registry.
    PullImage {
        /// The reference to pull.
        reference: String,
        /// A local name to point at it.
        also_tag: Option<String>,
    },
    /// Build an image from the revision's tree.
    BuildImage(ImageBuild),
    /// Make a network.
    CreateNetwork {
        /// What it is to be.
        network: Network,
        /// The deployment it belongs to.
        deployment: DeploymentName,
    },
    /// Make a network anew because a setting that cannot be changed differs: detach, remove, create, attach again.
    RecreateNetwork {
        /// What it is to be.
        network: Network,
        /// The deployment it belongs to.
        deployment: DeploymentName,
        /// The engine's id of the one there is.
        old: String,
        /// Our containers to attach again, and how.
        attached: Vec<(ContainerId, Attachment)>,
    },
    /// Remove a network that nothing uses any more.
    RemoveNetwork {
        /// Its name.
        name: String,
        /// The engine's id.
        id: String,
    },
    /// Make a volume.
    CreateVolume {
        /// What it is to be.
        volume: Volume,
        /// The deployment it belongs to.
        deployment: DeploymentName,
    },
    /// Create and start a container.
    CreateInstance(Box<Launch>),
    /// Put a new container in the place of an old one, which is kept until the new one passed its gate.
    ReplaceInstance {
        /// The container that is replaced.
        old: ContainerId,
        /// The new one.
        launch: Box<Launch>,
        /// Stop the old one before the new one starts.
        stop_first: bool,
        /// How long the old one may take to stop.
        grace: Duration,
        /// Whether a failed new container makes way for the old one again (else both stay as they are).
        rollback: bool,
    },
    /// Change a container while it stays the same container.
    UpdateInstance {
        /// The container.
        container: ContainerId,
        /// What is done to it, in this order.
        updates: Vec<Update>,
        /// What it must pass afterwards.
        gate: Gate,
    },
    /// Ask a container to stop, then kill it. It stays.
    StopInstance {
        /// The container.
        container: ContainerId,
        /// How long it may take.
        grace: Duration,
    },
    /// Stop and remove a container; its volumes stay.
    RemoveInstance {
        /// The container.
        container: ContainerId,
        /// How long it may take to stop.
        grace: Duration,
    },
    /// Remove what an interrupted replacement left behind.
    DiscardLeftover {
        /// The container, named `<name>.next` or `<name>.prev`.
        container: ContainerId,
    },
    /// Give a container that an interrupted replacement had set aside its name back.
    RestoreInstance {
        /// The container, named `<name>.prev`.
        container: ContainerId,
        /// Its own name.
        name: String,
    },
    /// Wait until a container that is already as it should be passes its gate, because others depend on it.
    AwaitInstance {
        /// The container.
        container: ContainerId,
        /// The gate.
        gate: Gate,
    },
}

/// All it takes to create a container.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Which instance it will be.
    pub instance: InstanceId,
    /// Its name.
    pub name: String,
    /// Who will own it.
    pub owner: OwnerId,
    /// The commit it is created from.
    pub revision: String,
    /// Its settings.
    pub spec: ContainerSpec,
    /// Digests of its fields, by field text, for its label.
    pub applied: BTreeMap<String, String>,
    /// Services it depends on, for its label.
    pub needs: Vec<ServiceRef>,
    /// What it must pass.
    pub gate: Gate,
}

/// What an instance must pass before its step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Having been started is enough.
    Started,
    /// It runs without a restart and its check is good, for as long as the window.
    Healthy {
        /// Bound on the whole wait.
        timeout: Duration,
        /// How long it must stay so.
        window: Duration,
        /// A check made from outside, when the container has none of its own.
        probe: Option<Probe>,
    },
    /// It ended with exit code 0.
    Completed {
        /// Bound on the wait.
        timeout: Duration,
    },
}

/// One thing done to a container that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Set all limits and the restart policy.
    Limits {
        /// The limits; absent means none.
        resources: Resources,
        /// The restart policy.
        restart: Restart,
    },
    /// Give it another name.
    Rename(String),
    /// Connect it to a network.
    Connect {
        /// The network's name.
        network: String,
        /// How.
        attachment: Attachment,
    },
    /// Disconnect it from a network.
    Disconnect {
        /// The network's name.
        network: String,
    },
    /// Write a config file into it.
    WriteConfig {
        /// Path in the container.
        target: String,
        /// The file.
        file: ConfigFile,
    },
    /// Send its process a signal.
    Signal(String),
    /// Thaw it.
    Unpause,
    /// Start it.
    Start,
    /// Stop and start it.
    Restart {
        /// How long it may take to stop.
        grace: Duration,
    },
}

/// What must still hold when a step is carried out; if it does not, the plan is stale and the step fails without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: the action checks by itself.
    Nothing,
    /// No container has this name.
    NameFree(String),
    /// The container exists and this owner has it.
    Ours {
        /// The container.
        container: ContainerId,
        /// The owner.
        owner: OwnerId,
    },
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
}

/// Who made a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Somebody asked for it on the command line.
    Asked,
}

/// What a step costs those who use the service; ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The engine was not fully observed, and nothing is removed on half a look.
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
    /// It was repaired again and again and does not stay so.
    Flapping {
        /// How often within the window.
        times: u32,
    },
    /// Doing it would lose data, which needs an explicit word.
    DataLoss,
    /// Containers that are not ours are connected to it.
    InUseByForeign {
        /// One of them.
        holder: String,
    },
}
