//! The settings of one daemon: `daemon.kdl` or `daemon.yaml`, not part of a config repo.

use super::text::Text;
use super::units::{Percent, Seconds, TaskAddressText};
use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of one daemon.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaemonConfig {
    /// The config repo that the daemon follows.
    pub repo: Repo,
    /// The engine that the daemon manages.
    pub engine: Option<Engine>,
    /// Folder for the clone and the database; default `/var/lib/setpoint`.
    pub state_dir: Option<Text>,
    /// Socket of the local API; default `setpoint.sock` in the state folder.
    pub socket: Option<Text>,
    /// How runs of schedules are conducted.
    pub orchestrator: Option<Orchestrator>,
    /// Logging.
    pub log: Option<Log>,
    /// Time between full comparisons when nothing has been reported; a bare number is seconds. Default 60 seconds.
    pub resync: Option<Seconds>,
    /// How long a shutdown may take before the process exits anyway; a bare number is seconds. Default 30 seconds.
    pub shutdown_timeout: Option<Seconds>,
}

/// A config repo.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "url"))]
pub struct Repo {
    /// A path, or an address with `file://`, `https://` or `ssh://`.
    pub url: Text,
    /// The branch to follow; default the one that the server (a repo on this machine: its HEAD) names.
    pub branch: Option<Text>,
    /// The tag to follow; a daemon follows a branch or a tag, not both.
    pub tag: Option<Text>,
    /// The folder of the repo that contains the files; default the root.
    pub path: Option<Text>,
    /// How often a remote repo is polled.
    pub poll: Option<Poll>,
    /// A fetch that makes no progress for this long is aborted; a bare number is seconds. Default 120 seconds.
    pub fetch_timeout: Option<Seconds>,
    /// Take over an environment that was last applied from another repo (a fork, or a repo that was moved); default false.
    pub adopt: Option<bool>,
    /// How to log in over SSH.
    pub ssh: Option<Ssh>,
    /// How to log in over HTTPS.
    pub https: Option<Https>,
}

/// How often a remote repo is polled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Poll {
    /// The interval; a bare number is seconds.
    Interval(Seconds),
    /// An interval with a random part.
    Full(PollSpec),
}

/// How often a remote repo is polled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "interval"))]
pub struct PollSpec {
    /// The interval; a bare number is seconds. Default 60 seconds.
    pub interval: Option<Seconds>,
    /// Random part of the interval; default 10 %.
    pub jitter: Option<Percent>,
}

/// Login over SSH.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Private key; default the keys of the ssh agent.
    pub key: Option<Text>,
    /// Environment variable that contains the key's passphrase.
    pub passphrase_env: Option<Text>,
    /// File of known host keys, which must contain the server's key; default `~/.ssh/known_hosts`.
    pub known_hosts: Option<Text>,
}

/// Login over HTTPS.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Https {
    /// User name; default `git`.
    pub username: Option<Text>,
    /// Environment variable that contains the token.
    pub token_env: Option<Text>,
    /// File that contains the token; read before each fetch.
    pub token_file: Option<Text>,
    /// Certificates (PEM) to trust in addition to the system's.
    pub ca_file: Option<Text>,
}

/// How runs of schedules are conducted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "listen"))]
pub struct Orchestrator {
    /// Where task servers report that a task has ended: `host:port`, `tls://host:port` or `unix:/path`; default port 50050 of the loopback address
    /// and of the engine's bridge.
    pub listen: Option<TaskAddressText>,
    /// Scheduling policy of the timekeeper threads: `none` (default), `fifo` or `rr`.
    pub policy: Option<KeeperPolicy>,
    /// Priority of these threads, from 1 to 99; default 50.
    #[schemars(range(min = 1, max = 99))]
    pub priority: Option<u8>,
    /// The CPU that these threads run on; default any.
    #[schemars(range(min = 0, max = 8191))]
    pub cpu_affinity: Option<u32>,
    /// Prevent the memory of the process from being paged out.
    pub lock_memory: Option<bool>,
    /// Certificate (PEM) of the daemon for addresses with `tls://`, as client and as server.
    pub tls_cert: Option<Text>,
    /// Private key of the certificate (PEM).
    pub tls_key: Option<Text>,
    /// CA certificates (PEM), one of which must have signed the peer's certificate.
    pub tls_ca: Option<Text>,
}

/// Scheduling policies that the threads of the daemon can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeeperPolicy {
    /// The default of the machine.
    None,
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    Rr,
}

/// An engine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "kind"))]
pub struct Engine {
    /// `docker`.
    pub kind: EngineKind,
    /// Address of the engine's API; default `unix:///var/run/docker.sock`.
    pub endpoint: Option<Text>,
}

/// The kind of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The Docker Engine API.
    Docker,
}

/// Logging.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "level"))]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,setpoint::plan=debug`; default `info`.
    pub level: Option<Text>,
    /// `text` or `json`; default `text`.
    pub format: Option<LogFormat>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
