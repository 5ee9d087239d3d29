//! What task servers tell about attempts beyond what the timeline needs.

use crate::schedule::Attempt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Larger outputs (bytes of JSON) go to what depends on the task and are not kept with the attempt.
const KEPT_OUTPUT: usize = 64 << 10;

/// What is known about an attempt beside its times at the orchestrator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// What went wrong, in the words of who noticed.
    pub message: Option<String>,
    /// Its output, unless that is larger than 64 KiB.
    pub output: Option<Value>,
    /// When it truly started after the run's start, as its runner stamped it.
    pub true_start: Option<Duration>,
    /// When it truly ended after the run's start, as its runner stamped it.
    pub true_end: Option<Duration>,
    /// CPU time that it used.
    pub cpu: Option<Duration>,
    /// The most memory it had resident at once, in bytes.
    pub memory_peak: Option<u64>,
}

/// The details of all attempts, and the newest output of each task.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) attempts: BTreeMap<Attempt, Detail>,
    pub(super) outputs: BTreeMap<u32, Value>,
}

impl Details {
    pub(super) fn of(&mut self, attempt: Attempt) -> &mut Detail {
        self.attempts.entry(attempt).or_default()
    }

    /// Keeps the first message: what comes after it is a consequence.
    pub(super) fn message(&mut self, attempt: Attempt, message: &str) {
        if !message.is_empty() {
            self.of(attempt).message.get_or_insert_with(|| message.to_owned());
        }
    }

    /// Keeps an output for what depends on the task, and with the attempt unless it is large.
    pub(super) fn output(&mut self, attempt: Attempt, output: Value, bytes: usize) {
        if bytes <= KEPT_OUTPUT {
            self.of(attempt).output = Some(output.clone());
        }
        self.outputs.insert(attempt.task.0, output);
    }
}
