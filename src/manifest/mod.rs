//! FileTree → Desired.
use crate::model::{Desired, FileTree};

/// All mistakes of a revision.
#[derive(Clone, Debug, Default)]
pub struct Report {}

/// Compiles the files of one revision.
///
/// # Errors
/// The report of all mistakes.
pub fn compile(_tree: &FileTree) -> Result<Desired, Report> {
    todo!()
}
