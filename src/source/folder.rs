//! The files of a folder on disk, to read what is not committed yet.

use super::entry::{Listed, MAX_DEPTH, MAX_ENTRIES, load};
use super::on_disk::{OnDisk, changed, content};
use super::{Blobs, SourceError};
use crate::model::{FileKind, FileTree};
use git2::{ObjectType, Oid, Repository, RepositoryOpenFlags};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Reads a folder. Leaves out `.git` and, inside a work tree, what git ignores and does not track. Links are listed, never
/// followed; so are nested repositories, as submodules. Sockets, pipes and devices are left out, as git does.
///
/// # Errors
/// When the folder or a file in it cannot be read, or there are too many files.
pub fn read_folder(folder: &Path) -> Result<(FileTree, Blobs), SourceError> {
    let root = folder.canonicalize().map_err(|source| failed(folder, source))?;
    if !root.is_dir() {
        return Err(failed(folder, io::Error::new(io::ErrorKind::NotADirectory, "not a folder")));
    }
    let mut paths = untracked_and_tracked(&root)?;
    paths.extend(tracked_though_ignored(&root));

    let mut listed = Vec::new();
    let mut on_disk = OnDisk::new();
    for path in paths {
        let Some(item) = list(&root, &path)? else { continue };
        if item.kind != FileKind::Submodule {
            on_disk.insert((item.oid, item.kind == FileKind::Symlink), path);
        }
        listed.push(item);
    }
    let tree = load(listed, |item| {
        let path = on_disk
            .get(&(item.oid, item.kind == FileKind::Symlink))
            .map_or_else(|| root.join(&item.path), |path| root.join(path));
        let content = content(&path, item.kind).map_err(|source| failed(&path, source))?;
        if hash(&content) != Some(item.oid) {
            return Err(failed(&path, changed()));
        }
        Ok(content)
    })?;
    Ok((tree, Blobs::of_folder(root, on_disk)))
}

/// What `ignore` finds, relative to `root`.
fn untracked_and_tracked(root: &Path) -> Result<BTreeSet<PathBuf>, SourceError> {
    let mut walk = ignore::WalkBuilder::new(root);
    walk.hidden(false).ignore(false).follow_links(false).max_depth(Some(MAX_DEPTH + 1)).filter_entry(|entry| {
        // A nested repository is listed as one entry, and `.git` not at all.
        entry.file_name() != ".git"
            && !entry.path().parent().is_some_and(|parent| entry.depth() > 1 && is_nested(parent))
    });
    let mut paths = BTreeSet::new();
    let mut seen = 0_usize;
    for entry in walk.build() {
        let entry = entry.map_err(|error| walk_failed(root, error))?;
        seen += 1;
        if seen > MAX_ENTRIES || entry.depth() > MAX_DEPTH {
            let place = root.display().to_string();
            return Err(SourceError::TooManyFiles { place, limit: MAX_ENTRIES, depth: MAX_DEPTH });
        }
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        if entry.depth() == 0 || (is_folder && !is_nested(entry.path())) {
            continue;
        }
        if let Ok(path) = entry.path().strip_prefix(root) {
            paths.insert(path.to_owned());
        }
    }
    Ok(paths)
}

/// What the index lists below `root` and exists; a file that was added by force is no less committed.
fn tracked_though_ignored(root: &Path) -> Vec<PathBuf> {
    let Ok(repo) = Repository::open_ext(root, RepositoryOpenFlags::CROSS_FS, &[] as &[&OsStr]) else {
        return Vec::new();
    };
    let (Some(top), Ok(index)) = (repo.workdir().and_then(|top| top.canonicalize().ok()), repo.index()) else {
        return Vec::new();
    };
    index
        .iter()
        .map(|entry| top.join(OsStr::from_bytes(&entry.path)))
        .filter(|path| path.symlink_metadata().is_ok() && no_link_above(path, root))
        .filter_map(|path| path.strip_prefix(root).ok().map(Path::to_owned))
        .collect()
}

/// Whether every folder between `root` and `path` is a real one: a tracked folder may since have become a link elsewhere.
fn no_link_above(path: &Path, root: &Path) -> bool {
    path.ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
        .all(|folder| folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()))
}

fn is_nested(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

fn list(root: &Path, path: &Path) -> Result<Option<Listed>, SourceError> {
    let full = root.join(path);
    let metadata = match full.symlink_metadata() {
        // Gone since it was listed, as the temporary files of editors are.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| failed(&full, source))?,
    };
    let Some(kind) = kind(&metadata) else { return Ok(None) };
    let oid = match kind {
        FileKind::Submodule => {
            Repository::open(&full).ok().and_then(|repo| repo.head().ok()?.target()).unwrap_or(Oid::ZERO_SHA1)
        }
        FileKind::Symlink => {
            let target = content(&full, kind).map_err(|source| failed(&full, source))?;
            hash(&target).unwrap_or(Oid::ZERO_SHA1)
        }
        // Streams the file, however large it is.
        FileKind::Regular | FileKind::Executable => Oid::hash_file(ObjectType::Blob, &full)
            .map_err(|error| failed(&full, io::Error::other(error.message().to_owned())))?,
    };
    let size = if kind == FileKind::Submodule { 0 } else { metadata.len() };
    let path = path.to_string_lossy().into_owned();
    Ok(Some(Listed { path, oid, kind, size }))
}

fn kind(metadata: &Metadata) -> Option<FileKind> {
    let file_type = metadata.file_type();
    if file_type.is_symlink() {
        Some(FileKind::Symlink)
    } else if file_type.is_dir() {
        Some(FileKind::Submodule)
    } else if !file_type.is_file() {
        None
    } else if metadata.permissions().mode() & 0o100 != 0 {
        Some(FileKind::Executable)
    } else {
        Some(FileKind::Regular)
    }
}

fn hash(content: &[u8]) -> Option<Oid> {
    Oid::hash_object(ObjectType::Blob, content).ok()
}

fn failed(path: &Path, source: io::Error) -> SourceError {
    SourceError::Folder { path: path.to_owned(), source }
}

fn walk_failed(root: &Path, error: ignore::Error) -> SourceError {
    let text = error.to_string();
    failed(root, error.into_io_error().unwrap_or_else(|| io::Error::other(text)))
}
