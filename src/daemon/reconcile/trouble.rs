//! Why a reconcile is tried again.

use crate::apply::ApplyError;
use crate::engine::EngineError;
use crate::process::StateFolderError;
use crate::store::{LockError, StoreError};

/// A reconcile could not be completed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum Trouble {
    #[error("the engine does not answer")]
    Engine(#[source] EngineError),
    #[error("the store does not work")]
    Store(#[from] StoreError),
    #[error("an apply was broken off")]
    Apply(#[source] Box<ApplyError>),
    #[error("another process applies")]
    Lock(#[source] LockError),
    /// Ends the daemon.
    #[error(transparent)]
    Folder(#[from] StateFolderError),
}
