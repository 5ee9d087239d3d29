//! The bare local clone of a remote repository: made, locked, and made again when it is damaged.

use super::progress::Progress;
use super::remote::Remote;
use super::tree::corrupt;
use super::{SourceConfig, SourceError};
use crate::process::lock::LockFile;
use git2::{ErrorCode, Repository, RepositoryInitOptions};
use sha2::{Digest, Sha256};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Packs above this number are put into one; libgit2 adds one per fetch and never merges them.
const MAX_PACKS: usize = 50;

/// A local clone. Only this folder is ever deleted.
pub(super) struct LocalClone {
    pub path: PathBuf,
    lock: PathBuf,
    remote: Remote,
    shown: String,
    patience: Duration,
    stop: Arc<AtomicBool>,
}

impl LocalClone {
    pub(super) fn new(config: &SourceConfig, stop: Arc<AtomicBool>, progress: Progress) -> Result<Self, SourceError> {
        let cache = |source| SourceError::Cache { path: config.cache_dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&config.cache_dir).map_err(cache)?;
        let folder = config.cache_dir.canonicalize().map_err(cache)?;
        let remote = Remote::new(config, &folder, Arc::clone(&stop), progress)?;
        let digest = Sha256::digest(remote.url());
        let name: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            path: folder.join(format!("{name}.git")),
            lock: folder.join(format!("{name}.lock")),
            remote,
            shown: config.address.to_string(),
            patience: config.fetch_timeout,
            stop,
        })
    }

    /// The clone as it is; fetched when there is none yet.
    pub(super) fn open(&self) -> Result<Repository, SourceError> {
        if self.path.exists() { self.open_existing() } else { self.fetch() }
    }

    /// What the server has: names and ids.
    pub(super) fn ask(&self) -> Result<Vec<(String, String)>, SourceError> {
        self.remote.ask()
    }

    /// Fetches; a damaged clone is made anew.
    pub(super) fn fetch(&self) -> Result<Repository, SourceError> {
        let _lock = self.locked()?;
        match self.update() {
            Err(SourceError::Corrupt { source, .. }) => {
                tracing::warn!(repository = %self.shown, error = %source, "the local clone is damaged; cloning again");
                self.remove()?;
                self.update()
            }
            other => other,
        }
    }

    /// Deletes the clone and fetches it again, unless another process has done so meanwhile.
    pub(super) fn recreate(&self, is_sound: impl Fn(&Repository) -> bool) -> Result<Repository, SourceError> {
        let _lock = self.locked()?;
        if let Some(sound) = self.open_existing().ok().filter(|repo| is_sound(repo)) {
            return Ok(sound);
        }
        tracing::warn!(repository = %self.shown, "the local clone is damaged; cloning again");
        self.remove()?;
        self.update()
    }

    fn update(&self) -> Result<Repository, SourceError> {
        let repo = if self.path.exists() { self.open_existing()? } else { self.make()? };
        self.remote.fetch(&repo).map_err(|error| match error {
            SourceError::Cache { source, .. } => SourceError::Cache { path: self.path.clone(), source },
            other => other,
        })?;
        if let Err(error) = self.tidy(&repo) {
            tracing::warn!(repository = %self.shown, %error, "cannot put the packs of the local clone into one");
        }
        Ok(repo)
    }

    fn open_existing(&self) -> Result<Repository, SourceError> {
        Repository::open_bare(&self.path).map_err(|error| match error.code() {
            ErrorCode::Owner => SourceError::Owner { path: self.path.clone() },
            _ => corrupt(&self.shown, error),
        })
    }

    fn make(&self) -> Result<Repository, SourceError> {
        let failed = |error: git2::Error| SourceError::Cache {
            path: self.path.clone(),
            source: io::Error::other(error.message().to_owned()),
        };
        let mut options = RepositoryInitOptions::new();
        // No template: hooks and settings of the user's templates have no business here.
        options.bare(true).external_template(false).initial_head("main");
        let repo = Repository::init_opts(&self.path, &options).map_err(failed)?;
        // A redirect to another host would be given the token.
        repo.config().and_then(|mut config| config.set_str("http.followRedirects", "false")).map_err(failed)?;
        Ok(repo)
    }

    fn remove(&self) -> Result<(), SourceError> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|source| SourceError::Cache { path: self.path.clone(), source }),
        }
    }

    /// Keeps other processes from changing the clone while it is fetched or made anew.
    fn locked(&self) -> Result<LockFile, SourceError> {
        let cache = |source| SourceError::Cache { path: self.lock.clone(), source };
        let lock = LockFile::open(&self.lock).map_err(cache)?;
        let is_stopped = || self.stop.load(Ordering::Relaxed);
        match lock.lock_within_blocking(self.patience, is_stopped).map_err(cache)? {
            true => Ok(lock),
            false if is_stopped() => Err(SourceError::Stopped),
            false => Err(SourceError::Locked { path: self.path.clone() }),
        }
    }

    /// Puts many packs into one and removes what aborted transfers left. Every object is kept, also those no branch leads
    /// to any more: the revision in use may be one of them.
    fn tidy(&self, repo: &Repository) -> Result<(), SourceError> {
        let folder = self.path.join("objects/pack");
        let cache = |source| SourceError::Cache { path: folder.clone(), source };
        let damaged = |error| corrupt(&self.shown, error);
        let mut packs = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(cache)? {
            let path = entry.map_err(cache)?.path();
            if is_pack(&path) {
                packs.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pack_git2_")) {
                // The lock is held, so no transfer is writing it.
                std::fs::remove_file(&path).map_err(cache)?;
            }
        }
        if packs.len() <= MAX_PACKS {
            return Ok(());
        }
        let odb = repo.odb().map_err(damaged)?;
        let mut ids = Vec::new();
        odb.foreach(|id| {
            ids.push(*id);
            true
        })
        .map_err(damaged)?;
        let mut builder = repo.packbuilder().map_err(damaged)?;
        for id in ids {
            builder.insert_object(id, None).map_err(damaged)?;
        }
        builder.write(&folder, 0).map_err(damaged)?;
        let new = builder.name().map_err(damaged)?.map(|name| format!("pack-{name}.pack")).unwrap_or_default();
        for pack in packs.iter().filter(|pack| pack.file_name().is_some_and(|name| name != new.as_str())) {
            // The index last to appear is the first to go, so that no process finds one without its pack.
            std::fs::remove_file(pack.with_extension("idx")).map_err(cache)?;
            std::fs::remove_file(pack).map_err(cache)?;
        }
        Ok(())
    }
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "pack")
}
