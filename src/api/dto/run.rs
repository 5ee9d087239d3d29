//! Runs of schedules.

use super::words::words;
use super::{TaskFigures, TaskRecord};
use crate::daemon::timing;
use crate::model::Timestamp;
use crate::{schedule, store};
use serde::{Deserialize, Serialize};

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number: grows with each run, whatever the wall clock does.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// Name of its schedule.
    pub schedule: String,
    /// What it was fired for: an RFC 3339 instant, `commit:<id>` or `manual:<id>`.
    pub due: String,
    /// The commit whose schedule it follows; absent when it never began.
    pub revision: Option<String>,
    /// It fails when a real-time policy cannot be had; `false` also when it never began.
    pub strict: bool,
    /// When it was to start, to the microsecond; when it was fired, if it never began.
    pub planned_at: Timestamp,
    /// When it started by the wall clock, to the microsecond; absent when it never began.
    pub started_at: Option<Timestamp>,
    /// Where it is.
    pub state: RunState,
    /// How it ended; absent while it runs.
    pub verdict: Option<RunVerdict>,
    /// When it ended or was found interrupted, to the millisecond.
    pub ended_at: Option<Timestamp>,
    /// What else there is to say, for people.
    pub note: Option<String>,
}

/// A run with its tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Its occurrences by task and number, the first 20 000.
    pub tasks: Vec<TaskRecord>,
    /// How many occurrences were left out of `tasks`.
    pub left_out: u64,
}

/// A run that was asked for and takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAsked {
    /// What it is fired for: `manual:<id>`. Its run has the same.
    pub due: String,
    /// Its id; absent while it waits for an earlier run to end.
    pub run: Option<String>,
}

/// What `setpoint runs --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// Version of this form.
    pub version: u32,
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// How late the tasks of the one schedule start and how long they take; empty when several were asked for.
    pub figures: Vec<TaskFigures>,
}

/// What `setpoint run show --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRun {
    /// Version of this form.
    pub version: u32,
    /// The run.
    pub run: RunRecord,
}

words! {
    /// Where a run is.
    RunState = store::RunState { Running, Ended, Interrupted }
}

words! {
    /// How a run ended.
    RunVerdict = schedule::RunVerdict { Succeeded, Failed, Aborted, Cancelled }
}

impl From<RunVerdict> for schedule::RunVerdict {
    fn from(verdict: RunVerdict) -> Self {
        match verdict {
            RunVerdict::Succeeded => Self::Succeeded,
            RunVerdict::Failed => Self::Failed,
            RunVerdict::Aborted => Self::Aborted,
            RunVerdict::Cancelled => Self::Cancelled,
        }
    }
}

impl From<store::RunRow> for Run {
    fn from(row: store::RunRow) -> Self {
        let store::RunRow {
            number,
            id,
            schedule,
            due,
            revision,
            strict,
            planned_at,
            started_at,
            state,
            verdict,
            ended_at,
            note,
        } = row;
        Self {
            number,
            id: id.into(),
            schedule: schedule.to_string(),
            due: due.to_string(),
            revision: revision.map(Into::into),
            strict,
            planned_at,
            started_at,
            state: state.into(),
            verdict: verdict.map(Into::into),
            ended_at,
            note,
        }
    }
}

impl From<store::RunRecord> for RunRecord {
    fn from(record: store::RunRecord) -> Self {
        let store::RunRecord { run, tasks, left_out } = record;
        Self { run: run.into(), tasks: tasks.into_iter().map(Into::into).collect(), left_out }
    }
}

impl From<timing::Asked> for RunAsked {
    fn from(asked: timing::Asked) -> Self {
        let timing::Asked { due, run } = asked;
        Self { due: due.to_string(), run: run.map(Into::into) }
    }
}
