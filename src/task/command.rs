//! A program as work: its words and its environment.

use super::error::TaskError;
use crate::process::config;
use crate::wire::AttemptKey;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What is larger is given on standard input only: the kernel takes no text of 128 KiB or more at the start of a
/// program.
const MAX_VARIABLE: usize = 64 * 1024;
/// What a program finds in its environment of the runner's own.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// The variable by which a program, and all that it starts, is known as part of a run.
pub const RUN_VARIABLE: &str = "SETPOINT_RUN";
/// Where programs are searched when the runner's own environment has no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its arguments. No shell reads them.
///
/// `{{name}}` in a word is replaced by the parameter of that name: a text as it is, everything else as JSON. Braces
/// around anything that is not a name stay. A word stays one word, whatever the parameter holds. The first word is never
/// replaced, so that no parameter chooses the program.
///
/// The program finds the parameters as JSON on its standard input and in `TASK_PARAMETERS`, scalar ones in
/// `TASK_PARAM_<NAME>` too (upper case, `_` for all but letters and digits), and `SETPOINT_RUN`, `SETPOINT_TASK`,
/// `SETPOINT_OCCURRENCE` and `SETPOINT_ATTEMPT`, also under the names `RUN_ID`, `TASK_ID`, `OCCURRENCE` and `ATTEMPT`.
/// Variables beyond 64 KiB are left out. Of the runner's own environment it finds `PATH`, `HOME`, `LANG` and `TZ`, and
/// nothing else.
///
/// Its exit code says how it ended. What it writes to standard output is its output: JSON when it is JSON, else a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    program: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl CommandLine {
    /// A program and its arguments; `None` when there is no program.
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut words = words.into_iter().map(Into::into);
        let program = words.next().filter(|program: &String| !program.is_empty())?;
        Some(Self { program, arguments: words.collect(), environment: BTreeMap::new() })
    }

    /// With variables of its own; they override those of the runner.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// The whole environment of the program for a task. Of two parameters with one variable, the last in order counts.
    pub(super) fn variables(
        &self,
        key: &AttemptKey,
        parameters: &Map<String, Value>,
        json: &str,
    ) -> BTreeMap<String, String> {
        let inherited = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), config::env(name)?)));
        let mut variables: BTreeMap<String, String> = [("PATH".to_owned(), PATH.to_owned())].into();
        variables.extend(inherited.chain(self.environment.clone()));
        let (occurrence, attempt) = (key.occurrence.to_string(), key.attempt.to_string());
        let own = [
            (RUN_VARIABLE, key.run_id.as_str()),
            ("SETPOINT_TASK", key.task_id.as_str()),
            ("SETPOINT_OCCURRENCE", &occurrence),
            ("SETPOINT_ATTEMPT", &attempt),
            ("RUN_ID", &key.run_id),
            ("TASK_ID", key.task_id.as_str()),
            ("OCCURRENCE", &occurrence),
            ("ATTEMPT", &attempt),
            ("TASK_PARAMETERS", json),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let scalars = parameters.iter().filter(|(_, value)| !value.is_object() && !value.is_array());
        let scalars = scalars.map(|(name, value)| (format!("TASK_PARAM_{}", variable_name(name)), plain(value)));
        let fits = |(_, value): &(String, String)| value.len() <= MAX_VARIABLE && !value.contains('\0');
        variables.extend(own.chain(scalars).filter(fits));
        variables
    }

    /// The file of the program, as a shell with this `PATH` would find it. Found here, it is started without a fork, which
    /// would copy the tables of all memory that is locked.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn file(&self, path: &str) -> Result<PathBuf, TaskError> {
        let absolute = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        if self.program.contains('/') {
            return Ok(absolute(Path::new(&self.program)));
        }
        let runs = |file: &PathBuf| {
            file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let found = path.split(':').map(|folder| absolute(&Path::new(folder).join(&self.program))).find(runs);
        found.ok_or_else(|| {
            TaskError::Failed(format!("cannot start `{}`: it is in no folder of PATH ({path})", self.program))
        })
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

/// A value as plain text: a text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn variable_name(parameter: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    parameter.chars().map(letter).collect()
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
