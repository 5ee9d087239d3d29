//! A container's settings as a sorted list of named values, which is how they are compared and shown.

use super::quantity::{cpus_text, duration_text, size_text};
use super::spec::{ContainerSpec, PortBinding};
use super::text::{
    attachment_text, config_text, healthcheck_text, mount_text, pairs_text, restart_text, swap_text, ulimit_text,
    words_text,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// What a container can differ in: each variant is the key of the deployment file that sets it. The order is the order in which
/// differences are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Running, paused, exited; healthy or not. Never set by a file: it is what the host made of the container.
    State,
    Name,
    Image,
    Entrypoint,
    Command,
    Env,
    Config,
    Port,
    Volume,
    Network,
    NetworkMode,
    Restart,
    Cpu,
    Memory,
    MemoryReservation,
    MemorySwap,
    Pids,
    Cpuset,
    CpuShares,
    Ulimit,
    Healthcheck,
    /// The health check that Setpoint makes itself (`http`, `tcp` of `healthcheck`). No engine knows of it.
    Probe,
    User,
    WorkingDir,
    Hostname,
    Domainname,
    Label,
    CapAdd,
    CapDrop,
    SecurityOpt,
    Privileged,
    ReadOnly,
    Init,
    Tty,
    StdinOpen,
    Device,
    Sysctl,
    StopSignal,
    StopGrace,
    Logging,
    ExtraHost,
    Dns,
    DnsSearch,
    DnsOption,
    GroupAdd,
    PidMode,
    IpcMode,
    ShmSize,
}

/// What it takes to change a field of a running container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The engine changes it while the container runs.
    InPlace,
    /// The container is started, unpaused or restarted; it stays the same container.
    Restart,
    /// A new container takes its place.
    Recreate,
}

impl FieldKind {
    /// The name as it stands in labels, plans and JSON: the key of the deployment file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "container_name",
            Self::Image => "image",
            Self::Entrypoint => "entrypoint",
            Self::Command => "command",
            Self::Env => "env",
            Self::Config => "config",
            Self::Port => "port",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::NetworkMode => "network_mode",
            Self::Restart => "restart",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::MemoryReservation => "memory_reservation",
            Self::MemorySwap => "memory_swap",
            Self::Pids => "pids",
            Self::Cpuset => "cpuset",
            Self::CpuShares => "cpu_shares",
            Self::Ulimit => "ulimit",
            Self::Healthcheck => "healthcheck",
            Self::Probe => "probe",
            Self::User => "user",
            Self::WorkingDir => "working_dir",
            Self::Hostname => "hostname",
            Self::Domainname => "domainname",
            Self::Label => "label",
            Self::CapAdd => "cap_add",
            Self::CapDrop => "cap_drop",
            Self::SecurityOpt => "security_opt",
            Self::Privileged => "privileged",
            Self::ReadOnly => "read_only",
            Self::Init => "init",
            Self::Tty => "tty",
            Self::StdinOpen => "stdin_open",
            Self::Device => "device",
            Self::Sysctl => "sysctl",
            Self::StopSignal => "stop_signal",
            Self::StopGrace => "stop_grace_period",
            Self::Logging => "logging",
            Self::ExtraHost => "extra_hosts",
            Self::Dns => "dns",
            Self::DnsSearch => "dns_search",
            Self::DnsOption => "dns_options",
            Self::GroupAdd => "group_add",
            Self::PidMode => "pid",
            Self::IpcMode => "ipc",
            Self::ShmSize => "shm_size",
        }
    }

    /// What the engine needs to change it (Docker: `POST /containers/{id}/update`, `/rename`, network connect).
    pub fn change(self) -> Change {
        match self {
            Self::Name
            | Self::Network
            | Self::Probe
            | Self::Restart
            | Self::Cpu
            | Self::Memory
            | Self::MemoryReservation
            | Self::MemorySwap
            | Self::Pids
            | Self::Cpuset
            | Self::CpuShares => Change::InPlace,
            Self::State => Change::Restart,
            _ => Change::Recreate,
        }
    }

    /// Whether the image may set it too, so that an absent value means «the image's».
    pub fn from_image(self) -> bool {
        matches!(
            self,
            Self::Entrypoint
                | Self::Command
                | Self::Env
                | Self::Label
                | Self::User
                | Self::WorkingDir
                | Self::StopSignal
                | Self::Healthcheck
        )
    }
}

/// One comparable setting: a kind, and for the kinds that are maps or sets the key within it (`env LOG_LEVEL`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    /// Which setting.
    pub kind: FieldKind,
    /// The key within it, empty for a single value.
    pub key: String,
}

impl Field {
    /// A single value.
    pub fn one(kind: FieldKind) -> Self {
        Self { kind, key: String::new() }
    }

    /// An entry of a map or set.
    pub fn of(kind: FieldKind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into() }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.pad(self.kind.as_str())
        } else {
            f.pad(&format!("{} {}", self.kind.as_str(), self.key))
        }
    }
}

/// Settings by field, in the order in which they are shown; the value is exact and readable.
pub type Fields = BTreeMap<Field, String>;

/// A short digest of a value, to remember what was applied without keeping the value (twelve hexadecimal digits).
pub fn digest(value: &str) -> String {
    let [a, b, c, d, e, f, ..] = <[u8; 32]>::from(Sha256::digest(value.as_bytes()));
    format!("{:012x}", u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

impl ContainerSpec {
    /// Every setting that is not the default, as comparable text. Two specs are equal exactly when their fields are.
    pub fn fields(&self) -> Fields {
        use FieldKind as K;
        let mut out = Out(Fields::new());
        out.one(K::Image, Some(self.image.clone()));
        out.one(K::Entrypoint, self.entrypoint.as_ref().map(|words| words_text(words)));
        out.one(K::Command, self.command.as_ref().map(|words| words_text(words)));
        out.map(K::Env, &self.env, Clone::clone);
        out.map(K::Label, &self.labels, Clone::clone);
        out.one(K::User, self.user.clone());
        out.one(K::WorkingDir, self.working_dir.clone());
        out.one(K::Hostname, self.hostname.clone());
        out.one(K::Domainname, self.domainname.clone());
        for port in &self.ports {
            out.port(port);
        }
        out.map(K::Volume, &self.mounts, mount_text);
        out.map(K::Config, &self.configs, config_text);
        for (name, attachment) in &self.networks {
            // Docker adds the host name to the aliases by itself, so that it says nothing there.
            let mut attachment = attachment.clone();
            if let Some(hostname) = &self.hostname {
                attachment.aliases.remove(hostname);
            }
            out.of(K::Network, name, attachment_text(&attachment));
        }
        out.one(K::NetworkMode, self.network_mode.clone());
        out.one(K::Restart, Some(restart_text(self.restart)));
        out.one(K::Cpu, self.resources.nano_cpus.map(cpus_text));
        out.one(K::Memory, self.resources.memory.map(size_text));
        out.one(K::MemoryReservation, self.resources.memory_reservation.map(size_text));
        out.one(K::MemorySwap, self.resources.own_swap().map(swap_text));
        out.one(K::Pids, self.resources.pids.map(|count| count.to_string()));
        out.one(K::Cpuset, self.resources.cpuset.clone());
        out.one(K::CpuShares, self.resources.cpu_shares.map(|share| share.to_string()));
        out.map(K::Ulimit, &self.ulimits, ulimit_text);
        for device in &self.devices {
            out.of(K::Device, &device.container, format!("{} {}", device.host, device.permissions));
        }
        out.map(K::Sysctl, &self.sysctls, Clone::clone);
        out.set(K::CapAdd, &self.cap_add);
        out.set(K::CapDrop, &self.cap_drop);
        out.set(K::SecurityOpt, &self.security_opt);
        out.flag(K::Privileged, self.privileged);
        out.flag(K::ReadOnly, self.read_only);
        out.flag(K::Init, self.init);
        out.flag(K::Tty, self.tty);
        out.flag(K::StdinOpen, self.stdin_open);
        out.one(K::StopSignal, self.stop_signal.clone());
        out.one(K::StopGrace, self.stop_grace.map(duration_text));
        out.one(K::Logging, self.logging.as_ref().map(|logging| pairs_text(&logging.driver, &logging.options)));
        out.set(K::ExtraHost, &self.extra_hosts);
        out.list(K::Dns, &self.dns);
        out.list(K::DnsSearch, &self.dns_search);
        out.list(K::DnsOption, &self.dns_options);
        out.set(K::GroupAdd, &self.group_add);
        out.one(K::PidMode, self.pid_mode.clone());
        out.one(K::IpcMode, self.ipc_mode.clone());
        out.one(K::ShmSize, self.shm_size.map(size_text));
        out.one(K::Healthcheck, self.healthcheck.as_ref().map(healthcheck_text));
        out.0
    }
}

/// Collects fields; one method for each shape of setting.
struct Out(Fields);

impl Out {
    fn one(&mut self, kind: FieldKind, value: Option<String>) {
        if let Some(value) = value {
            self.0.insert(Field::one(kind), value);
        }
    }

    fn of(&mut self, kind: FieldKind, key: &str, value: String) {
        self.0.insert(Field::of(kind, key), value);
    }

    fn map<V>(&mut self, kind: FieldKind, map: &BTreeMap<String, V>, text: impl Fn(&V) -> String) {
        for (key, value) in map {
            self.of(kind, key, text(value));
        }
    }

    fn set<'a>(&mut self, kind: FieldKind, set: impl IntoIterator<Item = &'a String>) {
        for key in set {
            self.of(kind, key, "set".to_owned());
        }
    }

    fn list(&mut self, kind: FieldKind, list: &[String]) {
        self.one(kind, (!list.is_empty()).then(|| list.join(", ")));
    }

    fn flag(&mut self, kind: FieldKind, set: bool) {
        self.one(kind, set.then(|| "true".to_owned()));
    }

    /// One container port may be published several times, so host address and port are part of the value.
    fn port(&mut self, port: &PortBinding) {
        let host_port = port.host_port.map_or_else(|| "any".to_owned(), |number| number.to_string());
        let host = match &port.host_ip {
            Some(ip) => format!("{ip}:{host_port}"),
            None => host_port,
        };
        let field = Field::of(FieldKind::Port, format!("{}/{}", port.container_port, port.protocol.as_str()));
        let value = self.0.entry(field).or_default();
        if !value.is_empty() {
            value.push_str(", ");
        }
        value.push_str(&host);
    }
}

impl ContainerSpec {
    /// The containers whose namespaces it shares (`container:<name>`), each with the field that says so.
    pub fn joined(&self) -> impl Iterator<Item = (FieldKind, &str)> {
        let modes = [
            (FieldKind::NetworkMode, &self.network_mode),
            (FieldKind::PidMode, &self.pid_mode),
            (FieldKind::IpcMode, &self.ipc_mode),
        ];
        modes.into_iter().filter_map(|(kind, mode)| Some((kind, mode.as_deref()?.strip_prefix("container:")?)))
    }
}
