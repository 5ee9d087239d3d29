//! Lines of an instance's log, and which of them are wanted.

use crate::model::Timestamp;

/// Where a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output; everything, when the container has a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written to.
    pub stream: LogStream,
    /// When, if that was asked for.
    pub at: Option<Timestamp>,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Only so many lines from the end.
    pub tail: Option<u32>,
    /// Go on with what is written from now on, until the container ends.
    pub follow: bool,
    /// Only lines written since (whole seconds).
    pub since: Option<Timestamp>,
    /// With the time of each line.
    pub timestamps: bool,
}
