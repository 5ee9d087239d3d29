//! Health checks: run by the engine inside the container, or made from outside.

use super::Resolver;
use super::service::Draft;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::forms;
use crate::manifest::raw::health::{Healthcheck as Raw, HttpCheck};
use crate::manifest::raw::text::Command;
use crate::model::{FieldKind, Healthcheck, Probe, Test};
use std::time::Duration;

/// What a check of a probe takes when the file does not say: quick enough for the default `startup_timeout`.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
const PROBE_RETRIES: u32 = 3;

impl Resolver<'_> {
    /// Fills the health check of a draft.
    pub(crate) fn health(&mut self, draft: &mut Draft<'_>, raw: Raw) {
        let at = draft.at.key("healthcheck");
        draft.set(FieldKind::Healthcheck, at);
        draft.set(FieldKind::Probe, at);
        let kinds: Vec<&str> =
            ["command", "test", "exec", "shell", "http", "tcp"].into_iter().filter(|key| at.has(key)).collect();
        if let [first, second, ..] = kinds.as_slice() {
            let message = format!("`{first}` and `{second}` are two checks");
            self.mistake("two-checks", at.name(second), message, "keep one of them: a container has one health check");
            return;
        }
        for (key, value) in [("interval", &raw.interval), ("timeout", &raw.timeout)] {
            if value.as_ref().is_some_and(|value| value.0 < Duration::from_millis(1)) {
                let message = format!("`{key}` must be at least 1 ms");
                self.mistake("out-of-bounds", at.key(key), message, "write for example `5`, which is seconds");
            }
        }
        let interval = raw.interval.as_ref().map(|value| value.0);
        let timeout = raw.timeout.as_ref().map(|value| value.0);
        let start_period = raw.start_period.as_ref().map(|value| value.0).filter(|period| !period.is_zero());
        if raw.disable == Some(true) {
            if let Some(kind) = kinds.first() {
                let message = format!("`disable` and `{kind}` contradict each other");
                self.mistake("two-checks", at.name("disable"), message, "keep one of the two");
            }
            draft.spec.healthcheck = Some(Healthcheck {
                test: Test::Disabled,
                interval: None,
                timeout: None,
                retries: None,
                start_period: None,
            });
            return;
        }
        if let Some((port, http_path)) = self.probed(&raw, at) {
            draft.probe = Some(Probe {
                http_path,
                port,
                interval: interval.unwrap_or(PROBE_INTERVAL),
                timeout: timeout.unwrap_or(PROBE_TIMEOUT),
                retries: raw.retries.unwrap_or(PROBE_RETRIES),
                start_period: start_period.unwrap_or_default(),
            });
            return;
        }
        let says_how = interval.is_some() || timeout.is_some() || raw.start_period.is_some() || raw.retries.is_some();
        let retries = raw.retries;
        let Some(test) = self.test(raw, at) else { return };
        if test == Test::Inherit && !says_how {
            let help = "add `command`, `http` or `tcp`, or remove it";
            self.mistake("missing-value", at, "this health check is empty", help);
            return;
        }
        draft.spec.healthcheck = Some(Healthcheck { test, interval, timeout, retries, start_period });
    }

    /// The port that is asked from outside, and the path when it is asked over HTTP.
    fn probed(&mut self, raw: &Raw, at: Cursor<'_>) -> Option<(u16, Option<String>)> {
        match (&raw.http, &raw.tcp) {
            (Some(HttpCheck::Short(target)), _) => Some((target.0.0, Some(target.0.1.clone()))),
            (Some(HttpCheck::Long(spec)), _) => {
                let path = spec.path.as_ref().map_or("/", |path| path.0.as_str());
                if forms::is_http_path(path) {
                    return Some((spec.port.0, Some(path.to_owned())));
                }
                let help = "start it with `/`, without spaces";
                self.mistake("wrong-form", at.key("http").key("path"), format!("`{path}` is not a path"), help);
                None
            }
            (None, Some(port)) => Some((port.0, None)),
            (None, None) => None,
        }
    }

    /// What the engine runs in the container; `None` when that is a mistake.
    fn test(&mut self, raw: Raw, at: Cursor<'_>) -> Option<Test> {
        let (line, words) = match raw.test {
            Some(Command::Line(line)) => (Some(line), None),
            Some(Command::Words(words)) => (None, Some(words)),
            None => (None, None),
        };
        let test = match (raw.command.or(raw.shell).or(line), raw.exec, words) {
            (Some(line), ..) => Test::Shell(line.0),
            (None, Some(words), _) => Test::Exec(words.into_iter().map(|word| word.0).collect()),
            (None, None, Some(words)) => {
                let words: Vec<String> = words.into_iter().map(|word| word.0).collect();
                match words.split_first() {
                    Some((first, rest)) if first == "CMD" => Test::Exec(rest.to_vec()),
                    Some((first, rest)) if first == "CMD-SHELL" => Test::Shell(rest.join(" ")),
                    Some((first, [])) if first == "NONE" => Test::Disabled,
                    _ => {
                        let help =
                            "start the list with `CMD`, `CMD-SHELL` or `NONE`, or write `exec: [program, argument]`";
                        self.mistake("wrong-form", at.key("test"), "this list does not say how the check is run", help);
                        return None;
                    }
                }
            }
            (None, None, None) => Test::Inherit,
        };
        let empty = match &test {
            Test::Exec(words) => words.is_empty(),
            Test::Shell(line) => line.trim().is_empty(),
            Test::Inherit | Test::Disabled => false,
        };
        if empty {
            self.mistake("missing-value", at, "the health check has no command", "write a command, or `disable: true`");
            return None;
        }
        Some(test)
    }
}
