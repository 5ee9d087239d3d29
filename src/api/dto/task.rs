//! What happened to each task of a run. Times are nanoseconds from the start of the run.

use super::words::words;
use crate::schedule::{self, TaskIndex, Try, Verdict};
use crate::store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// An occurrence of a task, or several that were left out together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Position of the task in its schedule.
    pub task_index: u32,
    /// Its id there.
    pub task: String,
    /// Which occurrence, from 0.
    pub occurrence: u32,
    /// How many occurrences from there; above 1 only for some that never started.
    pub count: u32,
    /// When it was due; absent for a sequential task.
    pub due_ns: Option<u64>,
    /// How it ended; absent while it has not, and when its run was interrupted before.
    pub verdict: Option<TaskVerdict>,
    /// A deadline passed before its end.
    pub missed_deadline: bool,
    /// Its attempts in order.
    pub tries: Vec<Attempt>,
    /// What it returned; absent when it returned nothing, or more than is kept.
    pub output: Option<Value>,
    /// How many bytes its output has as JSON.
    pub output_bytes: Option<u64>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it could start.
    pub released_ns: u64,
    /// When its request was sent, or for one that was sent ahead its instant.
    pub sent_ns: u64,
    /// It was sent ahead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub armed: bool,
    /// When its task server acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ns: Option<u64>,
    /// When it truly started, where its runner measures that; before the release only where clocks differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    /// When it ended, as far as that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ns: Option<u64>,
    /// How it said that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was asked for and not had, though it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// The end of what it wrote to its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
}

words! {
    /// How a task says that it ended.
    AttemptEnd = schedule::End { Success, Failure, Timeout, Cancelled }
}

words! {
    /// Why an attempt failed.
    Cause = schedule::Cause { Reported, Refused, Unacknowledged, Lost, NoticeLost, Deadline, Timeout }
}

/// How an occurrence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskVerdict {
    /// With success.
    Succeeded,
    /// Its last attempt failed.
    Failed(Cause),
    /// Its deadline, or the longest time it may run, has passed.
    TimedOut(Cause),
    /// It was stopped with its run, or by somebody else.
    Cancelled,
    /// It was never started.
    Skipped(SkipCause),
}

/// Why an occurrence was never started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipCause {
    /// A task that it needs, named by its position, did not succeed.
    NeedFailed(u32),
    /// It waits for the failure of a task, named by its position, that succeeded.
    NotNeeded(u32),
    /// It was due while the occurrence before it had not ended.
    Overrun,
    /// The run ended early.
    Aborted,
}

impl From<store::TaskRecord> for TaskRecord {
    fn from(record: store::TaskRecord) -> Self {
        let store::TaskRecord {
            task_index,
            task,
            occurrence,
            count,
            due_ns,
            verdict,
            missed_deadline,
            tries,
            output,
            output_bytes,
        } = record;
        Self {
            task_index: task_index.0,
            task: task.to_string(),
            occurrence,
            count,
            due_ns,
            verdict: verdict.map(Into::into),
            missed_deadline,
            tries: tries.into_iter().map(Into::into).collect(),
            output,
            output_bytes,
        }
    }
}

impl From<store::TryRecord> for Attempt {
    fn from(record: store::TryRecord) -> Self {
        let store::TryRecord {
            released_ns,
            sent_ns,
            armed,
            acknowledged_ns,
            started_ns,
            ended_ns,
            end,
            error,
            remarks,
            stdout,
            stderr,
        } = record;
        Self {
            released_ns,
            sent_ns,
            armed,
            acknowledged_ns,
            started_ns,
            ended_ns,
            end: end.map(Into::into),
            error,
            remarks,
            stdout,
            stderr,
        }
    }
}

impl From<Verdict> for TaskVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Succeeded => Self::Succeeded,
            Verdict::Failed(cause) => Self::Failed(cause.into()),
            Verdict::TimedOut(cause) => Self::TimedOut(cause.into()),
            Verdict::Cancelled => Self::Cancelled,
            Verdict::Skipped(cause) => Self::Skipped(match cause {
                schedule::SkipCause::NeedFailed(task) => SkipCause::NeedFailed(task.0),
                schedule::SkipCause::NotNeeded(task) => SkipCause::NotNeeded(task.0),
                schedule::SkipCause::Overrun => SkipCause::Overrun,
                schedule::SkipCause::Aborted => SkipCause::Aborted,
            }),
        }
    }
}

impl From<TaskVerdict> for Verdict {
    fn from(verdict: TaskVerdict) -> Self {
        match verdict {
            TaskVerdict::Succeeded => Self::Succeeded,
            TaskVerdict::Failed(cause) => Self::Failed(cause.into()),
            TaskVerdict::TimedOut(cause) => Self::TimedOut(cause.into()),
            TaskVerdict::Cancelled => Self::Cancelled,
            TaskVerdict::Skipped(cause) => Self::Skipped(match cause {
                SkipCause::NeedFailed(task) => schedule::SkipCause::NeedFailed(TaskIndex(task)),
                SkipCause::NotNeeded(task) => schedule::SkipCause::NotNeeded(TaskIndex(task)),
                SkipCause::Overrun => schedule::SkipCause::Overrun,
                SkipCause::Aborted => schedule::SkipCause::Aborted,
            }),
        }
    }
}

impl From<Cause> for schedule::Cause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Reported => Self::Reported,
            Cause::Refused => Self::Refused,
            Cause::Unacknowledged => Self::Unacknowledged,
            Cause::Lost => Self::Lost,
            Cause::NoticeLost => Self::NoticeLost,
            Cause::Deadline => Self::Deadline,
            Cause::Timeout => Self::Timeout,
        }
    }
}

impl From<AttemptEnd> for schedule::End {
    fn from(end: AttemptEnd) -> Self {
        match end {
            AttemptEnd::Success => Self::Success,
            AttemptEnd::Failure => Self::Failure,
            AttemptEnd::Timeout => Self::Timeout,
            AttemptEnd::Cancelled => Self::Cancelled,
        }
    }
}

/// An occurrence as pictures are made from it.
impl From<&TaskRecord> for schedule::Row {
    fn from(record: &TaskRecord) -> Self {
        let tries = record.tries.iter().map(|one| Try {
            released: Duration::from_nanos(one.released_ns),
            sent: Duration::from_nanos(one.sent_ns),
            armed: one.armed,
            acknowledged: one.acknowledged_ns.map(Duration::from_nanos),
            ended: one.ended_ns.map(Duration::from_nanos),
            end: one.end.map(Into::into),
        });
        Self {
            task: TaskIndex(record.task_index),
            occurrence: record.occurrence,
            count: record.count,
            due: record.due_ns.map(Duration::from_nanos),
            tries: tries.collect(),
            verdict: record.verdict.map(Into::into),
            missed_deadline: record.missed_deadline,
        }
    }
}
