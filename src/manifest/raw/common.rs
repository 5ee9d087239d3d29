//! The keys that services, tasks and the orchestrator share: the settings of a container.

use super::health::Healthcheck;
use super::service::{
    Build, Capabilities, Config, DependsOn, Logging, Networks, PortEntry, PullPolicy, Resources, StartOrder,
    TmpfsEntry, UlimitValue, VolumeEntry,
};
use super::text::{Command, OneOrMany, Pairs, Text};
use super::units::{
    Bytes, Capability, DeviceText, ExtraHost, HostName, ImageName, IpAddress, IpcMode, Name, NetworkMode, PidMode,
    RestartText, Seconds, Signal,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings of a container.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Common {
    /// The image to run; without a tag `:latest`.
    pub image: Option<ImageName>,
    /// When the image is pulled: `missing` (default), `always`, `never`.
    pub pull_policy: Option<PullPolicy>,
    /// Build the image from a folder of this repo.
    pub build: Option<Build>,
    /// Replaces the image's command.
    pub command: Option<Command>,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Command>,
    /// Environment variables.
    pub env: Option<Pairs>,
    /// Files of this repo with lines of `NAME=value`; `env` takes precedence.
    pub env_file: Option<OneOrMany<Text>>,
    /// Published ports: `"8080:80"`, `"127.0.0.1:8080:80/udp"`, ranges, or maps.
    pub ports: Option<Vec<PortEntry>>,
    /// Mounts: `"name:/path[:ro]"`, `"/host/path:/path[:ro]"`, or maps.
    pub volumes: Option<Vec<VolumeEntry>>,
    /// Folders in memory.
    pub tmpfs: Option<OneOrMany<TmpfsEntry>>,
    /// Files of this repo that are placed in the container; a change of their content is a change of the service.
    pub configs: Option<Vec<Config>>,
    /// Networks to join; default the deployment's own.
    pub networks: Option<Networks>,
    /// `host`, `none`, `bridge` or `container:<name>` instead of networks.
    pub network_mode: Option<NetworkMode>,
    /// Labels in addition to the image's.
    pub labels: Option<Pairs>,
    /// What happens when the process ends: `unless-stopped` (default), `always`, `on-failure[:n]`, `no`.
    pub restart: Option<RestartText>,
    /// User and group of the process.
    pub user: Option<Text>,
    /// Working directory.
    pub working_dir: Option<Text>,
    /// Host name inside the container.
    pub hostname: Option<HostName>,
    /// Domain name inside the container.
    pub domainname: Option<HostName>,
    /// Fixed container name; only with one replica.
    pub container_name: Option<Name>,
    /// Services that must be started first.
    pub depends_on: Option<DependsOn>,
    /// Number of containers.
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<u32>,
    /// CPU, memory and process limits.
    pub resources: Option<Resources>,
    /// Limits of the process: a number, or `{soft, hard}`.
    pub ulimits: Option<BTreeMap<String, UlimitValue>>,
    /// Devices of the host.
    pub devices: Option<Vec<DeviceText>>,
    /// Kernel settings of the container's namespaces.
    pub sysctls: Option<Pairs>,
    /// Linux capabilities: a list to add, or `{add, drop}`.
    pub capabilities: Option<Capabilities>,
    /// Linux capabilities to add.
    pub cap_add: Option<Vec<Capability>>,
    /// Linux capabilities to drop.
    pub cap_drop: Option<Vec<Capability>>,
    /// All capabilities and devices.
    pub privileged: Option<bool>,
    /// Make the root file system read-only.
    pub read_only: Option<bool>,
    /// Security options in Docker's form (`seccomp=unconfined`).
    pub security_opt: Option<Vec<Text>>,
    /// How the container's health is checked.
    pub healthcheck: Option<Healthcheck>,
    /// Signal that requests the process to stop.
    pub stop_signal: Option<Signal>,
    /// Time between that signal and SIGKILL.
    pub stop_grace_period: Option<Seconds>,
    /// Log driver and its options.
    pub logging: Option<Logging>,
    /// Run an init process as PID 1.
    pub init: Option<bool>,
    /// Allocate a terminal.
    pub tty: Option<bool>,
    /// Keep stdin open.
    pub stdin_open: Option<bool>,
    /// Lines of `/etc/hosts`: `name:address`.
    pub extra_hosts: Option<ExtraHosts>,
    /// Name servers.
    pub dns: Option<OneOrMany<IpAddress>>,
    /// Search domains.
    pub dns_search: Option<OneOrMany<Text>>,
    /// Resolver options.
    pub dns_options: Option<Vec<Text>>,
    /// Additional groups.
    pub group_add: Option<Vec<Text>>,
    /// PID namespace: `host` or `container:<name>`.
    pub pid: Option<PidMode>,
    /// IPC namespace: `private`, `shareable`, `host`, `none` or `container:<name>`.
    pub ipc: Option<IpcMode>,
    /// Size of `/dev/shm`; a bare number is bytes.
    pub shm_size: Option<Bytes>,
    /// Whether a new container starts before the old one stops: `auto` (default), `start-first`, `stop-first`.
    pub order: Option<StartOrder>,
}

/// Host names and addresses.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExtraHosts {
    /// `name: address`.
    Map(BTreeMap<String, Text>),
    /// `name:address`.
    List(Vec<ExtraHost>),
}
