//! What instances write.

use super::Problem;
use crate::engine;
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the answer to `/v1/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LogItem {
    /// The first: which containers were chosen.
    Containers {
        /// Their names.
        containers: Vec<String>,
    },
    /// A line of one of them.
    Line(LogLine),
    /// The last, when the engine broke off.
    Problem(Problem),
}

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Name of the container.
    pub container: String,
    /// Where it was written to.
    pub stream: LogStream,
    /// When, if that was asked for.
    pub at: Option<Timestamp>,
    /// The line without its end.
    pub text: String,
}

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output; everything, when the container has a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogLine {
    /// A line of a container.
    pub fn new(container: &str, line: engine::LogLine) -> Self {
        let engine::LogLine { stream, at, text } = line;
        let stream = match stream {
            engine::LogStream::Stdout => LogStream::Stdout,
            engine::LogStream::Stderr => LogStream::Stderr,
        };
        Self { container: container.to_owned(), stream, at, text }
    }
}
