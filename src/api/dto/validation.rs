//! Whether files hold mistakes.

use super::Revision;
use crate::model;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `setpoint validate --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Version of this form.
    pub version: u32,
    /// Whether the files have no mistakes.
    pub valid: bool,
    /// What was checked; absent when it could not be read.
    pub revision: Option<Revision>,
    /// What the files hold, when they are valid.
    #[serde(flatten)]
    pub content: Option<Content>,
    /// The mistakes: `code`, `message`, and where.
    pub mistakes: Vec<Value>,
}

/// What valid files hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// How many deployments.
    pub deployments: usize,
    /// How many services.
    pub services: usize,
    /// How many images that builder files build.
    pub images: usize,
    /// How many schedules.
    pub schedules: usize,
    /// Remarks that keep nothing from being used.
    pub notices: Vec<Notice>,
}

/// A remark about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Where.
    pub at: Location,
    /// What, and what to do about it.
    pub text: String,
}

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Path from the root of the config repo.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl From<&model::Notice> for Notice {
    fn from(notice: &model::Notice) -> Self {
        let model::Notice { at: model::Location { file, line, column }, text } = notice;
        Self { at: Location { file: file.to_string(), line: *line, column: *column }, text: text.clone() }
    }
}
