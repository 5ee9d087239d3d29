//! Where a task of a schedule runs: at a task server, or as a program with variables of its own.

use super::Resolver;
use super::entries::{is_env_name, without_shell};
use super::servers::Servers;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::text::{Command, Pairs};
use crate::manifest::raw::units::{ServicePath, TaskAddressText};
use crate::model::Target;
use std::collections::BTreeMap;

/// Variables of a program that are filled in when it starts, beside `TASK_…` and `SETPOINT_…`.
const FILLED_IN_VARIABLES: [&str; 3] = ["RUN_ID", "OCCURRENCE", "ATTEMPT"];

impl Resolver<'_> {
    pub(super) fn target(
        &mut self,
        address: Option<TaskAddressText>,
        service: Option<ServicePath>,
        command: Option<Command>,
        at: Cursor<'_>,
        servers: &Servers,
    ) -> Target {
        let given: Vec<&str> =
            [("address", address.is_some()), ("service", service.is_some()), ("command", command.is_some())]
                .into_iter()
                .filter_map(|(key, there)| there.then_some(key))
                .collect();
        if let [_, second, ..] = given.as_slice() {
            let message = format!("`{}` are given, but a task runs in one place", given.join("` and `"));
            self.mistake("two-targets", at.name(second), message, "keep one of them");
        }
        match (address, service, command) {
            (Some(address), ..) => self.address(address.0, at.key("address"), servers),
            (_, Some(service), _) => self.service(service.0.0, service.0.1, at.key("service"), servers),
            (_, _, Some(command)) => {
                let line = match &command {
                    Command::Line(line) => without_shell(&line.0),
                    Command::Words(_) => None,
                };
                if let Some(syntax) = line {
                    let text = format!(
                        "this line is not run by a shell, so `{syntax}` is passed to the program literally; write `[sh, -c, \"…\"]` to use a shell"
                    );
                    self.notice(at.key("command"), text);
                }
                let words = self.words(command, at.key("command"));
                if words.is_empty() {
                    let help = "write the program and its arguments";
                    self.mistake("missing-value", at.key("command"), "this command is empty", help);
                }
                Target::Command(words)
            }
            (None, None, None) => {
                let help = "add `address: host:port`, `service: deployment/task`, or `command: …`";
                self.mistake("missing-key", at, "this task does not say where it runs", help);
                Target::Command(Vec::new())
            }
        }
    }

    /// The variables of a program.
    pub(super) fn environment(
        &mut self,
        raw: Option<Pairs>,
        is_program: bool,
        at: Cursor<'_>,
    ) -> BTreeMap<String, String> {
        if raw.is_some() && !is_program {
            let help = "write `parameters`, or set it where the task server is started";
            self.mistake("no-effect", at.name("env"), "`env` is for a task with a `command`", help);
        }
        let mut environment = BTreeMap::new();
        for (name, value, at) in self.pairs(raw, at.key("env")) {
            if !is_env_name(&name) {
                let help = "use a name without `=` and spaces";
                self.mistake("wrong-form", at, format!("`{name}` cannot be the name of a variable"), help);
            } else if name.starts_with("SETPOINT_")
                || name.starts_with("TASK_")
                || FILLED_IN_VARIABLES.contains(&&*name)
            {
                self.notice(at, format!("`{name}` is set when the task starts and overrides the value here"));
            }
            environment.insert(name, value);
        }
        environment
    }
}
