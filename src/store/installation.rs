//! The installation id beside the database, by which containers are recognised when the database is lost.

use std::path::{Path, PathBuf};

/// The file that holds it.
pub(super) fn installation_file(path: &Path) -> PathBuf {
    path.with_file_name("installation")
}

/// The installation id from the file beside the database.
pub(super) fn kept_installation(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(installation_file(path)).ok()?;
    let id = text.trim();
    (id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}
