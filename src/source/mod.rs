//! The config repo. (Interface first; bodies follow.)

use crate::model::{ContextFile, FileTree, Revision};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A repository that one OS thread owns; cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {}

/// Why a repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Placeholder.
    #[error("{0}")]
    Other(String),
}

impl Source {
    /// Fetches (remote) or looks (local) and says which commit the followed branch or tag now is.
    ///
    /// # Errors
    /// When the server cannot be reached or the reference does not exist.
    pub async fn fetch(&self) -> Result<Revision, SourceError> {
        todo!()
    }

    /// The files of a commit below the config folder. `rev` is any name git resolves (`HEAD~1`, a tag, an id).
    ///
    /// # Errors
    /// When there is no such commit or its objects cannot be read.
    pub async fn read(&self, _rev: &str) -> Result<(Revision, FileTree), SourceError> {
        todo!()
    }

    /// A tar stream of these files, read from git objects while it is consumed.
    pub fn archive(&self, _files: Arc<[ContextFile]>) -> BoxStream<'static, std::io::Result<Bytes>> {
        todo!()
    }

    /// Hints that the repository may have changed (file events for a local one, a timer with jitter for a remote one).
    pub fn watch(&self) -> mpsc::Receiver<()> {
        todo!()
    }
}
