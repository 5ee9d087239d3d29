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
mod conform;
mod cursor;
mod files;
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

pub use raw::daemon::DaemonConfig;
pub use render::Style;
pub use report::{Certainty, Diagnostic, Report};
pub use schema::{Kind, schema};
pub use text::{Place, SourceFile, Span};

use crate::model::{Desired, FileTree};
use std::sync::Arc;

/// Compiles the files of one revision.
///
/// # Errors
/// The report of all mistakes.
pub fn compile(tree: &FileTree) -> Result<Desired, Report> {
    let files = files::read(tree);
    link::link(tree, files)
}

/// Reads the settings of a daemon. `path_name` is used in messages, and its ending tells the format (`.kdl`, else YAML).
///
/// # Errors
/// The report of all mistakes.
pub fn daemon_config(path_name: &str, text: &str) -> Result<DaemonConfig, Report> {
    let source = Arc::new(SourceFile::new(path_name, text));
    let shapes = Kind::Daemon.shapes();
    let mut mistakes = Vec::new();
    let read = if path_name.ends_with(".kdl") {
        kdl::parse(&source).map(|document| Some(document.tree(&source, shapes, shapes.root(), &mut mistakes)))
    } else {
        yaml::parse(&source)
    };
    let tree = match read {
        Ok(Some(tree)) => tree,
        Ok(None) => {
            let mistake = Diagnostic::of_file("empty-file", path_name, "this file is empty");
            return Err(Report::new(vec![mistake.help("write at least `repo \"…\"`")]));
        }
        Err(mistakes) => return Err(Report::new(mistakes)),
    };
    let conformed = conform::conform(&source, shapes, shapes.root(), &tree, &mut mistakes);
    match conformed.json {
        Some(json) if mistakes.is_empty() => {
            raw::typed(json, &source, tree.span).map_err(|mistake| Report::new(vec![*mistake]))
        }
        _ => Err(Report::new(mistakes)),
    }
}
