//! Lines of an instance's log, and the selection of lines.

use crate::model::Timestamp;

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output; everything, when the container has a terminal.
    Stdout,
    Stderr,
}

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub stream: LogStream,
    /// When it was written, if that was requested.
    pub at: Option<Timestamp>,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Maximum number of lines, counted from the end.
    pub tail: Option<u32>,
    /// Follow new output until the container ends.
    pub follow: bool,
    /// Only lines written since (whole seconds).
    pub since: Option<Timestamp>,
    /// Whether each line has its time.
    pub timestamps: bool,
}
