//! The config repo that the demo commits.

use crate::cli::exit::Failure;
use crate::process::clock;
use crate::source::Author;
use include_dir::{Dir, include_dir};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Its files.
pub(super) static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/infra-repo");

/// Writes the files into a folder.
pub(super) fn write_example(folder: &Dir<'_>, to: &Path) -> Result<(), Failure> {
    for file in folder.files() {
        let path = to.join(file.path());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // The executable bit is not embedded; what starts with `#!` had it.
        if file.contents().starts_with(b"#!") {
            write_executable(&path, file.contents())?;
        } else {
            fs::write(&path, file.contents())?;
        }
    }
    folder.dirs().try_for_each(|folder| write_example(folder, to))
}

/// Writes a program.
pub(super) fn write_executable(path: &Path, content: &[u8]) -> Result<(), Failure> {
    fs::write(path, content)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// Who commits.
pub(super) fn author() -> Author<'static> {
    Author { name: "Setpoint demo", address: "demo@localhost", at: clock::now() }
}
