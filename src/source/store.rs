//! The repository itself, as the thread that owns it sees it.

use super::address::Place;
use super::history::{self, ChangedFile};
use super::resolve::{describe, followed, named};
use super::tree;
use super::{Address, GitFailure, SourceConfig, SourceError};
use crate::model::{FileTree, Revision};
use git2::{ErrorCode, Repository, RepositoryOpenFlags};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// A repository on this machine, or the local clone of a remote one. It is opened anew for each request (well under a
/// millisecond), so a repository that was replaced, repacked or recreated meanwhile needs no special care.
#[derive(Debug)]
pub(super) struct Store {
    /// Where git objects are: the user's repository, or our clone.
    pub path: PathBuf,
    /// The address as shown.
    pub shown: String,
    reference: Option<String>,
    folder: String,
}

impl Store {
    pub(super) fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let path = match &config.address.place {
            Place::Local(path) => git_dir(path)?,
            Place::Http { .. } | Place::Ssh { .. } => todo!(),
        };
        Ok(Self {
            path,
            shown: config.address.to_string(),
            reference: config.reference.clone(),
            folder: clean_folder(&config.path)?,
        })
    }

    pub(super) fn fetch(&mut self) -> Result<Revision, SourceError> {
        let repo = self.open()?;
        let (commit, reference) = followed(&repo, self.reference.as_deref(), &self.shown)?;
        Ok(describe(&commit, reference))
    }

    pub(super) fn read(&mut self, rev: &str) -> Result<(Revision, FileTree), SourceError> {
        let repo = self.open()?;
        let (commit, reference) = named(&repo, rev, self.reference.as_deref(), &self.shown)?;
        let files = tree::read(&repo, &commit, &self.folder, &self.shown)?;
        Ok((describe(&commit, reference), files))
    }

    pub(super) fn changed_files(&mut self, from: &str, to: &str) -> Result<Vec<ChangedFile>, SourceError> {
        let repo = self.open()?;
        let (from, _) = named(&repo, from, self.reference.as_deref(), &self.shown)?;
        let (to, _) = named(&repo, to, self.reference.as_deref(), &self.shown)?;
        history::changed_files(&repo, &from, &to, &self.folder, &self.shown)
    }

    pub(super) fn commits_between(&mut self, from: &str, to: &str, limit: usize) -> Result<Vec<Revision>, SourceError> {
        let repo = self.open()?;
        let (from, _) = named(&repo, from, self.reference.as_deref(), &self.shown)?;
        let (to, reference) = named(&repo, to, self.reference.as_deref(), &self.shown)?;
        history::commits_between(&repo, &from, &to, &reference, limit, &self.shown)
    }

    fn open(&self) -> Result<Repository, SourceError> {
        open_local(&self.path)
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

/// The git folder of the repository at `path` or above it, so that later looks do not search again.
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
