//! Options that several commands have; doc comments are the help.

use super::exit::Failure;
use crate::manifest::raw::units::TaskAddressText;
use crate::model::{DeploymentName, RtPolicy, TaskAddress};
use crate::wire::TlsFiles;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(super) struct Global {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
    /// What to log to stderr: a level, or target=level pairs [default: warn; the daemon: info]
    #[arg(long, global = true, env = "SETPOINT_LOG", hide_env_values = true, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Folder for the database and the clones [default: /var/lib/setpoint, or ~/.local/state/setpoint for a user]
    #[arg(long, global = true, env = "SETPOINT_STATE_DIR", hide_env_values = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Socket of the daemon [default: setpoint.sock in the state folder]
    #[arg(long, global = true, env = "SETPOINT_SOCKET", hide_env_values = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Docker Engine to use [default: DOCKER_HOST, or /var/run/docker.sock]
    #[arg(long, global = true, env = "SETPOINT_ENGINE", hide_env_values = true, value_name = "ENDPOINT")]
    pub(super) engine: Option<String>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// Which files to read.
#[derive(Clone, Debug, Args)]
pub(super) struct RepoArgs {
    /// Config repo: a path or an address [default: the git repo around the current folder]
    #[arg(long, env = "SETPOINT_REPO", hide_env_values = true, value_name = "REPO")]
    pub(super) repo: Option<String>,
    /// Commit, branch or tag [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(super) rev: Option<String>,
    /// Folder of the repo that contains the files [default: its root]
    #[arg(long, default_value = "", value_name = "DIR")]
    pub(super) path: String,
    #[command(flatten)]
    pub(super) login: LoginArgs,
}

/// How to log in to a remote repo. Secrets come from the environment or a file, never from an argument.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access to a remote repo")]
pub(super) struct LoginArgs {
    /// Environment variable that contains the token for https
    #[arg(long, default_value = "SETPOINT_GIT_TOKEN", value_name = "NAME")]
    pub(super) token_env: String,
    /// User name for https
    #[arg(long, value_name = "NAME")]
    pub(super) git_user: Option<String>,
    /// Certificates to trust for https (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Private key for ssh [default: the ssh agent]
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_key: Option<PathBuf>,
    /// Environment variable that contains the passphrase of that key
    #[arg(long, default_value = "SETPOINT_SSH_PASSPHRASE", value_name = "NAME")]
    pub(super) ssh_passphrase_env: String,
    /// Host keys to accept for ssh [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    pub(super) known_hosts: Option<PathBuf>,
}

/// Selects the environment if no repo is given.
#[derive(Clone, Debug, Args)]
pub(super) struct EnvironmentArgs {
    /// Environment, as named in setpoint.kdl [default: the only one of this host]
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<String>,
}

/// Certificates for the task protocol.
#[derive(Clone, Debug, Args)]
pub(super) struct TlsArgs {
    /// Certificate of this side (PEM), for addresses with tls://
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_ca"])]
    tls_key: Option<PathBuf>,
    /// CA certificates (PEM), one of which must have signed the peer's certificate
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    tls_ca: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn files(&self) -> Option<TlsFiles> {
        Some(TlsFiles { cert: self.tls_cert.clone()?, key: self.tls_key.clone()?, ca: self.tls_ca.clone()? })
    }
}

/// Scheduling policies that a thread of ours can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PolicyArg {
    /// The default of the machine
    None,
    /// Runs until it waits
    Fifo,
    /// As fifo, but threads of the same priority take turns
    Rr,
    /// A runtime within a deadline in each period; these are given with the start of a task
    Deadline,
}

impl PolicyArg {
    /// The policy at a priority.
    pub(super) fn with(self, priority: u8) -> RtPolicy {
        match self {
            Self::None | Self::Deadline => RtPolicy::Other,
            Self::Fifo => RtPolicy::Fifo { priority },
            Self::Rr => RtPolicy::RoundRobin { priority },
        }
    }
}

/// The address of a task server or orchestrator.
pub(super) fn address(text: &str) -> Result<TaskAddress, Failure> {
    TaskAddressText::try_from(text.to_owned())
        .map(|address| address.0)
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// Parses the name of a deployment.
pub(super) fn parse_deployment(text: &str) -> Result<DeploymentName, String> {
    if text.is_empty() || text.contains('/') {
        return Err("name a deployment, as `setpoint status` shows it".to_owned());
    }
    Ok(DeploymentName::new(text))
}
