//! `setpoint daemon` and `setpoint poke`

use super::args::Global;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::{Client, Listener, Socket, serve};
use crate::daemon::{Config, Daemon, Overrides};
use crate::manifest::raw::daemon::LogFormat;
use crate::manifest::{self, DaemonConfig};
use crate::process::error::chain;
use crate::process::shutdown::Signals;
use crate::process::telemetry;
use clap::Args;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Keep this host in the state that a repo describes: follow its commits, repair drift
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint daemon --config /etc/setpoint/daemon.kdl
  setpoint status                  the state of the daemon, from another terminal

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

/// Make the daemon read the repo now, for example from a hook of a git server
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
    let config = Config::new(&settings, &overrides(session))?;
    let socket = config.socket.clone();
    let daemon = Daemon::new(config).map_err(|error| Failure::new(chain(&error)))?;
    let listeners = vec![Listener::Unix(Socket::bind(&socket).map_err(|error| Failure::new(chain(&error)))?)];
    let signals = Signals::catch()?;
    let stop = CancellationToken::new();
    let listeners = listeners.into_iter().map(|listener| move |handle, stop| serve(listener, handle, stop));
    let work = daemon.run(stop.clone(), listeners);
    // Dropping `drive` loses nothing: it only waits for signals. `work` is never dropped before its end.
    tokio::select! {
        end = work => end.map_err(|error| Failure::new(chain(&error)))?,
        never = signals.drive(stop.clone()) => match never {},
    }
    Ok(Exit::Ok)
}

/// The options of the command line that take precedence over the settings.
pub(super) fn overrides(session: &Session) -> Overrides {
    let Global { engine, state_dir, socket, .. } = session.global.clone();
    Overrides { engine, state_dir, socket }
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

pub(super) async fn poke(session: &Session, _: &PokeArgs) -> Result<Exit, Failure> {
    Client::new(&session.socket()).poke().await.map_err(|error| Failure::new(chain(&error)))?;
    session.printer.note("the daemon looks at the repo");
    Ok(Exit::Ok)
}
