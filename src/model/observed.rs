//! What an engine reported: a snapshot, when it was taken, and whether it is complete.

use super::spec::ContainerSpec;
use super::{CommitId, ContainerId, DeploymentName, InstanceId, NodeName, OwnerId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// One look at an engine.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The machine that the engine is on.
    pub node: NodeName,
    /// When it was taken.
    pub at: Timestamp,
    /// What could not be read. Anything here makes the snapshot incomplete, and nothing is removed on it.
    pub missing: Vec<String>,
    /// The part of it that may be there nevertheless: absence from the lists below means nothing for these.
    pub unread: BTreeSet<Unread>,
    /// Every container, ours with its settings, foreign ones with name and ports only.
    pub containers: Vec<Container>,
    /// Every network by name.
    pub networks: BTreeMap<String, NetworkState>,
    /// Every volume by name.
    pub volumes: BTreeMap<String, VolumeState>,
    /// Images by reference and by id, as far as Desired or one of our containers names them.
    pub images: BTreeMap<String, ImageState>,
}

impl Observed {
    /// An empty engine on this machine.
    pub fn empty(at: Timestamp) -> Self {
        Self {
            node: NodeName::local(),
            at,
            missing: Vec::new(),
            unread: BTreeSet::new(),
            containers: Vec::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }

    /// Whether all was read, so that absence means absence.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// What an engine did not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// A container of this instance is there and was not read.
    Instance(InstanceId),
    /// Which networks there are.
    Networks,
    /// Which volumes there are.
    Volumes,
    /// Whether there is an image with this reference.
    Image(String),
}

/// A container as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: ContainerId,
    /// Its name, without a slash.
    pub name: String,
    /// Who owns it, from its label; `None` is foreign.
    pub owner: Option<OwnerId>,
    /// Which instance it is, from its labels.
    pub instance: Option<InstanceId>,
    /// Commit it was created from, from its label.
    pub revision: Option<CommitId>,
    /// Digests of the fields it was created with, by field text ([`super::digest`]), from its label.
    pub applied: BTreeMap<String, String>,
    /// Services it depends on (`deployment/service`), from its label; for stopping in reverse order.
    pub needs: Vec<super::ServiceRef>,
    /// Volumes that nobody declared, by target path: the engine made them because the image asks for a volume there, or they
    /// were carried over from the container before.
    pub anonymous_volumes: BTreeMap<String, String>,
    /// Id of the image it runs.
    pub image_id: String,
    /// What it does.
    pub status: Status,
    /// What its health check says.
    pub health: Health,
    /// How often the engine restarted it.
    pub restart_count: u32,
    /// When it last started.
    pub started_at: Option<Timestamp>,
    /// Address on each network it is connected to.
    pub addresses: BTreeMap<String, Address>,
    /// Where its TCP ports are published on the engine's host, by container port; an unspecified address is every one.
    pub published: BTreeMap<u16, SocketAddr>,
    /// Its settings, normalised. For a foreign container only image and ports are filled.
    pub spec: ContainerSpec,
}

#[cfg(test)]
impl Container {
    /// A running container of nobody, with nothing set, for tests.
    pub(crate) fn bare(id: &str, name: &str) -> Self {
        Self {
            id: ContainerId::new(id),
            name: name.to_owned(),
            owner: None,
            instance: None,
            revision: None,
            applied: BTreeMap::new(),
            needs: Vec::new(),
            anonymous_volumes: BTreeMap::new(),
            image_id: String::new(),
            status: Status::Running,
            health: Health::Unchecked,
            restart_count: 0,
            started_at: None,
            addresses: BTreeMap::new(),
            published: BTreeMap::new(),
            spec: ContainerSpec::default(),
        }
    }
}

/// An address within its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// How many bits of it name the network.
    pub prefix: u8,
}

impl Address {
    /// Whether another address lies in the same network.
    pub fn is_beside(&self, other: IpAddr) -> bool {
        let shift = |bits: u32| bits.saturating_sub(u32::from(self.prefix));
        match (self.ip, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                (one.to_bits() ^ other.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                (one.to_bits() ^ other.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Created, never started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// The engine is starting it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited {
        /// Its exit code.
        code: i64,
        /// Killed for want of memory.
        oom: bool,
    },
    /// Could not be ended or removed.
    Dead,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created => f.pad("created"),
            Self::Running => f.pad("running"),
            Self::Paused => f.pad("paused"),
            Self::Restarting => f.pad("restarting"),
            Self::Removing => f.pad("removing"),
            Self::Exited { code, oom: true } => f.pad(&format!("exited ({code}, out of memory)")),
            Self::Exited { code, oom: false } => f.pad(&format!("exited ({code})")),
            Self::Dead => f.pad("dead"),
        }
    }
}

/// What a health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There is no health check.
    Unchecked,
    /// Not decided yet.
    Starting,
    /// Good.
    Healthy,
    /// Bad.
    Unhealthy,
}

/// Why an instance counts as not healthy: the evidence that errors and `why` show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// One line: what was seen (`exited (1) after 0.4 s`).
    pub verdict: String,
    /// Last lines of its log.
    pub log: Vec<String>,
    /// Last output of its health check.
    pub check: Option<String>,
}

/// A network as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkState {
    /// The engine's id.
    pub id: String,
    /// Who owns it; `None` is foreign.
    pub owner: Option<OwnerId>,
    /// Deployment it was created for, from its label.
    pub deployment: Option<DeploymentName>,
    /// Driver.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// No way out.
    pub internal: bool,
    /// Subnets of its address pools, as reported (also when the engine chose them).
    pub subnets: Vec<String>,
    /// Gateways of its address pools, likewise.
    pub gateways: Vec<String>,
    /// Digests of the settings it was created with, from its label, as in [`Container::applied`].
    pub applied: BTreeMap<String, String>,
    /// Labels apart from ours.
    pub labels: BTreeMap<String, String>,
}

/// A volume as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeState {
    /// Who owns it; `None` is foreign.
    pub owner: Option<OwnerId>,
    /// Deployment it was created for, from its label.
    pub deployment: Option<DeploymentName>,
    /// Driver.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Digests of the settings it was created with, from its label, as in [`Container::applied`].
    pub applied: BTreeMap<String, String>,
    /// Labels apart from ours.
    pub labels: BTreeMap<String, String>,
}

/// An image on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageState {
    /// The engine's id (`sha256:…`).
    pub id: String,
    /// What it sets unless a container overrides it.
    pub config: ImageConfig,
    /// Digest of the files and settings that we built it from ([`ImageBuild::digest`](super::ImageBuild)); absent for others'.
    pub built_from: Option<String>,
    /// Our labels of containers that the image carries: it was committed from one of ours, and what is started from it has them
    /// without being ours.
    pub inherited: BTreeMap<String, String>,
}

/// What an image sets unless a container overrides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Entrypoint.
    pub entrypoint: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// User.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Signal that asks to stop.
    pub stop_signal: Option<String>,
    /// Health check.
    pub healthcheck: Option<super::Healthcheck>,
    /// Paths for which the engine makes an anonymous volume.
    pub volumes: Vec<String>,
}
