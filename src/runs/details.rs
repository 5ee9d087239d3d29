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
    /// What was asked for and not had, though it ran.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    #[serde(default)]
    pub stdout: Option<String>,
    /// The end of what it wrote to its standard error.
    #[serde(default)]
    pub stderr: Option<String>,
}

/// What programs wrote is kept with their attempts up to this many bytes in one run; beyond that, no more of it.
const KEPT_STREAMS: usize = 4 << 20;

/// The details of all attempts, and the newest output of each task.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) attempts: BTreeMap<Attempt, Detail>,
    pub(super) outputs: BTreeMap<u32, Value>,
    /// Bytes of what programs wrote that are kept.
    streams: usize,
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

    /// Keeps what a program wrote, while there is room for it.
    pub(super) fn streams(&mut self, attempt: Attempt, stdout: &str, stderr: &str) {
        let bytes = stdout.len() + stderr.len();
        if bytes == 0 || self.streams + bytes > KEPT_STREAMS {
            return;
        }
        self.streams += bytes;
        let detail = self.of(attempt);
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (detail.stdout, detail.stderr) = (some(stdout), some(stderr));
    }

    /// Keeps an output for what depends on the task, and with the attempt unless it is large.
    pub(super) fn output(&mut self, attempt: Attempt, output: Value, bytes: usize) {
        if bytes <= KEPT_OUTPUT {
            self.of(attempt).output = Some(output.clone());
        }
        self.outputs.insert(attempt.task.0, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::TaskIndex;

    #[test]
    fn what_programs_wrote_is_kept_within_a_bound() {
        let mut details = Details::default();
        let text = "x".repeat(16 << 10);
        for occurrence in 0..1_000 {
            details.streams(Attempt { task: TaskIndex(0), occurrence, number: 1 }, "", &text);
        }
        let kept: usize = details.attempts.values().filter_map(|detail| detail.stderr.as_ref()).map(String::len).sum();
        assert_eq!(kept, KEPT_STREAMS);
        assert_eq!(details.attempts.len(), KEPT_STREAMS / text.len(), "and nothing of the others");
    }
}
