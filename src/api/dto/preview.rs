//! What a commit changes in the schedules.

use super::words::words;
use crate::model::Timestamp;
use crate::schedule::feasibility;
use crate::schedule::preview as inner;
use serde::{Deserialize, Serialize};

/// What a commit changes in the committed timelines. `version` goes up when a field changes its meaning or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Version of this form.
    pub version: u32,
    /// One line that says it all.
    pub verdict: String,
    /// The schedules that change, by name.
    pub schedules: Vec<ScheduleChange>,
}

/// One schedule that was added, changed or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleChange {
    /// Which.
    pub name: String,
    /// What happens to it.
    pub change: ChangeKind,
    /// Where it is written (`file:line`); of a removed one, where it was.
    pub at: String,
    /// Its own settings that change.
    pub fields: Vec<FieldChange>,
    /// Its tasks that change, in file order, then those that go.
    pub tasks: Vec<TaskChange>,
    /// When it starts next as it will be; absent for a removed one.
    pub upcoming: Option<Starts>,
    /// What it cannot hold as it will be.
    pub findings: Vec<Finding>,
    /// Its findings make the whole commit one that is refused.
    pub refused: bool,
}

/// One task that was added, moved, changed or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskChange {
    /// Which.
    pub task: String,
    /// What happens to it.
    pub change: ChangeKind,
    /// Where it is written (`file:line`); of a removed one, where it was.
    pub at: String,
    /// What changes in it; of an added or removed one everything that it says.
    pub fields: Vec<FieldChange>,
}

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name; of a parameter the path to it, as in `parameters.gain.x`.
    pub field: String,
    /// The value before; absent when it was not set.
    pub old: Option<String>,
    /// The value after; absent when it is not set.
    pub new: Option<String>,
}

/// Something that a schedule cannot hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it proves.
    pub proof: Proof,
    /// The tasks concerned, the one to look at first first.
    pub tasks: Vec<String>,
    /// Place, sentence, remedy.
    pub text: String,
}

/// When a schedule starts next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "when")]
pub enum Starts {
    /// At these times, and for a cron expression at further ones.
    At {
        /// The upper bound of the delay after a due time, in nanoseconds.
        jitter_ns: u64,
        /// The next ones, earliest first; never empty.
        times: Vec<StartTime>,
    },
    /// Never again: its time has passed.
    Passed,
    /// When the commit that adds or changes it is applied.
    OnCommit,
    /// Only when somebody asks for it.
    ByHand,
}

/// A run that will start by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTime {
    /// Its due time.
    pub due: Timestamp,
    /// When it starts: its due time and the delay that jitter gives it.
    pub at: Timestamp,
    /// `at` to the second as clocks in the schedule's zone show it.
    pub local: String,
}

words! {
    /// What happens to a schedule or a task. A moved task is released at another time or needs other tasks; other fields may change
    /// as well.
    ChangeKind = inner::ChangeKind { Moved, Changed, Added, Removed }
}

words! {
    /// What a finding proves: it cannot hold when the estimates are right; not in the worst case; not at a task server that runs one
    /// task at a time; nothing, because something was not looked at.
    Proof = feasibility::Proof { Certain, WorstCase, OneAtATime, None }
}

impl From<&inner::Preview> for Preview {
    fn from(preview: &inner::Preview) -> Self {
        let schedules = preview.schedules.iter().cloned().map(Into::into).collect();
        Self { version: 1, verdict: preview.verdict().to_owned(), schedules }
    }
}

impl From<inner::ScheduleChange> for ScheduleChange {
    fn from(change: inner::ScheduleChange) -> Self {
        let inner::ScheduleChange { name, change, at, fields, tasks, upcoming, findings, refused, picture: _ } = change;
        Self {
            name: name.to_string(),
            change: change.into(),
            at,
            fields: fields.into_iter().map(Into::into).collect(),
            tasks: tasks.into_iter().map(Into::into).collect(),
            upcoming: upcoming.map(Into::into),
            findings: findings.into_iter().map(Into::into).collect(),
            refused,
        }
    }
}

impl From<inner::TaskChange> for TaskChange {
    fn from(change: inner::TaskChange) -> Self {
        let inner::TaskChange { task, change, at, fields } = change;
        let fields = fields.into_iter().map(Into::into).collect();
        Self { task: task.to_string(), change: change.into(), at, fields }
    }
}

impl From<inner::FieldChange> for FieldChange {
    fn from(change: inner::FieldChange) -> Self {
        let inner::FieldChange { field, old, new } = change;
        Self { field, old, new }
    }
}

impl From<inner::Finding> for Finding {
    fn from(finding: inner::Finding) -> Self {
        let inner::Finding { proof, tasks, text } = finding;
        Self { proof: proof.into(), tasks: tasks.iter().map(ToString::to_string).collect(), text }
    }
}

impl From<inner::Starts> for Starts {
    fn from(starts: inner::Starts) -> Self {
        match starts {
            inner::Starts::At { jitter_ns, times } => {
                let times = times.into_iter().map(|time| StartTime { due: time.due, at: time.at, local: time.local });
                Self::At { jitter_ns, times: times.collect() }
            }
            inner::Starts::Passed => Self::Passed,
            inner::Starts::OnCommit => Self::OnCommit,
            inner::Starts::ByHand => Self::ByHand,
        }
    }
}
