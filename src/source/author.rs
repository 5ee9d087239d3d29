//! Writing commits: for repositories that this program makes itself.

use super::SourceError;
use super::cache::open_local;
use super::tree::corrupt;
use git2::{IndexAddOption, Repository, Signature, Time};
use std::path::{Path, PathBuf};

/// The author and the time of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Name.
    pub name: &'a str,
    /// Mail address.
    pub address: &'a str,
    /// When.
    pub at: crate::model::Timestamp,
}

/// The git directory of the repository at `folder` or above it.
pub fn repository_around(folder: &Path) -> Option<PathBuf> {
    Repository::discover(folder).ok().map(|repo| repo.path().to_owned())
}

/// Makes an empty repository in `folder` whose first branch is `branch`.
///
/// # Errors
/// When the folder cannot be written.
pub fn init(folder: &Path, branch: &str) -> Result<(), SourceError> {
    let damaged = |error: git2::Error| corrupt(&folder.display().to_string(), error);
    let repo = Repository::init(folder).map_err(damaged)?;
    repo.set_head(&format!("refs/heads/{branch}")).map_err(damaged)
}

/// Commits everything that lies in the work tree of the repository at `folder`. Returns the commit's id.
///
/// # Errors
/// When the repository cannot be written.
pub fn commit_all(folder: &Path, message: &str, author: Author<'_>) -> Result<String, SourceError> {
    let repo = open_local(folder)?;
    let damaged = |error: git2::Error| corrupt(&folder.display().to_string(), error);
    let mut index = repo.index().map_err(damaged)?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None).map_err(damaged)?;
    index.update_all(["*"], None).map_err(damaged)?;
    index.write().map_err(damaged)?;
    let tree = index.write_tree().and_then(|id| repo.find_tree(id)).map_err(damaged)?;
    let signature =
        Signature::new(author.name, author.address, &Time::new(author.at.as_second(), 0)).map_err(damaged)?;
    let parent = repo.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    let id = repo.commit(Some("HEAD"), &signature, &signature, message, &tree, &parents).map_err(damaged)?;
    Ok(id.to_string())
}
