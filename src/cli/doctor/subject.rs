//! What is looked at.

use crate::cli::daemon;
use crate::cli::exit::Failure;
use crate::cli::session::Session;
use crate::manifest::DaemonConfig;
use std::path::{Path, PathBuf};

/// What is looked at, from the arguments and the daemon's settings.
pub(super) struct Subject {
    pub(super) settings: Option<DaemonConfig>,
    pub(super) state_dir: PathBuf,
    pub(super) endpoint: Option<String>,
}

impl Subject {
    pub(super) fn of(session: &Session, config: Option<&Path>) -> Result<Self, Failure> {
        let settings = config.map(daemon::settings).transpose()?;
        let overrides = daemon::overrides(session);
        let (state_dir, endpoint) = (overrides.state_dir(settings.as_ref()), overrides.endpoint(settings.as_ref()));
        Ok(Self { settings, state_dir, endpoint })
    }
}
