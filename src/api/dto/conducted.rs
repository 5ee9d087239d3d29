//! A run in the foreground, as `setpoint run --json` prints it. Times are nanoseconds after the run's start.

use super::{AttemptEnd, RunVerdict, Schedule};
use crate::model::{self, Timestamp, nanos};
use crate::runs::Detail;
use crate::schedule::{Attempt, Record, Row, Try, Verdict};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A run that took place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conducted {
    /// Version of this form.
    pub version: u32,
    /// Its id.
    pub run: String,
    /// Name of its schedule.
    pub schedule: String,
    /// When it started by the wall clock.
    pub started: Timestamp,
    /// How it ended; absent when it was broken off.
    pub verdict: Option<RunVerdict>,
    /// How long it took; absent when it was broken off.
    pub took_ns: Option<u64>,
    /// What was asked for and not had.
    pub remarks: Vec<String>,
    /// Occurrences that are not among `tasks`.
    pub left_out: u64,
    /// Its occurrences.
    pub tasks: Vec<Occurrence>,
}

/// What a schedule plans, as `setpoint run --dry-run --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DryRun {
    /// Version of this form.
    pub version: u32,
    /// The schedule.
    pub schedule: Schedule,
    /// The occurrences that it plans.
    pub tasks: Vec<Occurrence>,
}

/// An occurrence of a task, or several that were left out together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Occurrence {
    /// Id of the task.
    pub task: Option<String>,
    /// Which occurrence, from 0.
    pub occurrence: u32,
    /// How many occurrences from there.
    pub count: u32,
    /// When it was due; absent for a sequential task.
    pub due_ns: Option<u64>,
    /// How it ended, in one word.
    pub verdict: Option<String>,
    /// Why, where the word does not say it all.
    pub why: Option<String>,
    /// A deadline passed before its end.
    pub missed_deadline: bool,
    /// Its attempts in order.
    pub tries: Vec<ConductedAttempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConductedAttempt {
    /// When it could start.
    pub released_ns: u64,
    /// When its request was sent, or for one that was sent ahead its instant.
    pub sent_ns: u64,
    /// It was sent ahead.
    pub sent_ahead: bool,
    /// When its task server acknowledged.
    pub acknowledged_ns: Option<u64>,
    /// When it truly started, where its runner measures that.
    pub started_ns: Option<u64>,
    /// When it ended, as far as that was reported.
    pub ended_ns: Option<u64>,
    /// How it said that it ended.
    pub end: Option<AttemptEnd>,
    /// From its release to its start.
    pub late_ns: u64,
    /// What went wrong.
    pub message: Option<String>,
    /// What it returned.
    pub output: Option<Value>,
    /// What was asked for and not had, though it ran.
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    pub stdout: Option<String>,
    /// The end of what it wrote to its standard error.
    pub stderr: Option<String>,
    /// CPU time that it used.
    pub cpu_ns: Option<u64>,
    /// The most memory it had resident at once, in bytes.
    pub memory_peak: Option<u64>,
}

impl Occurrence {
    /// The occurrences of a record, with what is known of their attempts.
    pub fn all(schedule: &model::Schedule, record: &Record, details: &BTreeMap<Attempt, Detail>) -> Vec<Self> {
        record.rows().map(|row| Self::new(schedule, row, details)).collect()
    }

    fn new(schedule: &model::Schedule, row: &Row, details: &BTreeMap<Attempt, Detail>) -> Self {
        let attempt = |number| Attempt { task: row.task, occurrence: row.occurrence, number };
        let tries =
            (1..).zip(&row.tries).map(|(number, one)| ConductedAttempt::new(one, details.get(&attempt(number))));
        Self {
            task: schedule.tasks.get(row.task.at()).map(|task| task.id.to_string()),
            occurrence: row.occurrence,
            count: row.count,
            due_ns: row.due.map(nanos),
            verdict: row.verdict.map(|verdict| verdict.word().to_owned()),
            why: row.verdict.and_then(|verdict: Verdict| verdict.why(schedule)),
            missed_deadline: row.missed_deadline,
            tries: tries.collect(),
        }
    }
}

impl ConductedAttempt {
    fn new(one: &Try, detail: Option<&Detail>) -> Self {
        let detail = detail.cloned().unwrap_or_default();
        let Detail { message, output, true_start, true_end: _, cpu, memory_peak, remarks, stdout, stderr } = detail;
        Self {
            released_ns: nanos(one.released),
            sent_ns: nanos(one.sent),
            sent_ahead: one.armed,
            acknowledged_ns: one.acknowledged.map(nanos),
            started_ns: true_start.map(nanos),
            ended_ns: one.ended.map(nanos),
            end: one.end.map(Into::into),
            late_ns: nanos(true_start.unwrap_or(one.sent).saturating_sub(one.released)),
            message,
            output,
            remarks,
            stdout,
            stderr,
            cpu_ns: cpu.map(nanos),
            memory_peak,
        }
    }
}
