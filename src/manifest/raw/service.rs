//! The parts of a service.

use super::text::{Pairs, Text};
use super::units::{
    Bytes, Capability, Cpus, Cpuset, HostName, IpAddress, Limit, Megabytes, Memlock, Mode, MountText, Name, Port,
    Ports, Signal, Swap, Tag, TargetPath, TmpfsText,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// If the host does not have it.
    Missing,
    /// Before each change of the service.
    Always,
    /// Never.
    Never,
}

/// Whether the new container starts before the old one stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartOrder {
    /// Start first unless something is exclusive.
    Auto,
    /// Start first.
    StartFirst,
    /// Stop first.
    StopFirst,
}

/// Where the image is built from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Build {
    /// The folder of the build context.
    Context(Text),
    /// With settings.
    Full(BuildSpec),
}

/// A build.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "context"))]
pub struct BuildSpec {
    /// Folder in this repo; default the root.
    pub context: Option<Text>,
    /// Path of the Dockerfile within the context; default `Dockerfile`.
    pub dockerfile: Option<Text>,
    /// Build arguments.
    pub args: Option<Pairs>,
    /// Build stage to stop at; default the last.
    pub target: Option<Text>,
    /// Ignore the engine's build cache.
    pub no_cache: Option<bool>,
    /// Tag that always points at the newest build; default `latest`.
    pub tag: Option<Tag>,
}

/// A published port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PortEntry {
    /// `[address:][host:]container[/protocol]`.
    Short(Ports),
    /// As a map.
    Long(PortSpec),
}

/// A published port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "target"))]
pub struct PortSpec {
    /// Port in the container.
    pub target: Port,
    /// Port on the host; without it the engine chooses one.
    pub published: Option<Port>,
    /// Address of the host; default all addresses.
    pub host_ip: Option<IpAddress>,
    /// Transport; default `tcp`.
    pub protocol: Option<ProtocolName>,
}

/// Transport of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A mount.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum VolumeEntry {
    /// `source:/path[:ro]`.
    Short(MountText),
    /// As a map.
    Long(VolumeSpec),
}

/// A mount.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "source"))]
pub struct VolumeSpec {
    /// `volume`, `bind` or `tmpfs`; the default depends on the form of `source`.
    #[serde(rename = "type")]
    pub kind: Option<MountKind>,
    /// Name of the volume, or absolute path of the host.
    pub source: Option<Text>,
    /// Path in the container.
    pub target: TargetPath,
    /// Mount read-only.
    pub read_only: Option<bool>,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A named volume.
    Volume,
    /// A path of the host.
    Bind,
    /// Memory.
    Tmpfs,
}

/// A folder in memory.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TmpfsEntry {
    /// `/path[:size=64m,mode=1777]`.
    Short(TmpfsText),
    /// As a map.
    Long(TmpfsSpec),
}

/// A folder in memory.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "target"))]
pub struct TmpfsSpec {
    /// Path in the container.
    pub target: TargetPath,
    /// Limit; a bare number is bytes.
    pub size: Option<Bytes>,
    /// Permission bits.
    pub mode: Option<Mode>,
}

/// A file of this repo inside the container.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "file"))]
pub struct Config {
    /// Path in this repo.
    pub file: Text,
    /// Path in the container.
    pub target: TargetPath,
    /// Permission bits; default `0444`.
    pub mode: Option<Mode>,
    /// Owner; default 0.
    pub uid: Option<u32>,
    /// Group; default 0.
    pub gid: Option<u32>,
    /// What happens when the content changes: `recreate` (default), `restart`, `none` or `{signal: SIGHUP}`.
    pub on_change: Option<OnChange>,
}

/// What happens when a config file changes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OnChange {
    /// By name.
    Plain(OnChangeName),
    /// A signal to the process.
    Signal(OnChangeSignal),
}

/// What happens when a config file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChangeName {
    /// The container is recreated.
    Recreate,
    /// The file is replaced and the container is restarted.
    Restart,
    /// Only the file is replaced.
    None,
}

/// A signal to the process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnChangeSignal {
    /// The signal.
    pub signal: Signal,
}

/// Networks to join.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Networks {
    /// By name.
    List(Vec<Name>),
    /// With settings.
    Map(BTreeMap<String, Option<NetworkAttachment>>),
}

/// Settings of a service in a network.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAttachment {
    /// Additional names on the network.
    pub aliases: Option<Vec<HostName>>,
    /// Fixed IPv4 address.
    pub ipv4_address: Option<IpAddress>,
    /// Fixed IPv6 address.
    pub ipv6_address: Option<IpAddress>,
}

/// Services that must be started first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DependsOn {
    /// One.
    One(Text),
    /// Several.
    List(Vec<Text>),
    /// Each with its condition.
    Map(BTreeMap<String, DependsOnEntry>),
}

/// The condition of a dependency.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DependsOnEntry {
    /// By name.
    Name(ConditionName),
    /// As a map.
    Spec(DependsOnSpec),
}

/// The condition of a dependency.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependsOnSpec {
    /// `started`, `healthy` or `completed`.
    pub condition: ConditionName,
}

/// The condition of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum ConditionName {
    /// The container was started.
    Started,
    /// It is healthy.
    Healthy,
    /// It ended with exit code 0.
    Completed,
    /// The same as `started`.
    ServiceStarted,
    /// The same as `healthy`.
    ServiceHealthy,
    /// The same as `completed`.
    ServiceCompletedSuccessfully,
}

/// CPU, memory and process limits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// CPUs, for example `0.5`.
    pub cpu: Option<Cpus>,
    /// Memory; a bare number is megabytes.
    pub memory: Option<Megabytes>,
    /// Memory that the container keeps when the host runs short of memory; a bare number is megabytes.
    pub memory_reservation: Option<Megabytes>,
    /// Memory plus swap; a bare number is megabytes, `-1` is unlimited swap.
    pub memory_swap: Option<Swap>,
    /// Number of processes and threads.
    #[schemars(range(min = 1))]
    pub pids: Option<u64>,
    /// CPUs by number: `"0-2,4"`.
    pub cpuset: Option<Cpuset>,
    /// Relative weight of CPU time; Docker's default is 1024.
    #[schemars(range(min = 2, max = 262144))]
    pub cpu_shares: Option<u64>,
    /// Memory that may be locked; a bare number is bytes, `-1` is no limit.
    pub memlock: Option<Memlock>,
}

/// A limit of the process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UlimitValue {
    /// The same soft and hard limit.
    Both(Limit),
    /// A soft and a hard limit.
    Split(UlimitSpec),
}

/// Soft and hard limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UlimitSpec {
    /// The limit with which the process starts.
    pub soft: Limit,
    /// The maximum to which the process may raise it.
    pub hard: Limit,
}

/// Linux capabilities.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Capabilities {
    /// To add.
    Add(Vec<Capability>),
    /// To add and to drop.
    Split(CapabilitySpec),
}

/// Linux capabilities to add and to drop.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapabilitySpec {
    /// To add.
    pub add: Option<Vec<Capability>>,
    /// To drop.
    pub drop: Option<Vec<Capability>>,
}

/// Log driver and its options.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "driver"))]
pub struct Logging {
    /// `json-file`, `local`, `journald`, …; default `json-file`.
    pub driver: Option<Text>,
    /// Options of the driver.
    pub options: Option<BTreeMap<String, Text>>,
}
