//! What the end of a program means: its exit code says how it ended, its streams what it gave.

use super::error::TaskError;
use serde_json::Value;

/// Lines of the end of standard error that go into the message of a failure.
const TAIL_LINES: usize = 10;
/// The most bytes of that.
const TAIL_BYTES: usize = 2 * 1024;
/// How much of the end of each stream is kept.
pub(super) const KEPT: usize = 16 * 1024;

/// The end of what a program wrote to each stream, as text; of standard output only when that is not its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams {
    pub(super) output: String,
    pub(super) errors: String,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// With a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// What a program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Standard output, cut off at the limit.
    pub(super) output: Vec<u8>,
    /// How many bytes that was before it was cut off.
    pub(super) output_bytes: usize,
    /// The end of standard output.
    pub(super) output_end: Vec<u8>,
    /// The end of standard error.
    pub(super) errors: Vec<u8>,
}

/// What the end of a program means.
pub(super) struct Meaning {
    /// How it ended, by its exit code alone, with its output.
    pub(super) result: Result<Option<Value>, TaskError>,
    /// What is kept of its streams.
    pub(super) streams: Streams,
    /// Why its output is not handed on.
    pub(super) remark: Option<String>,
}

/// What the end of a program means.
pub(super) fn meaning(exit: Exit, written: &Written, limit: usize) -> Meaning {
    let failed = |how: String| {
        let tail = tail(&written.errors);
        TaskError::Failed(if tail.is_empty() { how } else { format!("{how}: {tail}") })
    };
    let mut remark = None;
    let result = match exit {
        Exit::Code(0) => {
            let output = output(written, limit);
            Ok(output.unwrap_or_else(|bytes| {
                remark = Some(format!(
                    "its output of {bytes} bytes is more than the limit of {limit}: only its end is kept, and nothing \
                     is handed on"
                ));
                None
            }))
        }
        Exit::Code(code) => Err(failed(format!("exit {code}"))),
        Exit::Signal(signal) => Err(failed(format!("ended by signal {signal} ({})", signal_name(signal)))),
    };
    // Kept once: as its output, or as what it wrote.
    let output = if matches!(result, Ok(Some(_))) { String::new() } else { text(&written.output_end) };
    Meaning { result, streams: Streams { output, errors: text(&written.errors) }, remark }
}

/// What a program wrote to its standard output, as a value: JSON when it is JSON, else the text without the end of its
/// last line. `Err` with its size when it is too large.
fn output(written: &Written, limit: usize) -> Result<Option<Value>, usize> {
    if written.output_bytes > limit {
        return Err(written.output_bytes);
    }
    if written.output.trim_ascii().is_empty() {
        return Ok(None);
    }
    if let Ok(value) = serde_json::from_slice(&written.output) {
        return Ok(Some(value));
    }
    let text = String::from_utf8_lossy(&written.output);
    let text = Value::from(text.trim_end_matches(['\n', '\r']));
    // As JSON, a control character takes up to six bytes.
    let bytes = text.to_string().len();
    if bytes > limit { Err(bytes) } else { Ok(Some(text)) }
}

/// As text; bytes that are not UTF-8 are replaced.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.trim().is_empty() { String::new() } else { text.into_owned() }
}

/// The last lines, as text.
fn tail(errors: &[u8]) -> String {
    let errors = &errors[errors.len().saturating_sub(TAIL_BYTES)..];
    let text = String::from_utf8_lossy(errors);
    let mut lines: Vec<&str> = text.trim_end().lines().rev().take(TAIL_LINES).collect();
    lines.reverse();
    lines.join("\n")
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGSYS => "SIGSYS",
        _ => "another signal",
    }
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;
