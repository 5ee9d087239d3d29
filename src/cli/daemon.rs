//! `setpoint daemon` and `setpoint poke`

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::{Client, Socket, serve};
use crate::daemon::timing::Orchestrator;
use crate::daemon::{Config, Daemon};
use crate::engine::docker::{Credentials as Logins, Docker};
use crate::manifest::raw::daemon::{KeeperPolicy, LogFormat, Orchestrator as RawOrchestrator, Poll};
use crate::manifest::raw::text::Text;
use crate::manifest::{self, DaemonConfig};
use crate::model::{RealTime, RtPolicy};
use crate::process::shutdown::Signals;
use crate::process::supervise::chain;
use crate::process::{config, telemetry};
use crate::source::{Credentials, Source, SourceConfig};
use crate::wire::{Tls, TlsFiles};
use clap::Args;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks although nothing happened.
const RESYNC: Duration = Duration::from_secs(60);
/// How long a stop may take.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Keep this host as a repo wants it: follow commits, repair what the host changes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint daemon --config /etc/setpoint/daemon.kdl
  setpoint status                  what it does, from another terminal

daemon.kdl:
  repo \"ssh://git@git.example.org/infra.git\" branch=\"main\" {
      poll \"60s\"
      ssh key=\"/etc/setpoint/deploy_key\" known-hosts=\"/etc/setpoint/known_hosts\"
  }
  state-dir \"/var/lib/setpoint\"
  log level=\"info\" format=\"json\"")]
pub(super) struct DaemonArgs {
    /// Its settings (KDL or YAML)
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

/// Tell the daemon to look at the repo now, as a hook of a git server does
#[derive(Debug, Args)]
pub(super) struct PokeArgs {}

/// Reads and checks the settings of a daemon.
pub(super) fn settings(path: &Path) -> Result<DaemonConfig, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("{name} cannot be read: {error}")).hint("`setpoint daemon --help` shows one")
    })?;
    Ok(manifest::daemon_config(&name, &text)?)
}

pub(super) async fn run(session: &Session, args: &DaemonArgs) -> Result<Exit, Failure> {
    let settings = settings(&args.config)?;
    start_logs(session, &settings)?;
    let state_dir = session.global.state_dir.clone();
    let state_dir = state_dir.or_else(|| settings.state_dir.as_ref().map(|dir| PathBuf::from(&dir.0)));
    let state_dir = state_dir.unwrap_or_else(config::state_dir);
    let socket = session.global.socket.clone();
    let socket = socket.or_else(|| settings.socket.as_ref().map(|path| PathBuf::from(&path.0)));
    let socket = socket.unwrap_or_else(|| config::socket_path(&state_dir));

    let source = Source::open(source_config(&settings, &state_dir)?)?;
    let endpoint = settings.engine.as_ref().and_then(|engine| engine.endpoint.as_ref()).map(|text| text.0.as_str());
    // One that is away is waited for, as one that goes away later is.
    let docker = Docker::at(session.global.engine.as_deref().or(endpoint))?;
    let logins = Logins::new(|name| config::env(name).map(SecretString::from));
    let daemon = Daemon::new(Config {
        source,
        docker: docker.with_credentials(logins),
        state_dir,
        resync: settings.resync.as_ref().map_or(RESYNC, |time| time.0),
        shutdown: settings.shutdown_timeout.as_ref().map_or(SHUTDOWN, |time| time.0),
        orchestrator: orchestrator(settings.orchestrator.clone().unwrap_or_default())?,
        adopt: settings.repo.adopt.unwrap_or(false),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
    .map_err(|error| Failure::new(chain(&error)))?;
    let socket = Socket::bind(&socket).map_err(|error| Failure::new(chain(&error)))?;
    let signals = Signals::catch()?;
    let stop = CancellationToken::new();
    let work = daemon.run(stop.clone(), |handle, stop| serve(socket, handle, stop));
    // Dropping `drive` loses nothing: it only waits for signals. `work` is never dropped before its end.
    tokio::select! {
        end = work => end.map_err(|error| Failure::new(chain(&error)))?,
        never = signals.drive(stop.clone()) => match never {},
    }
    Ok(Exit::Ok)
}

/// The certificates of the task protocol.
pub(super) fn loaded(files: &TlsFiles) -> Result<Tls, Failure> {
    Tls::load(files).map_err(|error| Failure::new(chain(&error)))
}

/// How runs are conducted.
pub(super) fn orchestrator(raw: RawOrchestrator) -> Result<Orchestrator, Failure> {
    let priority = raw.priority.unwrap_or(50);
    let policy = match raw.policy {
        None | Some(KeeperPolicy::None) => RtPolicy::Other,
        Some(KeeperPolicy::Fifo) => RtPolicy::Fifo { priority },
        Some(KeeperPolicy::Rr) => RtPolicy::RoundRobin { priority },
    };
    let path = |text: Option<Text>| text.map(|text| PathBuf::from(text.0));
    let tls = match [raw.tls_cert, raw.tls_key, raw.tls_ca].map(path) {
        [None, None, None] => None,
        [Some(cert), Some(key), Some(ca)] => Some(loaded(&TlsFiles { cert, key, ca })?),
        _ => {
            return Err(Failure::new("`orchestrator` has a part of its TLS settings only")
                .hint("give `tls-cert`, `tls-key` and `tls-ca`, or none of them"));
        }
    };
    Ok(Orchestrator {
        listen: raw.listen.map(|address| address.0),
        real_time: RealTime { policy, cpu: raw.cpu_affinity },
        lock_memory: raw.lock_memory.unwrap_or(false),
        tls,
    })
}

fn start_logs(session: &Session, settings: &DaemonConfig) -> Result<(), Failure> {
    let log = settings.log.clone().unwrap_or_default();
    let filter = session.global.log.clone().or_else(|| log.level.map(|level| level.0));
    let format = match log.format {
        Some(LogFormat::Json) => telemetry::LogFormat::Json,
        Some(LogFormat::Text) | None => telemetry::LogFormat::Text,
    };
    telemetry::init(&filter.unwrap_or_else(|| "info".to_owned()), format).map_err(|error| Failure::new(chain(&error)))
}

pub(super) fn source_config(settings: &DaemonConfig, state_dir: &Path) -> Result<SourceConfig, Failure> {
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
fn credentials(settings: &DaemonConfig) -> Result<Credentials, Failure> {
    let https = settings.repo.https.clone().unwrap_or_default();
    let ssh = settings.repo.ssh.clone().unwrap_or_default();
    let path = |text: &Text| PathBuf::from(&text.0);
    let named = |variable: &Text| {
        config::env(&variable.0).map(SecretString::from).ok_or_else(|| {
            // What is no usual name of a variable may be the secret itself.
            let usual = variable.0.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            let name =
                if usual { variable.0.as_str() } else { "that the settings name (not shown: it may be a secret)" };
            Failure::new(format!("the environment variable {name} is not set"))
                .hint("the daemon's settings name the variable that holds a secret; set it where the daemon is started")
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

pub(super) async fn poke(session: &Session, _: &PokeArgs) -> Result<Exit, Failure> {
    Client::new(&session.socket()).poke().await.map_err(|error| Failure::new(chain(&error)))?;
    session.printer.note("the daemon looks at the repo");
    Ok(Exit::Ok)
}
