//! A program as work: its words, what it is told, and what its end means.

use super::registry::TaskError;
use crate::wire::AttemptKey;
use serde_json::{Map, Value};
use std::ffi::OsString;

/// What is larger is given on standard input only: the kernel takes no text of 128 KiB or more at the start of a
/// program.
const MAX_VARIABLE: usize = 64 * 1024;
/// How much of what a program said last goes into the message of its failure.
const TAIL_LINES: usize = 10;
/// The most bytes of that.
const TAIL_BYTES: usize = 2 * 1024;
/// How much of an output that is not JSON is shown.
const SHOWN: usize = 80;

/// A program and its arguments. No shell reads them.
///
/// `{{name}}` in a word is replaced by the parameter of that name: a text as it is, everything else as JSON. Braces
/// around anything that is no name stay. A word stays one word, whatever the parameter holds. The first word is never
/// replaced, so that no parameter chooses the program.
///
/// The program finds the parameters as JSON on its standard input and in `TASK_PARAMETERS`, scalar ones in
/// `TASK_PARAM_<NAME>` too (upper case, `_` for all but letters and digits), and `TASK_ID`, `RUN_ID`, `OCCURRENCE` and
/// `ATTEMPT`. Variables beyond 64 KiB are left out. What it writes to standard output must be JSON, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    program: String,
    arguments: Vec<String>,
}

impl CommandLine {
    /// A program and its arguments; `None` when there is no program.
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut words = words.into_iter().map(Into::into);
        let program = words.next().filter(|program: &String| !program.is_empty())?;
        Some(Self { program, arguments: words.collect() })
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// The arguments for a task.
    ///
    /// # Errors
    /// When a word names a parameter that is not there.
    pub(super) fn arguments(&self, parameters: &Map<String, Value>) -> Result<Vec<String>, TaskError> {
        self.arguments.iter().map(|word| fill(word, parameters)).collect()
    }
}

fn fill(word: &str, parameters: &Map<String, Value>) -> Result<String, TaskError> {
    let (mut filled, mut rest) = (String::with_capacity(word.len()), word);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let named = after.split_once("}}").filter(|(name, _)| is_name(name));
        if let Some((name, behind)) = named {
            let value = parameters.get(name).ok_or_else(|| TaskError::parameter(name, "it is missing"))?;
            filled.push_str(&plain(value));
            rest = behind;
        } else {
            filled.push_str("{{");
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    let ends = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(ends) && text.bytes().all(|byte| ends(byte) || byte == b'-')
}

/// A value as a program likes to read it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The variables of a program beyond the runner's own. Of two parameters with one variable, the last in order counts.
pub(super) fn variables(key: &AttemptKey, parameters: &Map<String, Value>, json: &str) -> Vec<(OsString, OsString)> {
    let told = [
        ("TASK_ID".to_owned(), key.task_id.as_str().to_owned()),
        ("RUN_ID".to_owned(), key.run_id.clone()),
        ("OCCURRENCE".to_owned(), key.occurrence.to_string()),
        ("ATTEMPT".to_owned(), key.attempt.to_string()),
        ("TASK_PARAMETERS".to_owned(), json.to_owned()),
    ];
    let scalars = parameters.iter().filter(|(_, value)| !value.is_object() && !value.is_array());
    let scalars = scalars.map(|(name, value)| (format!("TASK_PARAM_{}", variable_name(name)), plain(value)));
    let fits = |(_, value): &(String, String)| value.len() <= MAX_VARIABLE && !value.contains('\0');
    told.into_iter().chain(scalars).filter(fits).map(|(name, value)| (name.into(), value.into())).collect()
}

fn variable_name(parameter: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    parameter.chars().map(letter).collect()
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// With a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// What a program said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Standard output, cut off at the limit.
    pub(super) output: Vec<u8>,
    /// How many bytes that was before it was cut off.
    pub(super) output_bytes: usize,
    /// The end of standard error.
    pub(super) errors: Vec<u8>,
}

/// What the end of a program means.
///
/// # Errors
/// When it failed, gave too much, or gave what is not JSON.
pub(super) fn result(exit: Exit, said: &Said, limit: usize) -> Result<Option<Value>, TaskError> {
    let failed = |how: String| {
        let tail = tail(&said.errors);
        TaskError::Failed(if tail.is_empty() { how } else { format!("{how}: {tail}") })
    };
    match exit {
        Exit::Code(0) if said.output_bytes > limit => {
            Err(failed(format!("its output of {} bytes is more than the limit of {limit}", said.output_bytes)))
        }
        Exit::Code(0) if said.output.trim_ascii().is_empty() => Ok(None),
        Exit::Code(0) => serde_json::from_slice(&said.output).map(Some).map_err(|fault| {
            let shown = said.output.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).take(SHOWN);
            let more = if said.output.len() > SHOWN { "…" } else { "" };
            failed(format!("its output is not JSON ({fault}): `{}{more}`", shown.collect::<String>().escape_debug()))
        }),
        Exit::Code(code) => Err(failed(format!("exit {code}"))),
        Exit::Signal(signal) => Err(failed(format!("ended by signal {signal} ({})", signal_name(signal)))),
    }
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
#[path = "command_tests.rs"]
mod tests;
