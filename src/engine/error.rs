//! The errors of an engine, one variant for each operation that can fail.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

/// A failed engine call. Its text names the operation and the object; the cause is its source.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "`{endpoint}` is not a supported engine address: write unix:///path, tcp://host:port or http://host:port. For an engine behind ssh or TLS forward its socket: `ssh -nNT -L /run/user/1000/engine.sock:/var/run/docker.sock HOST`"
    )]
    Endpoint { endpoint: String },
    #[error(
        "DOCKER_TLS_VERIFY requests TLS for {endpoint}. Setpoint does not support TLS to an engine, and does not connect without it. Forward the engine's socket (`ssh -nNT -L /run/user/1000/engine.sock:/var/run/docker.sock HOST`) and use that address, or unset DOCKER_TLS_VERIFY if the endpoint does not use TLS"
    )]
    Tls { endpoint: String },
    #[error(
        "DOCKER_CONTEXT={context}: contexts of the `docker` command are not read; name the engine's address with --engine, \
         DOCKER_HOST or `engine endpoint=…` in daemon.kdl (`docker context inspect {context}` shows it)"
    )]
    Context { context: String },
    #[error(
        "the engine at {endpoint} supports API versions {} to {}, but this setpoint supports only {ours} and older; use a newer setpoint",
        .range[0], .range[1]
    )]
    Version { endpoint: String, range: [String; 2], ours: String },
    #[error("cannot reach the Docker engine at {endpoint}")]
    Connect { endpoint: String, source: Cause },
    #[error("cannot read the engine's settings")]
    Info { source: Cause },
    /// A health check has no way from here to the container; nothing is known of its health.
    #[error("{why}")]
    CheckUnreachable { why: String },
    #[error("cannot list {what}")]
    List { what: &'static str, source: Cause },
    #[error("cannot inspect {what}")]
    Inspect { what: String, source: Cause },
    #[error("cannot create container {name}")]
    CreateContainer { name: String, source: Cause },
    #[error("cannot start container {name}")]
    StartContainer { name: String, source: Cause },
    #[error("cannot stop container {name}")]
    StopContainer { name: String, source: Cause },
    #[error("cannot restart container {name}")]
    RestartContainer { name: String, source: Cause },
    #[error("cannot remove container {name}")]
    RemoveContainer { name: String, source: Cause },
    #[error("cannot rename container {name} to {to}")]
    RenameContainer { name: String, to: String, source: Cause },
    #[error("cannot change the limits of container {name}")]
    UpdateContainer { name: String, source: Cause },
    /// A limit cannot be removed while the container stays the same.
    #[error("the engine cannot remove {} of container {name} in place; the container must be recreated", .limits.join(", "))]
    LiftLimits { name: String, limits: Vec<&'static str> },
    #[error("cannot unpause container {name}")]
    UnpauseContainer { name: String, source: Cause },
    #[error("cannot send {signal} to container {name}")]
    SignalContainer { name: String, signal: String, source: Cause },
    #[error("cannot write {path} into container {name}")]
    WriteFile { name: String, path: String, source: Cause },
    #[error("cannot pack {path} for container {name}")]
    PackFile { name: String, path: String, source: std::io::Error },
    #[error("cannot read the log of container {name}")]
    ReadLog { name: String, source: Cause },
    #[error("cannot create network {name}")]
    CreateNetwork { name: String, source: Cause },
    #[error("cannot remove network {name}")]
    RemoveNetwork { name: String, source: Cause },
    #[error("cannot connect container {container} to network {network}")]
    ConnectNetwork { container: String, network: String, source: Cause },
    #[error("cannot disconnect container {container} from network {network}")]
    DisconnectNetwork { container: String, network: String, source: Cause },
    #[error("cannot create volume {name}")]
    CreateVolume { name: String, source: Cause },
    #[error("cannot pull {reference}")]
    Pull { reference: String, source: Cause },
    #[error("cannot push {reference}")]
    Push { reference: String, source: Cause },
    /// An image was not built; with the last lines of the step that failed.
    #[error("cannot build {reference}{}", build_output(.output))]
    Build { reference: String, output: Vec<String>, source: Cause },
    /// A build was requested without its files.
    #[error("cannot build {reference}: the build context is missing")]
    BuildContext { reference: String },
    #[error("cannot tag {reference} as {tag}")]
    Tag { reference: String, tag: String, source: Cause },
    #[error("cannot remove the image name {reference}")]
    RemoveTag { reference: String, source: Cause },
    #[error("cannot remove volume {name}")]
    RemoveVolume { name: String, source: Cause },
    #[error("cannot read {path} of image {image}")]
    ReadFile { image: String, path: String, source: Cause },
    /// There is no login for a registry for which the files configure one.
    #[error("no login for registry {registry}: {reason}")]
    Credentials { registry: String, reason: String },
}

fn build_output(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; output of the last step:\n  {}", lines.join("\n  ")) }
}

/// Why an engine did not do what it was asked, in its own words or in those of the connection.
#[derive(Debug)]
pub struct Cause {
    kind: CauseKind,
    error: Box<dyn Error + Send + Sync>,
}

/// What is known of a cause whatever the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// The engine was not reached, or did not answer in time; with the operating system's reason, if there is one.
    Unreachable(Option<ErrorKind>),
    /// The engine refused the call with this HTTP status.
    Refused(u16),
    /// The engine refused the call because it no longer supports this version of its API.
    OtherVersion,
    /// Any other error.
    Other,
}

impl Cause {
    /// A cause of a kind.
    pub fn new(kind: CauseKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, error: error.into() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl EngineError {
    fn cause(&self) -> Option<&Cause> {
        Error::source(self)?.downcast_ref::<Cause>()
    }

    fn kind(&self) -> Option<CauseKind> {
        self.cause().map(|cause| cause.kind)
    }

    /// The HTTP status with which the engine refused, when it answered at all.
    pub fn status(&self) -> Option<u16> {
        match self.kind()? {
            CauseKind::Refused(status) => Some(status),
            CauseKind::OtherVersion => Some(400),
            CauseKind::Unreachable(_) | CauseKind::Other => None,
        }
    }

    /// Whether the same call may succeed a moment later without anybody changing anything: the engine was not reached,
    /// did not answer in time or was overloaded.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), Some(CauseKind::Unreachable(_) | CauseKind::Refused(429 | 502..=504)))
    }

    /// Whether the engine refuses the version that is spoken: it was exchanged for another since that was agreed on.
    pub fn wants_other_version(&self) -> bool {
        self.kind() == Some(CauseKind::OtherVersion)
    }

    /// What a person can do about it, when that is known.
    pub fn hint(&self) -> Option<&'static str> {
        let cause = self.cause()?;
        match cause.kind {
            CauseKind::Unreachable(Some(ErrorKind::PermissionDenied)) => Some(NOT_ALLOWED),
            CauseKind::Unreachable(Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused)) => Some(NOT_RUNNING),
            CauseKind::Unreachable(_) => None,
            CauseKind::Refused(_) | CauseKind::OtherVersion | CauseKind::Other => {
                let text = cause.to_string();
                HINTS.iter().find(|(words, _)| text.contains(words)).map(|(_, hint)| *hint)
            }
        }
    }
}

const NOT_ALLOWED: &str = "this user cannot open the engine's socket; add the user to the group that owns the socket (usermod -aG docker USER) and log in again";
const NOT_RUNNING: &str =
    "the engine is not running or uses another address; start it (systemctl start docker) or set DOCKER_HOST";
const LOG_IN: &str = "log in to the registry: set `password_env` or run `docker login`";
const PORT_TAKEN: &str = "another process or container uses that host port; stop it or choose another port";

/// Words of the engine and what they call for.
const HINTS: &[(&str, &str)] = &[
    ("port is already allocated", PORT_TAKEN),
    ("address already in use", PORT_TAKEN),
    ("No such image", "pull or build the image first, or correct its reference"),
    (
        "active endpoints",
        "containers are still connected to it; if `docker network inspect` shows none, the engine has kept a stale endpoint and must be restarted",
    ),
    (
        "read-only",
        "the engine cannot write a file into a read-only root file system; mount a volume at the file's folder or remove `read_only`",
    ),
    ("no basic auth credentials", LOG_IN),
    ("unauthorized", LOG_IN),
    ("denied", LOG_IN),
    (
        "no space left on device",
        "free space on the disk of the engine's data (`docker system df`, `docker image prune`)",
    ),
    (
        "server gave HTTP response to HTTPS client",
        "the registry speaks plain HTTP; list it under `insecure-registries` in the engine's daemon.json",
    ),
];
