//! What one container is made of: the one type in which Desired and Observed are compared.
//!
//! `manifest` fills it from files, `engine` from what the engine reports, both already normalised: an absent value means
//! «the image's or the engine's default», whoever wrote it. [`ContainerSpec::fields`] flattens it for comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The settings of one container, apart from its name and its replica number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Image reference as the engine is given it.
    pub image: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment on top of the image's.
    pub env: BTreeMap<String, String>,
    /// Labels on top of the image's; never ours (`dev.setpoint.*`).
    pub labels: BTreeMap<String, String>,
    /// `user`, `uid` or `uid:gid`.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// Domain name inside the container.
    pub domainname: Option<String>,
    /// Published ports.
    pub ports: BTreeSet<PortBinding>,
    /// Volumes, binds and tmpfs by target path.
    pub mounts: BTreeMap<String, Mount>,
    /// Files of the config repo placed into the container, by target path.
    pub configs: BTreeMap<String, ConfigFile>,
    /// Networks by name; empty together with `network_mode: None` means Docker's default bridge.
    pub networks: BTreeMap<String, Attachment>,
    /// `host`, `none` or `container:<name>`; excludes `networks`.
    pub network_mode: Option<String>,
    /// What the engine does by itself when the process ends.
    pub restart: Restart,
    /// CPU, memory and process limits.
    pub resources: Resources,
    /// Resource limits of the process by name (`nofile`, `memlock`, `rtprio`).
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Host devices.
    pub devices: BTreeSet<Device>,
    /// Kernel settings of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Added capabilities, upper case without `CAP_`.
    pub cap_add: BTreeSet<String>,
    /// Dropped capabilities, upper case without `CAP_`.
    pub cap_drop: BTreeSet<String>,
    /// Security options as Docker takes them (`seccomp=unconfined`).
    pub security_opt: BTreeSet<String>,
    /// All capabilities and devices.
    pub privileged: bool,
    /// Root file system read-only.
    pub read_only: bool,
    /// Run an init process as PID 1.
    pub init: bool,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep stdin open.
    pub stdin_open: bool,
    /// Signal that asks the process to stop.
    pub stop_signal: Option<String>,
    /// Time between that signal and SIGKILL (whole seconds).
    pub stop_grace: Option<Duration>,
    /// Log driver and its options.
    pub logging: Option<Logging>,
    /// Lines of /etc/hosts as `name:address`.
    pub extra_hosts: BTreeSet<String>,
    /// Name servers in order.
    pub dns: Vec<String>,
    /// Search domains in order.
    pub dns_search: Vec<String>,
    /// Resolver options in order.
    pub dns_options: Vec<String>,
    /// Additional groups.
    pub group_add: BTreeSet<String>,
    /// PID namespace mode.
    pub pid_mode: Option<String>,
    /// IPC namespace mode.
    pub ipc_mode: Option<String>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// How the engine checks the container's health; absent is the image's.
    pub healthcheck: Option<Healthcheck>,
}

/// Transport of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A container port made reachable on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// Port in the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Host address; absent is every address.
    pub host_ip: Option<String>,
    /// Host port; absent lets the engine choose one.
    pub host_port: Option<u16>,
}

/// Something mounted at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A named volume; its name as the engine knows it.
    Volume {
        /// Name on the engine.
        name: String,
        /// Mounted read-only.
        read_only: bool,
    },
    /// A folder or file of the host.
    Bind {
        /// Absolute path on the host.
        source: String,
        /// Mounted read-only.
        read_only: bool,
        /// Mount propagation when not the default (`rshared`, …).
        propagation: Option<String>,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
    },
}

/// A file of the config repo inside the container. The engine cannot report its content, so its digest is compared with
/// what was last applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Path in the config repo.
    pub source: String,
    /// Git's id of the content.
    pub oid: String,
    /// The bytes.
    pub content: Arc<[u8]>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What a change of the content leads to.
    pub on_change: OnChange,
}

/// What a changed config file does to the running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// A new container.
    Recreate,
    /// The file is replaced and the container restarted.
    Restart,
    /// The file is replaced and this signal sent.
    Signal(String),
    /// The file is replaced; the process notices by itself.
    Nothing,
}

/// How a container takes part in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Names it answers to, apart from its own.
    pub aliases: BTreeSet<String>,
    /// Fixed IPv4 address.
    pub ipv4: Option<String>,
    /// Fixed IPv6 address.
    pub ipv6: Option<String>,
}

/// The engine's own restart policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Always, also when the engine starts.
    Always,
    /// Always, unless it was stopped by hand.
    UnlessStopped,
    /// After a non-zero exit code, at most so many times (0: no bound).
    OnFailure(u32),
}

/// CPU, memory and process limits; absent means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Soft limit in bytes.
    pub memory_reservation: Option<u64>,
    /// Memory and swap in bytes; −1 is unlimited swap.
    pub memory_swap: Option<i64>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
    /// CPUs that may be used (`0-2,4`).
    pub cpuset: Option<String>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
}

/// Soft and hard limit; −1 is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// What the process starts with.
    pub soft: i64,
    /// What it may raise it to.
    pub hard: i64,
}

/// A device of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// Path on the host.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// `r`, `w`, `m`.
    pub permissions: String,
}

/// Log driver and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// `json-file`, `local`, `journald`, `loki`, …
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A health check that the engine runs inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// What is run.
    pub test: Test,
    /// Time between checks; absent is the image's or the engine's (30 s).
    pub interval: Option<Duration>,
    /// Bound on one check; absent is the image's or the engine's (30 s).
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy; absent is the image's or the engine's (3).
    pub retries: Option<u32>,
    /// Failures within this time after the start do not count.
    pub start_period: Option<Duration>,
}

/// What a health check runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The image's own check is switched off.
    Disabled,
    /// The image's own command, with other timings.
    Inherit,
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
}

/// A health check that setpoint makes from outside, for images without a shell: the container's address is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `None` opens a TCP connection; `Some` asks this HTTP path and takes 200–399 for healthy.
    pub http_path: Option<String>,
    /// Port in the container.
    pub port: u16,
    /// Time between checks.
    pub interval: Duration,
    /// Bound on one check.
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Failures within this time after the start do not count.
    pub start_period: Duration,
}

impl Resources {
    /// Memory and swap, unless it is what Docker takes by itself: twice the memory.
    pub fn own_swap(&self) -> Option<i64> {
        let usual = self.memory.and_then(|bytes| i64::try_from(bytes).ok()?.checked_mul(2));
        self.memory_swap.filter(|bytes| Some(*bytes) != usual)
    }
}

/// Whether the engine can go from one set of limits to the other while the container runs; see [`lifted_limits`].
pub fn limits_in_place(old: &Resources, new: &Resources) -> bool {
    lifted_limits(old, new).is_empty()
}

/// The limits that the engine cannot lift while the container runs. Docker's update call takes an absent value for «leave
/// as it is», so a limit can be set and changed in place, but not lifted. Two exceptions: the number of processes has a
/// value for «no limit», and swap goes back to its default as long as memory has a limit. And one trap: Docker notes
/// unlimited swap and does not tell the kernel.
pub fn lifted_limits(old: &Resources, new: &Resources) -> Vec<&'static str> {
    let swap_default = old.memory_swap.is_some() && new.memory_swap.is_none() && new.memory.is_none();
    let swap_unlimited = new.memory_swap == Some(-1) && old.memory_swap != Some(-1) && old.memory.is_some();
    [
        ("cpu", old.nano_cpus.is_some() && new.nano_cpus.is_none()),
        ("memory", old.memory.is_some() && new.memory.is_none()),
        ("memory_reservation", old.memory_reservation.is_some() && new.memory_reservation.is_none()),
        ("memory_swap", swap_default || swap_unlimited),
        ("cpuset", old.cpuset.is_some() && new.cpuset.is_none()),
        ("cpu_shares", old.cpu_shares.is_some() && new.cpu_shares.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, lifted)| lifted.then_some(name))
    .collect()
}
