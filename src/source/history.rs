//! The differences between two commits.

use super::SourceError;
use super::resolve::describe;
use super::tree::{corrupt, folder_tree};
use crate::model::Revision;
use git2::{Commit, Delta, DiffOptions, Repository, Sort};

/// How a file differs between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only in the newer one.
    Added,
    /// In both, with another content or mode.
    Modified,
    /// Only in the older one.
    Deleted,
}

/// A file that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Path relative to the config folder.
    pub path: String,
    /// How.
    pub change: ChangeKind,
}

/// The files that differ below `folder`, sorted. A commit without the folder counts as one with an empty folder.
pub(super) fn changed_files(
    repo: &Repository,
    from: &Commit<'_>,
    to: &Commit<'_>,
    folder: &str,
    place: &str,
) -> Result<Vec<ChangedFile>, SourceError> {
    let damaged = |error: git2::Error| corrupt(place, error);
    let tree = |commit: &Commit<'_>| match folder_tree(repo, commit, folder, place) {
        Ok(id) => repo.find_tree(id).map(Some).map_err(damaged),
        Err(SourceError::MissingFolder { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let (old, new) = (tree(from)?, tree(to)?);
    let mut options = DiffOptions::new();
    options.ignore_submodules(false);
    let diff = repo.diff_tree_to_tree(old.as_ref(), new.as_ref(), Some(&mut options)).map_err(damaged)?;
    let mut files: Vec<ChangedFile> = diff
        .deltas()
        .filter_map(|delta| {
            let change = match delta.status() {
                Delta::Added => ChangeKind::Added,
                Delta::Deleted => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            };
            let file = if change == ChangeKind::Deleted { delta.old_file() } else { delta.new_file() };
            Some(ChangedFile { path: String::from_utf8_lossy(file.path_bytes()?).into_owned(), change })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The commits reachable from `to` and not from `from`, newest first, at most `limit`.
pub(super) fn commits_between(
    repo: &Repository,
    from: &Commit<'_>,
    to: &Commit<'_>,
    reference: &str,
    limit: usize,
    place: &str,
) -> Result<Vec<Revision>, SourceError> {
    let damaged = |error: git2::Error| corrupt(place, error);
    let mut walk = repo.revwalk().map_err(damaged)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(damaged)?;
    walk.push(to.id()).map_err(damaged)?;
    walk.hide(from.id()).map_err(damaged)?;
    walk.take(limit)
        .map(|id| {
            let commit = repo.find_commit(id.map_err(damaged)?).map_err(damaged)?;
            Ok(describe(&commit, reference.to_owned()))
        })
        .collect()
}

/// The oldest commit on the first-parent line of `commit`: the same in every clone, whatever came after.
pub(super) fn first_commit(repo: &Repository, commit: &Commit<'_>, place: &str) -> Result<String, SourceError> {
    let damaged = |error: git2::Error| corrupt(place, error);
    let mut walk = repo.revwalk().map_err(damaged)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).map_err(damaged)?;
    walk.simplify_first_parent().map_err(damaged)?;
    walk.push(commit.id()).map_err(damaged)?;
    let first = walk.next().transpose().map_err(damaged)?;
    Ok(first.unwrap_or_else(|| commit.id()).to_string())
}
