//! What a task runner can run.

use super::builtin;
use super::command::CommandLine;
use super::context::TaskContext;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A function that a task runs: from its context, which has the parameters, to its output.
pub type Function = Arc<dyn Fn(&mut TaskContext<'_>) -> Result<Value, TaskError> + Send + Sync>;

/// What a kind of task does.
#[derive(Clone)]
pub enum Work {
    /// Calls a function in this process.
    Function(Function),
    /// Runs a program.
    Command(CommandLine),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(_) => f.write_str("Function"),
            Self::Command(line) => f.debug_tuple("Command").field(line).finish(),
        }
    }
}

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
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }

    pub(super) fn parameter(name: &str, reason: impl fmt::Display) -> Self {
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

/// Kinds of task by their names.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    works: BTreeMap<String, Work>,
    /// No parameter chooses.
    by_id: bool,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The built-in functions: `sleep`, `busy`, `sha256`, `md5`, `echo`.
    pub fn builtin() -> Self {
        builtin::add(Self::new())
    }

    /// With a function under a name; an earlier one of that name is gone.
    #[must_use]
    pub fn function<F>(self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(&mut TaskContext<'_>) -> Result<Value, TaskError> + Send + Sync + 'static,
    {
        self.work(name, Work::Function(Arc::new(function)))
    }

    /// With a program under a name; an earlier one of that name is gone.
    #[must_use]
    pub fn command(self, name: impl Into<String>, line: CommandLine) -> Self {
        self.work(name, Work::Command(line))
    }

    /// With work under a name; an earlier one of that name is gone.
    #[must_use]
    pub fn work(mut self, name: impl Into<String>, work: Work) -> Self {
        self.works.insert(name.into(), work);
        self
    }

    /// The id of a task alone says which work is its own: its parameters, `task_type` among them, are the task's affair.
    #[must_use]
    pub fn by_id(mut self) -> Self {
        self.by_id = true;
        self
    }

    /// The work of a name.
    pub fn get(&self, name: &str) -> Option<&Work> {
        self.works.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.works.keys().map(String::as_str)
    }

    /// Only what has one of these names.
    ///
    /// # Errors
    /// The first name that nothing has.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !self.works.contains_key(*name)) {
            return Err(unknown.clone());
        }
        if !names.is_empty() {
            self.works.retain(|name, _| names.contains(name));
        }
        Ok(self)
    }

    /// What a request asks for. The protocol has no field for the kind of work, as a runner used to have one. Where it
    /// has several, the parameter `task_type` names it, or else the id of the task.
    ///
    /// # Errors
    /// When neither names any, with what there is.
    pub(super) fn choose(&self, parameters: &Map<String, Value>, task_id: &str) -> Result<&Work, String> {
        if let (false, 1, Some(only)) = (self.by_id, self.works.len(), self.works.values().next()) {
            return Ok(only);
        }
        let task_type = parameters.get("task_type").and_then(Value::as_str).filter(|_| !self.by_id);
        self.get(task_type.unwrap_or(task_id)).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            match task_type {
                Some(name) => format!("task_type `{name}` is none of {known}"),
                None if self.by_id => format!("the id `{task_id}` is none of {known}"),
                None => format!("neither the parameter task_type nor the id `{task_id}` is one of {known}"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(task_type: &str) -> Map<String, Value> {
        [("task_type".to_owned(), Value::from(task_type))].into_iter().collect()
    }

    fn two() -> Registry {
        let works = Registry::new().function("a", |_| Ok(Value::from("a")));
        works.command("b", CommandLine::new(["true"]).unwrap())
    }

    #[test]
    fn one_kind_serves_every_task_and_several_are_chosen_by_name() {
        let (both, none) = (two(), Map::new());
        assert!(matches!(both.choose(&named("b"), "a"), Ok(Work::Command(_))), "the parameter goes first");
        assert!(matches!(both.choose(&none, "a"), Ok(Work::Function(_))));
        assert_eq!(both.choose(&named("c"), "a").unwrap_err(), "task_type `c` is none of a, b");
        assert_eq!(
            both.choose(&none, "t1").unwrap_err(),
            "neither the parameter task_type nor the id `t1` is one of a, b"
        );
        let one = both.only(&["a".to_owned()]).unwrap();
        assert!(matches!(one.choose(&none, "t1"), Ok(Work::Function(_))), "the id is apart from the kind");
    }

    #[test]
    fn where_ids_choose_no_parameter_does() {
        let both = two().by_id();
        assert!(matches!(both.choose(&named("b"), "a"), Ok(Work::Function(_))));
        assert!(matches!(both.choose(&named("ml"), "b"), Ok(Work::Command(_))));
        let one = both.only(&["a".to_owned()]).unwrap();
        assert_eq!(one.choose(&named("a"), "b").unwrap_err(), "the id `b` is none of a");
    }

    #[test]
    fn a_name_that_nothing_has_is_told() {
        assert_eq!(two().only(&["a".to_owned(), "x".to_owned()]).unwrap_err(), "x");
        assert_eq!(two().only(&[]).unwrap().names().count(), 2);
    }
}
