//! Files of a folder as git would store them.

use crate::model::FileKind;
use git2::Oid;
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Path of one file with each content. A link and a file may have the same one: the second part says whether it is a link.
pub(super) type OnDisk = HashMap<(Oid, bool), PathBuf>;

/// The bytes git would store for a file or link.
pub(super) fn content(path: &Path, kind: FileKind) -> io::Result<Arc<[u8]>> {
    match kind {
        FileKind::Symlink => Ok(std::fs::read_link(path)?.as_os_str().as_bytes().into()),
        _ => Ok(std::fs::read(path)?.into()),
    }
}

/// A file was written meanwhile.
pub(super) fn changed() -> io::Error {
    io::Error::other("the file changed while it was being read; try again")
}
