//! What task servers report about attempts beyond what the timeline needs.

use crate::schedule::{Attempt, TaskIndex};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Larger outputs (bytes of JSON) go to dependent tasks and are not kept with the attempt.
const KEPT_OUTPUT: usize = 64 << 10;

/// What is known about an attempt beyond its times at the orchestrator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// What went wrong, as it was reported.
    pub message: Option<String>,
    /// Its output, unless that is larger than 64 KiB.
    pub output: Option<Value>,
    /// When it truly started after the run's start, as its runner stamped it.
    pub true_start: Option<Duration>,
    /// When it truly ended after the run's start, as its runner stamped it.
    pub true_end: Option<Duration>,
    /// CPU time that it used.
    pub cpu: Option<Duration>,
    /// The most memory it had resident at any time, in bytes.
    pub memory_peak: Option<u64>,
    /// What was asked for and could not be had, though it ran.
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    pub stdout: Option<String>,
    /// The end of what it wrote to its standard error.
    pub stderr: Option<String>,
}

/// What programs wrote is kept with their attempts up to this many bytes in one run; beyond that, no more of it.
const KEPT_STREAMS: usize = 4 << 20;

/// The details of all attempts, and the output of each task's last success with its bytes.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) attempts: BTreeMap<Attempt, Detail>,
    pub(super) outputs: BTreeMap<u32, (Arc<Value>, usize)>,
    /// Bytes of what programs wrote that are kept.
    streams: usize,
    /// What tasks could not have, each thing once.
    remarks: Vec<(TaskIndex, String)>,
}

/// Remarks of tasks beyond these are with their attempts only.
const MAX_REMARKS: usize = 64;

impl Details {
    pub(super) fn of(&mut self, attempt: Attempt) -> &mut Detail {
        self.attempts.entry(attempt).or_default()
    }

    /// Takes out what is known of the attempts of a settled occurrence, so that a long run does not fill the memory.
    pub(super) fn take(&mut self, task: TaskIndex, occurrence: u32) -> Vec<(Attempt, Detail)> {
        let attempt = |number| Attempt { task, occurrence, number };
        let attempts: Vec<Attempt> =
            self.attempts.range(attempt(0)..=attempt(u32::MAX)).map(|(attempt, _)| *attempt).collect();
        let taken = attempts.into_iter().filter_map(|attempt| self.attempts.remove_entry(&attempt));
        let taken: Vec<(Attempt, Detail)> = taken.collect();
        for (attempt, detail) in &taken {
            remember(&mut self.remarks, attempt.task, &detail.remarks);
        }
        taken
    }

    /// What tasks could not have, each thing once, however often it was reported.
    pub(super) fn remarks(&self) -> Vec<(TaskIndex, String)> {
        let mut remarks = self.remarks.clone();
        for (attempt, detail) in &self.attempts {
            remember(&mut remarks, attempt.task, &detail.remarks);
        }
        remarks
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

    /// Keeps the output of an attempt with it, unless it is large (its size is given). Tasks that depend on it are given the
    /// output of its last success: not that of a failed attempt, and nothing older when the success gave none.
    pub(super) fn output(&mut self, attempt: Attempt, output: Option<(Value, usize)>, succeeded: bool) {
        let output = output.map(|(output, bytes)| (Arc::new(output), bytes));
        if let Some((output, bytes)) = &output
            && *bytes <= KEPT_OUTPUT
        {
            self.of(attempt).output = Some(Value::clone(output));
        }
        match output {
            _ if !succeeded => {}
            Some(output) => drop(self.outputs.insert(attempt.task.0, output)),
            None => drop(self.outputs.remove(&attempt.task.0)),
        }
    }
}

fn remember(all: &mut Vec<(TaskIndex, String)>, task: TaskIndex, remarks: &[String]) {
    for text in remarks {
        if all.len() < MAX_REMARKS && !all.iter().any(|(of, known)| *of == task && known == text) {
            all.push((task, text.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependants_are_given_the_output_of_the_last_success_alone() {
        let mut details = Details::default();
        let attempt = |occurrence, number| Attempt { task: TaskIndex(0), occurrence, number };
        let given = |details: &Details| details.outputs.get(&0).map(|(output, _)| output.to_string());
        details.output(attempt(0, 1), Some((Value::from("half"), 6)), false);
        assert_eq!(given(&details), None, "a try that failed");
        assert_eq!(
            details.attempts[&attempt(0, 1)].output,
            Some(Value::from("half")),
            "but it is kept with the attempt"
        );
        details.output(attempt(0, 2), Some((Value::from("whole"), 7)), true);
        assert_eq!(given(&details).as_deref(), Some("\"whole\""));
        details.output(attempt(0, 1), Some((Value::from("late"), 6)), false);
        assert_eq!(given(&details).as_deref(), Some("\"whole\""), "a late notice of an earlier try");
        details.output(attempt(1, 1), None, true);
        assert_eq!(given(&details), None, "a success that gave none");
    }

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
    #[test]
    fn what_is_known_of_a_settled_occurrence_is_taken_out_and_its_remarks_stay() {
        let mut details = Details::default();
        for number in 1..=2 {
            let attempt = Attempt { task: TaskIndex(3), occurrence: 7, number };
            details.of(attempt).remarks.push("no fifo".to_owned());
        }
        details.message(Attempt { task: TaskIndex(3), occurrence: 8, number: 1 }, "busy");
        let taken = details.take(TaskIndex(3), 7);
        assert_eq!(taken.iter().map(|(attempt, _)| attempt.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(details.attempts.len(), 1);
        assert_eq!(details.remarks(), [(TaskIndex(3), "no fifo".to_owned())]);
    }
}
