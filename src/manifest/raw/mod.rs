//! The files as they are written: one type per kind of file. The JSON Schemas that editors use, and that `conform`
//! checks files with, are generated from these types; a doc comment here is the help that an editor shows.

pub mod builder;
pub mod common;
pub mod daemon;
pub mod deployment;
pub(super) mod forms;
pub mod health;
pub mod network;
pub mod schedule;
pub mod service;
pub mod settings;
pub mod text;
pub mod units;

use super::report::{Certainty, Diagnostic};
use super::text::{Place, SourceFile, Span};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::sync::Arc;

/// Checked values as their type.
///
/// # Errors
/// When the check let something through that the type does not take: a fault of ours, reported with its file.
pub(super) fn typed<T: DeserializeOwned>(
    json: Json,
    source: &Arc<SourceFile>,
    span: Span,
) -> Result<T, Box<Diagnostic>> {
    serde_json::from_value(json).map_err(|error| {
        let place = Place { source: Arc::clone(source), span };
        let message = format!("this file matches the schema but cannot be read: {error}");
        Box::new(
            Diagnostic::new("internal", Certainty::Format, &place, message)
                .help("please report this file; this is a bug in setpoint"),
        )
    })
}
