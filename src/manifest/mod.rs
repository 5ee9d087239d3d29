//! FileTree → [`Desired`]: every YAML and KDL file of a revision, checked and resolved.
//!
//! Comes in: the files of one revision. Goes out: what the revision wants, or a [`Report`] of all its mistakes at once,
//! each with file, line, column, cause and remedy. Nothing here reads a file, the environment or a clock, and a file that
//! is wrong is never replaced by defaults.
//!
//! ```text
//!  text ─▶ yaml · kdl ─▶ tree (texts and places) ─▶ conform (schema of raw/) ─▶ raw types ─▶ resolve ─▶ link ─▶ check
//! ```

mod check;
mod circles;
mod clash;
mod classify;
mod conform;
mod cursor;
mod daemon;
mod files;
mod free;
pub mod kdl;
mod link;
mod parallel;
pub mod raw;
mod render;
mod report;
mod resolve;
mod schema;
pub mod shape;
mod suggest;
mod text;
pub mod tree;
mod waits;
pub mod yaml;

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod seed_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written_tests;

pub use daemon::daemon_config;
pub use raw::daemon::DaemonConfig;
pub use render::Style;
pub use report::{Certainty, Diagnostic, Report};
pub use schema::{Kind, schema};
pub use text::{Place, SourceFile, Span};

use crate::model::{Desired, FileKind, FileTree, Location, Notice};

/// Compiles the files of one revision.
///
/// # Errors
/// The report of all mistakes.
pub fn compile(tree: &FileTree) -> Result<Desired, Report> {
    let files = files::read(tree);
    let mut desired = link::link(tree, files)?;
    let modules = tree.files.iter().filter(|(_, entry)| entry.kind == FileKind::Submodule);
    desired.notices.extend(modules.map(|(path, _)| Notice {
        at: Location { file: path.as_str().into(), line: 1, column: 1 },
        text: "a submodule is not read: its files are not in this repo".to_owned(),
    }));
    Ok(desired)
}
