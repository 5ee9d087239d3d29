//! Before anything is decided: is the state folder still ours, and what does the engine say?

use super::reconcile::{Reconciler, Trouble};
use crate::apply::load::Loaded;
use crate::apply::observe::scope;
use crate::model::Observed;
use crate::process::{StateFolder, StateFolderError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks at the state folder while nothing else happens.
const FOLDER: Duration = Duration::from_secs(2);

impl Reconciler {
    /// Looks at the engine. One that was away at the start, or was exchanged for another version since, is agreed with first.
    pub(super) async fn look(&self, current: &Loaded) -> Result<Observed, Trouble> {
        if !self.engine.is_agreed() {
            self.engine.agree().await.map_err(Trouble::Engine)?;
        }
        let scope = scope(&current.desired, &current.owner);
        match self.engine.observe(&scope).await {
            Err(error) if error.wants_other_version() => {
                self.engine.agree().await.map_err(Trouble::Engine)?;
                self.engine.observe(&scope).await.map_err(Trouble::Engine)
            }
            result => result.map_err(Trouble::Engine),
        }
    }
}

/// Ends with an error when the state folder is lost.
pub(super) async fn keep(
    folder: Arc<StateFolder>,
    installation: String,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    loop {
        folder.check().map_err(|source| lost(source, &installation))?;
        // Both arms are cancel-safe.
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(FOLDER) => {}
        }
    }
}

/// The loss, with what is needed to go on afterwards.
fn lost(source: StateFolderError, installation: &str) -> Lost {
    Lost { installation: installation.to_owned(), source }
}

/// The state folder is lost, and with it everything that the daemon could remember.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state folder was lost. Before restarting, restore the folder, or write `{installation}` to a file `installation` in it: the daemon recognises its containers by this id"
)]
struct Lost {
    installation: String,
    source: StateFolderError,
}
