//! The repository itself, as the thread that owns it sees it.

use super::address::Place;
use super::clone::LocalClone;
use super::history::{self, ChangedFile};
use super::progress::Progress;
use super::resolve::{describe, followed, named};
use super::tree;
use super::{Address, GitFailure, SourceConfig, SourceError};
use crate::model::{CommitId, FileTree, Revision};
use git2::{Commit, ErrorCode, Repository, RepositoryOpenFlags};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A repository on this machine, or the local clone of a remote one. It is opened anew for each request (well under a
/// millisecond), so a repository that was replaced, repacked or recreated meanwhile needs no special care.
pub(super) struct RepositoryCache {
    /// Where git objects are: the user's repository, or our clone.
    pub path: PathBuf,
    /// Present for a remote repository.
    clone: Option<LocalClone>,
    shown: String,
    reference: Option<String>,
    folder: String,
}

impl RepositoryCache {
    /// `stop` ends transfers and waits early.
    pub(super) fn new(config: &SourceConfig, stop: Arc<AtomicBool>, progress: Progress) -> Result<Self, SourceError> {
        let folder = clean_folder(&config.path)?;
        let (path, clone) = match &config.address.place {
            Place::Local(path) => (git_dir(path)?, None),
            Place::Http { .. } | Place::Ssh { .. } => {
                let clone = LocalClone::new(config, stop, progress)?;
                (clone.path.clone(), Some(clone))
            }
        };
        Ok(Self { path, clone, shown: config.address.to_string(), reference: config.reference.clone(), folder })
    }

    pub(super) fn fetch(&self) -> Result<Revision, SourceError> {
        if let Some(clone) = &self.clone {
            clone.fetch()?;
        }
        self.with(|repo| {
            let (commit, reference) = followed(repo, self.reference.as_deref(), &self.shown)?;
            Ok(describe(&commit, reference))
        })
    }

    pub(super) fn ask(&self) -> Result<CommitId, SourceError> {
        match &self.clone {
            None => self.fetch().map(|revision| revision.commit),
            Some(clone) => {
                let there = clone.ask()?;
                let wanted = match self.reference.as_deref() {
                    None => vec!["HEAD".to_owned()],
                    Some(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()],
                };
                let found = wanted.iter().find_map(|name| there.iter().find(|(other, _)| other == name));
                found.map(|(_, id)| CommitId::new(id.clone())).ok_or_else(|| {
                    let branches = there.iter().filter_map(|(name, _)| name.strip_prefix("refs/heads/"));
                    SourceError::MissingReference {
                        place: self.shown.clone(),
                        reference: self.reference.clone().unwrap_or_else(|| "HEAD".to_owned()),
                        near: Vec::new(),
                        branches: branches.take(8).map(str::to_owned).collect(),
                    }
                })
            }
        }
    }

    pub(super) fn read(&self, rev: &str) -> Result<(Revision, FileTree), SourceError> {
        self.with(|repo| {
            let (commit, reference) = self.named(repo, rev)?;
            let files = tree::read(repo, &commit, &self.folder, &self.shown)?;
            Ok((describe(&commit, reference), files))
        })
    }

    pub(super) fn changed_files(&self, from: &str, to: &str) -> Result<Vec<ChangedFile>, SourceError> {
        self.with(|repo| {
            let ((from, _), (to, _)) = (self.named(repo, from)?, self.named(repo, to)?);
            history::changed_files(repo, &from, &to, &self.folder, &self.shown)
        })
    }

    pub(super) fn commits_between(&self, from: &str, to: &str, limit: usize) -> Result<Vec<Revision>, SourceError> {
        self.with(|repo| {
            let ((from, _), (to, reference)) = (self.named(repo, from)?, self.named(repo, to)?);
            history::commits_between(repo, &from, &to, &reference, limit, &self.shown)
        })
    }

    pub(super) fn first_commit(&self, rev: &str) -> Result<String, SourceError> {
        self.with(|repo| {
            let (commit, _) = self.named(repo, rev)?;
            history::first_commit(repo, &commit, &self.shown)
        })
    }

    fn named<'repo>(&self, repo: &'repo Repository, rev: &str) -> Result<(Commit<'repo>, String), SourceError> {
        named(repo, rev, self.reference.as_deref(), &self.shown)
    }

    /// Works on the repository. A damaged clone is replaced and the work done again; a damaged repository of the user is
    /// reported and left alone.
    fn with<T>(&self, work: impl Fn(&Repository) -> Result<T, SourceError>) -> Result<T, SourceError> {
        let Some(clone) = &self.clone else { return work(&open_local(&self.path)?) };
        match clone.open().and_then(|repo| work(&repo)) {
            Err(SourceError::Corrupt { .. }) => {
                let is_sound = |repo: &Repository| !matches!(work(repo), Err(SourceError::Corrupt { .. }));
                work(&clone.recreate(is_sound)?)
            }
            other => other,
        }
    }
}

/// Opens a repository of the user at `path` or above it.
pub(super) fn open_local(path: &Path) -> Result<Repository, SourceError> {
    Repository::open_ext(path, RepositoryOpenFlags::CROSS_FS, &[] as &[&OsStr]).map_err(|error| match error.code() {
        ErrorCode::NotFound => SourceError::NotARepository { path: path.to_owned() },
        ErrorCode::Owner => SourceError::Owner { path: path.to_owned() },
        _ => SourceError::Open { place: Address::from_path(path).to_string(), source: GitFailure::from(error) },
    })
}

/// Whether the repository at `path` or above it has no work tree.
pub fn is_bare(path: &Path) -> bool {
    open_local(path).is_ok_and(|repo| repo.is_bare())
}

/// The address that the repository at `path` was cloned from, when it is one that can be read.
pub(super) fn origin(path: &Path) -> Option<String> {
    let repo = open_local(path).ok()?;
    let remote = repo.find_remote("origin").ok()?;
    Some(remote.url().ok()?.parse::<Address>().ok()?.to_string())
}

/// The git folder of the repository at `path` or above it, so that it is not searched for again.
fn git_dir(path: &Path) -> Result<PathBuf, SourceError> {
    let repo = open_local(path)?;
    repo.path().canonicalize().map_err(|source| SourceError::Folder { path: repo.path().to_owned(), source })
}

/// `./a//b/` → `a/b`; refuses what leads out.
pub(super) fn clean_folder(path: &str) -> Result<String, SourceError> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(SourceError::FolderPath { path: path.to_owned() });
            }
        }
    }
    Ok(parts.join("/"))
}
