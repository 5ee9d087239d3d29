//! What follows the end of a run.

use crate::model::{RunId, ScheduleName};
use crate::process::error::chain;
use crate::store::Ledger;

/// A run that is over.
pub(super) struct EndedRun {
    pub(super) schedule: ScheduleName,
    pub(super) id: RunId,
    pub(super) ledger: Ledger,
    /// How many runs of the schedule are kept.
    pub(super) keep: usize,
}

impl EndedRun {
    /// Removes what is kept no longer, now that there is one run more.
    pub(super) async fn prune(self) {
        let pruned = tokio::task::spawn_blocking(move || self.ledger.prune_runs(&self.schedule, self.keep)).await;
        match pruned {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "old runs were not removed"),
            Err(error) => tracing::warn!(error = chain(&error), "the removal of old runs was aborted"),
        }
    }
}
