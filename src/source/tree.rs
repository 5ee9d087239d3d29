//! The files of a commit, read from git objects.

use super::entry::{Listed, MAX_DEPTH, MAX_ENTRIES, kind_of, load};
use super::{GitFailure, SourceError};
use crate::model::{CommitId, FileKind, FileTree};
use git2::{Commit, ObjectType, Odb, Oid, Repository};
use std::path::Path;
use std::sync::Arc;

/// Reads the files of `commit` below `folder` (`""` is the root).
pub(super) fn read(repo: &Repository, commit: &Commit<'_>, folder: &str, place: &str) -> Result<FileTree, SourceError> {
    let damaged = |error: git2::Error| corrupt(place, error);
    let tree = folder_tree(repo, commit, folder, place)?;
    let odb = repo.odb().map_err(damaged)?;
    let mut listed = Vec::new();
    let mut entries = 0_usize;
    let mut stack = vec![(String::new(), tree, 0_usize)];
    while let Some((prefix, id, depth)) = stack.pop() {
        let tree = repo.find_tree(id).map_err(damaged)?;
        for entry in &tree {
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Err(SourceError::TooManyFiles {
                    place: place.to_owned(),
                    limit: MAX_ENTRIES,
                    depth: MAX_DEPTH,
                });
            }
            let path = format!("{prefix}{}", file_name(entry.name_bytes(), place)?);
            let mode = u32::try_from(entry.filemode_raw()).unwrap_or_default();
            match kind_of(mode) {
                None if entry.kind() == Some(ObjectType::Tree) => stack.push((path + "/", entry.id(), depth + 1)),
                None => {
                    return Err(corrupt(
                        place,
                        git2::Error::from_str(&format!("`{path}` has the unknown mode {mode:o}")),
                    ));
                }
                Some(FileKind::Submodule) => {
                    listed.push(Listed { path, oid: entry.id(), kind: FileKind::Submodule, size: 0 });
                }
                Some(kind) => {
                    let (size, _) = odb.read_header(entry.id()).map_err(damaged)?;
                    listed.push(Listed { path, oid: entry.id(), kind, size: size as u64 });
                }
            }
        }
    }
    load(listed, |item| blob(&odb, item.oid).map_err(damaged))
}

/// The content of a blob.
pub(super) fn blob(odb: &Odb<'_>, oid: Oid) -> Result<Arc<[u8]>, git2::Error> {
    Ok(odb.read(oid)?.data().into())
}

/// The id of the tree at `folder`.
pub(super) fn folder_tree(
    repo: &Repository,
    commit: &Commit<'_>,
    folder: &str,
    place: &str,
) -> Result<Oid, SourceError> {
    let tree = commit.tree().map_err(|error| corrupt(place, error))?;
    if folder.is_empty() {
        return Ok(tree.id());
    }
    let missing =
        || SourceError::MissingFolder { folder: folder.to_owned(), commit: CommitId::new(commit.id().to_string()) };
    // `get_path` reports an absent folder and an absent object alike, so each level is looked up on its own.
    let mut at = tree;
    for name in Path::new(folder) {
        let next = at.get_name_bytes(name.as_encoded_bytes()).ok_or_else(missing)?.to_owned();
        if next.kind() != Some(ObjectType::Tree) {
            return Err(missing());
        }
        at = repo.find_tree(next.id()).map_err(|error| corrupt(place, error))?;
    }
    Ok(at.id())
}

/// A name within a tree. Git itself never writes the refused ones; they would lead out of the folder.
fn file_name(bytes: &[u8], place: &str) -> Result<String, SourceError> {
    let name = String::from_utf8_lossy(bytes);
    if matches!(&*name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(corrupt(place, git2::Error::from_str(&format!("a tree has an entry named {name:?}"))));
    }
    if name.contains(char::REPLACEMENT_CHARACTER) {
        tracing::warn!(file = %name, "a file name is not UTF-8; it is read under an approximate name");
    }
    Ok(name.into_owned())
}

pub(super) fn corrupt(place: &str, error: git2::Error) -> SourceError {
    SourceError::Corrupt { place: place.to_owned(), source: GitFailure::from(error) }
}
