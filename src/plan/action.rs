//! The engine calls of a plan, with all data that they need: the code that carries them out makes no decisions.

use crate::model::{
    Attachment, CommitId, ConfigFile, ContainerId, ContainerSpec, DeploymentName, ImageBuild, InstanceId, Network,
    OwnerId, Probe, Resources, Restart, ServiceRef, Volume,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// One change of an engine, a small state machine that the engine carries out by itself. Idempotent: carried out again
/// after an interruption it ends in the same state.
#[derive(Clone, Debug)]
pub enum Action {
    /// Get an image from its registry.
    PullImage {
        reference: String,
        /// A local name to point at it.
        also_tag: Option<String>,
    },
    /// Build an image from the revision's tree.
    BuildImage(ImageBuild),
    CreateNetwork {
        network: Network,
        deployment: DeploymentName,
    },
    /// Recreate a network because a setting that cannot be changed differs: detach, remove, create, attach again.
    RecreateNetwork {
        network: Network,
        deployment: DeploymentName,
        /// The engine's id of the present one.
        old: String,
        /// Our containers to attach again, and how.
        attached: Vec<(ContainerId, Attachment)>,
    },
    /// Remove an unused network.
    RemoveNetwork {
        name: String,
        /// The engine's id.
        id: String,
    },
    CreateVolume {
        volume: Volume,
        deployment: DeploymentName,
    },
    /// Recreate a volume, which loses its content: remove the containers that use it, remove it, create it.
    RecreateVolume {
        volume: Volume,
        deployment: DeploymentName,
        /// Our containers that use it, and how long each may take to stop. They are created again by steps of their own.
        users: Vec<(ContainerId, Duration)>,
    },
    CreateInstance(Box<Launch>),
    /// Replace an old container, which is kept until the new one has passed its gate.
    ReplaceInstance {
        old: ContainerId,
        launch: Box<Launch>,
        /// Stop the old one before the new one starts.
        stop_first: bool,
        /// How long the old one may take to stop.
        grace: Duration,
        /// Whether a failed new container is removed for the old one; otherwise it replaces the old one although it failed.
        rollback: bool,
    },
    /// Change a container without recreating it.
    UpdateInstance {
        container: ContainerId,
        /// The changes, in this order.
        updates: Vec<Update>,
        gate: Gate,
    },
    /// Ask a container to stop, then kill it. The container is kept.
    StopInstance {
        container: ContainerId,
        /// How long it may take.
        grace: Duration,
    },
    /// Stop and remove a container; its volumes stay.
    RemoveInstance {
        container: ContainerId,
        /// How long it may take to stop.
        grace: Duration,
    },
    /// Remove what an interrupted replacement left behind.
    DiscardLeftover {
        /// The container, named `<name>.next` or `<name>.prev`.
        container: ContainerId,
    },
    /// Give a container that an interrupted replacement had renamed its name back.
    RestoreInstance {
        /// The container, named `<name>.prev`.
        container: ContainerId,
        name: String,
    },
    /// Wait until a container that is in sync passes its gate, because others depend on it.
    AwaitInstance {
        container: ContainerId,
        gate: Gate,
    },
}

/// All it takes to create a container.
#[derive(Clone, Debug)]
pub struct Launch {
    pub instance: InstanceId,
    pub name: String,
    pub owner: OwnerId,
    /// The commit it is created from.
    pub revision: CommitId,
    pub spec: ContainerSpec,
    /// Digests of its fields, by field text, for its label.
    pub applied: BTreeMap<String, String>,
    /// Services it depends on, for its label.
    pub needs: Vec<ServiceRef>,
    /// Anonymous volumes of the previous container, by target path, which it continues to use.
    pub carried: BTreeMap<String, String>,
    pub gate: Gate,
}

/// What an instance must pass before its step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is enough that the container was started.
    Started,
    /// It runs without a restart and its check succeeds, for as long as the window.
    Healthy {
        /// Time limit of the whole wait.
        timeout: Duration,
        /// How long it must stay healthy.
        window: Duration,
        /// A check made from outside, if the container has none of its own.
        probe: Option<Probe>,
    },
    /// It ended with exit code 0.
    Completed { timeout: Duration },
}

/// One thing done to a container that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Set all limits and the restart policy.
    Limits {
        /// The limits; absent means none.
        resources: Resources,
        restart: Restart,
    },
    Rename(String),
    Connect {
        network: String,
        attachment: Attachment,
    },
    Disconnect {
        network: String,
    },
    WriteConfig {
        /// Path in the container.
        target: String,
        file: ConfigFile,
    },
    /// Send its process a signal.
    Signal(String),
    Unpause,
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
    Ours { container: ContainerId, owner: OwnerId },
}

impl Action {
    /// How long the container that it stops may take to end; `None` when it stops none.
    pub fn grace(&self) -> Option<Duration> {
        match self {
            Self::ReplaceInstance { grace, .. }
            | Self::StopInstance { grace, .. }
            | Self::RemoveInstance { grace, .. } => Some(*grace),
            _ => None,
        }
    }

    /// One word for what is done, the same in plans, events and summaries.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::PullImage { .. } => "pull",
            Self::BuildImage(_) => "build",
            Self::CreateNetwork { .. } | Self::CreateVolume { .. } | Self::CreateInstance(_) => "create",
            Self::RecreateNetwork { .. } | Self::RecreateVolume { .. } => "recreate",
            Self::RemoveNetwork { .. } | Self::RemoveInstance { .. } => "remove",
            Self::ReplaceInstance { .. } => "replace",
            Self::UpdateInstance { updates, .. } => match updates.as_slice() {
                [Update::Start] => "start",
                [Update::Unpause] => "unpause",
                [Update::Restart { .. }] => "restart",
                [Update::Rename(_)] => "rename",
                _ => "update",
            },
            Self::StopInstance { .. } => "stop",
            Self::DiscardLeftover { .. } => "discard",
            Self::RestoreInstance { .. } => "restore",
            Self::AwaitInstance { .. } => "await",
        }
    }

    /// The container it creates, if it creates one.
    pub fn launch(&self) -> Option<&Launch> {
        match self {
            Self::CreateInstance(launch) | Self::ReplaceInstance { launch, .. } => Some(launch),
            _ => None,
        }
    }
}
