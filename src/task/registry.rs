//! What a task runner can run.

use super::command::CommandLine;
use super::context::TaskContext;
use super::error::TaskError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A function that a task runs: from its context, which has the parameters, to its output.
pub type Function = Arc<dyn Fn(&mut TaskContext<'_>) -> Result<Value, TaskError> + Send + Sync>;

/// What runs a kind of task.
#[derive(Clone)]
pub enum TaskHandler {
    /// Calls a function in this process.
    Function(Function),
    /// Runs a program.
    Command(CommandLine),
}

impl fmt::Debug for TaskHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(_) => f.write_str("Function"),
            Self::Command(line) => f.debug_tuple("Command").field(line).finish(),
        }
    }
}

/// Kinds of task by their names.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    handlers: BTreeMap<String, TaskHandler>,
    /// No parameter chooses the handler.
    by_id: bool,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a function under a name; an earlier one of that name is replaced.
    #[must_use]
    pub fn function<F>(self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(&mut TaskContext<'_>) -> Result<Value, TaskError> + Send + Sync + 'static,
    {
        self.handler(name, TaskHandler::Function(Arc::new(function)))
    }

    /// With a program under a name; an earlier one of that name is replaced.
    #[must_use]
    pub fn command(self, name: impl Into<String>, line: CommandLine) -> Self {
        self.handler(name, TaskHandler::Command(line))
    }

    /// With a handler under a name; an earlier one of that name is replaced.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>, handler: TaskHandler) -> Self {
        self.handlers.insert(name.into(), handler);
        self
    }

    /// The id of a task alone chooses its handler: its parameters, `task_type` among them, are left to the task.
    #[must_use]
    pub fn by_id(mut self) -> Self {
        self.by_id = true;
        self
    }

    /// The handler of a name.
    pub fn get(&self, name: &str) -> Option<&TaskHandler> {
        self.handlers.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Only what has one of these names.
    ///
    /// # Errors
    /// The first name that nothing has.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !self.handlers.contains_key(*name)) {
            return Err(unknown.clone());
        }
        if !names.is_empty() {
            self.handlers.retain(|name, _| names.contains(name));
        }
        Ok(self)
    }

    /// The handler for a request. The protocol has no field for the kind of work, since a runner used to have only one.
    /// Where it has several, the parameter `task_type` names it, or else the id of the task.
    ///
    /// # Errors
    /// When neither names one, with the names there are.
    pub(super) fn choose(&self, parameters: &Map<String, Value>, task_id: &str) -> Result<&TaskHandler, String> {
        if let (false, 1, Some(only)) = (self.by_id, self.handlers.len(), self.handlers.values().next()) {
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
        let handlers = Registry::new().function("a", |_| Ok(Value::from("a")));
        handlers.command("b", CommandLine::new(["true"]).unwrap())
    }

    #[test]
    fn one_kind_serves_every_task_and_several_are_chosen_by_name() {
        let (both, none) = (two(), Map::new());
        assert!(matches!(both.choose(&named("b"), "a"), Ok(TaskHandler::Command(_))), "the parameter goes first");
        assert!(matches!(both.choose(&none, "a"), Ok(TaskHandler::Function(_))));
        assert_eq!(both.choose(&named("c"), "a").unwrap_err(), "task_type `c` is none of a, b");
        assert_eq!(
            both.choose(&none, "t1").unwrap_err(),
            "neither the parameter task_type nor the id `t1` is one of a, b"
        );
        let one = both.only(&["a".to_owned()]).unwrap();
        assert!(matches!(one.choose(&none, "t1"), Ok(TaskHandler::Function(_))), "the id is apart from the kind");
    }

    #[test]
    fn where_ids_choose_no_parameter_does() {
        let both = two().by_id();
        assert!(matches!(both.choose(&named("b"), "a"), Ok(TaskHandler::Function(_))));
        assert!(matches!(both.choose(&named("ml"), "b"), Ok(TaskHandler::Command(_))));
        let one = both.only(&["a".to_owned()]).unwrap();
        assert_eq!(one.choose(&named("a"), "b").unwrap_err(), "the id `b` is none of a");
    }

    #[test]
    fn a_name_that_nothing_has_is_told() {
        assert_eq!(two().only(&["a".to_owned(), "x".to_owned()]).unwrap_err(), "x");
        assert_eq!(two().only(&[]).unwrap().names().count(), 2);
    }
}
