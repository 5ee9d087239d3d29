//! What a daemon is made of, from its settings file and what the command line says instead.

use super::run::Config;
use super::timing::Orchestrator;
use crate::engine::{Credentials as Logins, Engine, EngineError};
use crate::manifest::DaemonConfig;
use crate::manifest::raw::daemon::{KeeperPolicy, Orchestrator as RawOrchestrator, Poll};
use crate::manifest::raw::text::Text;
use crate::model::{RealTime, RtPolicy};
use crate::process::config;
use crate::source::{Credentials, Source, SourceConfig, SourceError};
use crate::wire::{Tls, TlsError, TlsFiles};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time between two reconciles when nothing happens.
const RESYNC: Duration = Duration::from_secs(60);
/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Options of the command line that take precedence over the settings file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The engine's address.
    pub engine: Option<String>,
    /// The state folder.
    pub state_dir: Option<PathBuf>,
    /// The socket of the API.
    pub socket: Option<PathBuf>,
}

impl Overrides {
    /// The state folder: the override, else the setting, else the default.
    pub fn state_dir(&self, settings: Option<&DaemonConfig>) -> PathBuf {
        let set = settings.and_then(|settings| settings.state_dir.as_ref()).map(|path| PathBuf::from(&path.0));
        self.state_dir.clone().or(set).unwrap_or_else(config::state_dir)
    }

    /// The engine's address, likewise; `None` is the default.
    pub fn endpoint(&self, settings: Option<&DaemonConfig>) -> Option<String> {
        let engine = settings.and_then(|settings| settings.engine.as_ref());
        let set = engine.and_then(|engine| engine.endpoint.as_ref()).map(|text| text.0.clone());
        self.engine.clone().or(set)
    }
}

/// A daemon cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The repo cannot be opened.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The engine's address is of a kind that is not spoken.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// The certificates of the task protocol cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Not all of the certificates are named.
    #[error("`orchestrator` has only some of its TLS settings")]
    PartOfTls,
    /// A secret is not where the settings say.
    #[error("the environment variable {name} is not set")]
    Variable {
        /// Its name, unless that may be the secret itself.
        name: String,
    },
}

impl From<SourceError> for SettingsError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl From<EngineError> for SettingsError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl SettingsError {
    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PartOfTls => Some("give `tls-cert`, `tls-key` and `tls-ca`, or none of them"),
            Self::Variable { .. } => {
                Some("the daemon's settings refer to this variable for a secret; set it in the daemon's environment")
            }
            Self::Source(_) | Self::Engine(_) | Self::Tls(_) => None,
        }
    }
}

impl Config {
    /// A daemon as its settings say. Opens the repo's address and the engine's; an engine that is away is waited for later.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn new(settings: &DaemonConfig, overrides: &Overrides) -> Result<Self, SettingsError> {
        let state_dir = overrides.state_dir(Some(settings));
        let socket = settings.socket.as_ref().map(|path| PathBuf::from(&path.0));
        let socket = overrides.socket.clone().or(socket);
        let engine = Engine::at(overrides.endpoint(Some(settings)).as_deref())?;
        let logins = Logins::new(|name| config::env(name).map(SecretString::from));
        Ok(Self {
            source: Source::open(source_config(settings, &state_dir)?)?,
            engine: engine.with_credentials(logins),
            socket: socket.unwrap_or_else(|| config::socket_path(&state_dir)),
            state_dir,
            resync: settings.resync.as_ref().map_or(RESYNC, |time| time.0),
            shutdown: settings.shutdown_timeout.as_ref().map_or(SHUTDOWN, |time| time.0),
            orchestrator: orchestrator(settings.orchestrator.clone().unwrap_or_default())?,
            adopt: settings.repo.adopt.unwrap_or(false),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// How runs are conducted.
///
/// # Errors
/// When certificates are missing or cannot be used.
pub fn orchestrator(raw: RawOrchestrator) -> Result<Orchestrator, SettingsError> {
    let priority = raw.priority.unwrap_or(50);
    let policy = match raw.policy {
        None | Some(KeeperPolicy::None) => RtPolicy::Other,
        Some(KeeperPolicy::Fifo) => RtPolicy::Fifo { priority },
        Some(KeeperPolicy::Rr) => RtPolicy::RoundRobin { priority },
    };
    let path = |text: Option<Text>| text.map(|text| PathBuf::from(text.0));
    let tls = match [raw.tls_cert, raw.tls_key, raw.tls_ca].map(path) {
        [None, None, None] => None,
        [Some(cert), Some(key), Some(ca)] => Some(Tls::load(&TlsFiles { cert, key, ca })?),
        _ => return Err(SettingsError::PartOfTls),
    };
    Ok(Orchestrator {
        listen: raw.listen.map(|address| address.0),
        real_time: RealTime { policy, cpu: raw.cpu_affinity },
        lock_memory: raw.lock_memory.unwrap_or(false),
        tls,
    })
}

/// Where the repo is and how it is read.
///
/// # Errors
/// When the address is of a kind that is not spoken, or a secret is not where the settings say.
pub fn source_config(settings: &DaemonConfig, state_dir: &Path) -> Result<SourceConfig, SettingsError> {
    let repo = &settings.repo;
    let mut source = SourceConfig::new(&repo.url.0)?;
    source.reference = repo.branch.as_ref().or(repo.tag.as_ref()).map(|name| name.0.clone());
    source.fetch_timeout = repo.fetch_timeout.as_ref().map_or(source.fetch_timeout, |time| time.0);
    source.path = repo.path.as_ref().map(|path| path.0.clone()).unwrap_or_default();
    source.cache_dir = state_dir.join("repos");
    match &repo.poll {
        Some(Poll::Interval(interval)) => source.poll = interval.0,
        Some(Poll::Full(spec)) => {
            source.poll = spec.interval.as_ref().map_or(source.poll, |interval| interval.0);
            source.jitter = spec.jitter.as_ref().map_or(source.jitter, |share| f64::from(share.0) / 100.0);
        }
        None => {}
    }
    source.credentials = credentials(settings)?;
    Ok(source)
}

/// Reads the secrets that the settings name from where they are kept.
fn credentials(settings: &DaemonConfig) -> Result<Credentials, SettingsError> {
    let https = settings.repo.https.clone().unwrap_or_default();
    let ssh = settings.repo.ssh.clone().unwrap_or_default();
    let path = |text: &Text| PathBuf::from(&text.0);
    let named = |variable: &Text| {
        config::env(&variable.0).map(SecretString::from).ok_or_else(|| {
            // A text that does not look like the name of a variable may be the secret itself.
            let usual = variable.0.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            let name =
                if usual { variable.0.as_str() } else { "named in the settings (not shown: it may be a secret)" };
            SettingsError::Variable { name: name.to_owned() }
        })
    };
    let home = config::env("HOME").map(PathBuf::from);
    Ok(Credentials {
        token: https.token_env.as_ref().map(named).transpose()?,
        token_file: https.token_file.as_ref().map(path),
        username: https.username.as_ref().map(|name| name.0.clone()),
        use_agent: ssh.key.is_none(),
        ssh_key: ssh.key.as_ref().map(path),
        ssh_passphrase: ssh.passphrase_env.as_ref().map(named).transpose()?,
        known_hosts: ssh.known_hosts.as_ref().map(path).or_else(|| home.map(|home| home.join(".ssh/known_hosts"))),
        ca_file: https.ca_file.as_ref().map(path),
    })
}
