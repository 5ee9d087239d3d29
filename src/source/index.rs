//! The staged files of a work tree, for a pre-commit hook.

use super::cache::{clean_folder, open_local};
use super::entry::{Listed, MAX_DEPTH, MAX_ENTRIES, kind_of, load};
use super::tree::{blob, corrupt};
use super::{Blobs, SourceError};
use crate::model::{FileKind, FileTree};
use std::path::Path;

const STAGE: u16 = 0x3000;
const INTENT_TO_ADD: u16 = 1 << 13;

/// Reads what `git commit` would commit now in the repository at `start` or above it, below `folder` (`""` is the root).
/// `index_file` replaces `.git/index`: git names it in `GIT_INDEX_FILE` when it runs a hook for a partial commit.
///
/// # Errors
/// When there is no repository, files are in conflict, or objects cannot be read.
pub fn read_index(start: &Path, index_file: Option<&Path>, folder: &str) -> Result<(FileTree, Blobs), SourceError> {
    let repo = open_local(start)?;
    let folder = clean_folder(folder)?;
    let prefix = if folder.is_empty() { String::new() } else { folder + "/" };
    let place = start.display().to_string();
    let damaged = |error: git2::Error| corrupt(&place, error);
    let index = match index_file {
        Some(file) => git2::Index::open(file),
        None => repo.index(),
    }
    .map_err(damaged)?;
    let odb = repo.odb().map_err(damaged)?;

    let mut listed = Vec::new();
    let mut conflicts = Vec::new();
    for entry in index.iter() {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let Some(inner) = path.strip_prefix(&prefix) else { continue };
        if entry.flags & STAGE != 0 {
            conflicts.push(path);
            continue;
        }
        // `git add --intent-to-add` announces a file without staging its content.
        if entry.flags_extended & INTENT_TO_ADD != 0 {
            continue;
        }
        let Some(kind) = kind_of(entry.mode) else { continue };
        let size = match kind {
            FileKind::Submodule => 0,
            _ => odb.read_header(entry.id).map_err(damaged)?.0 as u64,
        };
        listed.push(Listed { path: inner.to_owned(), oid: entry.id, kind, size });
    }
    if !conflicts.is_empty() {
        conflicts.dedup();
        return Err(SourceError::Conflict { paths: conflicts });
    }
    if listed.len() > MAX_ENTRIES {
        return Err(SourceError::TooManyFiles { place, limit: MAX_ENTRIES, depth: MAX_DEPTH });
    }
    let tree = load(listed, |item| blob(&odb, item.oid).map_err(damaged))?;
    Ok((tree, Blobs::of_repository(repo.path().to_owned())))
}
