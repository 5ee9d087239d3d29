//! Why a task has no output.

use std::fmt::Display;

/// Why a task has no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It did not do its work.
    #[error("{0}")]
    Failed(String),
    /// A parameter is missing or wrong.
    #[error("parameter `{name}`: {reason}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// It noticed that it was asked to stop, and stopped.
    #[error("it was asked to stop")]
    Cancelled,
    /// It gave up on something that took too long.
    #[error("{0}")]
    TimedOut(String),
}

impl TaskError {
    /// A failure, from whatever says why.
    pub fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    pub(super) fn parameter(name: &str, reason: impl Display) -> Self {
        Self::Parameter { name: name.to_owned(), reason: reason.to_string() }
    }
}

impl From<&str> for TaskError {
    fn from(why: &str) -> Self {
        Self::failed(why)
    }
}

impl From<String> for TaskError {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<std::io::Error> for TaskError {
    fn from(why: std::io::Error) -> Self {
        Self::failed(why)
    }
}

impl From<serde_json::Error> for TaskError {
    fn from(why: serde_json::Error) -> Self {
        Self::failed(why)
    }
}
