//! From a commit to its desired state: read, compile, claim its environment.

use super::pipeline::compile;
use crate::manifest;
use crate::model::{CommitId, Desired, OwnerId, Revision};
use crate::process::clock;
use crate::source::{Source, SourceError};
use crate::store::{Ledger, RepoIdentity, Store, StoreError};
use std::sync::Arc;

/// A commit whose files are valid.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub revision: Revision,
    pub desired: Arc<Desired>,
    /// The store's data of its environment.
    pub ledger: Ledger,
    pub owner: OwnerId,
}

/// A commit cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its files cannot be read from git.
    #[error("cannot read commit {commit}")]
    Read { commit: CommitId, source: SourceError },
    /// Its files are not valid.
    #[error("commit {} has {mistakes} mistake{}", .revision.short(), if *.mistakes == 1 { "" } else { "s" })]
    Rejected {
        revision: Revision,
        /// How many mistakes.
        mistakes: usize,
        /// All mistakes, formatted for people.
        report: String,
        /// Each mistake in one line, for the log.
        lines: Vec<String>,
    },
    /// Its environment belongs to another repo, or the store failed.
    #[error("commit {} cannot be used here", .revision.short())]
    Environment { revision: Revision, source: StoreError },
    /// The compiler itself failed.
    #[error("reading commit {commit} failed because of a bug in setpoint: {fault}")]
    Fault {
        commit: CommitId,
        /// The message of the fault.
        fault: String,
    },
}

impl LoadError {
    /// Whether the same commit may be readable later, without a change in the repo.
    pub fn may_go_away(&self) -> bool {
        match self {
            Self::Read { source, .. } => {
                !matches!(source, SourceError::MissingFolder { .. } | SourceError::TooManyFiles { .. })
            }
            Self::Rejected { .. } | Self::Fault { .. } => false,
            Self::Environment { .. } => true,
        }
    }
}

/// Reads commits of one repo.
#[derive(Clone, Debug)]
pub struct Loader {
    pub source: Source,
    pub store: Store,
    /// Take an environment over although it was last applied from another repo.
    pub adopt: bool,
}

impl Loader {
    /// The last commit of this repo that was good.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_good(&self) -> Result<Option<Revision>, StoreError> {
        let (origin, place) = (self.source.origin(), self.source.place());
        let found = self.store.last_good_of(&origin)?;
        let found = if found.is_none() && place != origin { self.store.last_good_of(&place)? } else { found };
        Ok(found.map(|(_, revision)| revision))
    }

    /// Reads a commit and compiles it.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, commit: &CommitId) -> Result<Loaded, LoadError> {
        let (revision, tree) = self
            .source
            .read(commit.as_str())
            .await
            .map_err(|source| LoadError::Read { commit: commit.clone(), source })?;
        // Tens of milliseconds of pure computing for a large repo: not on a thread that serves others.
        let desired = match tokio::task::spawn_blocking(move || compile(&tree)).await {
            Ok(Ok(desired)) => desired,
            Ok(Err(report)) => {
                let lines = report.diagnostics.iter().map(ToString::to_string).collect();
                let (mistakes, report) = (report.len(), report.render(manifest::Style::default()));
                return Err(LoadError::Rejected { revision, mistakes, report, lines });
            }
            Err(fault) => return Err(LoadError::Fault { commit: commit.clone(), fault: words(fault) }),
        };
        let identity = self.source.identity(commit.as_str()).await;
        let identity = identity.map_err(|source| LoadError::Read { commit: commit.clone(), source })?;
        let repo = RepoIdentity { identity, address: self.source.place(), origin: self.source.origin() };
        match self.store.claim_environment(&desired.settings.environment, &repo, self.adopt, clock::now()) {
            Ok(ledger) => Ok(Loaded { owner: ledger.owner(), revision, desired: Arc::new(desired), ledger }),
            Err(source) => Err(LoadError::Environment { revision, source }),
        }
    }
}

/// What a panic said.
fn words(fault: tokio::task::JoinError) -> String {
    match fault.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(fault) => fault.to_string(),
    }
}
