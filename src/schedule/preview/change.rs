//! What changes, as data.

use super::fields::FieldChange;
use super::starts::Starts;
use crate::model::{ScheduleName, TaskId};
use crate::schedule::feasibility::Proof;

/// What a commit changes in the committed timelines.
#[derive(Clone, Debug)]
pub struct Preview {
    pub(super) verdict: String,
    /// The schedules that change, by name.
    pub schedules: Vec<ScheduleChange>,
}

/// One schedule that was added, changed or removed.
#[derive(Clone, Debug)]
pub struct ScheduleChange {
    /// Which.
    pub name: ScheduleName,
    /// What happens to it; never `Moved`.
    pub change: ChangeKind,
    /// Where it is written (`file:line`); of a removed one, where it was.
    pub at: String,
    /// Its own settings that change.
    pub fields: Vec<FieldChange>,
    /// Its tasks that change, in file order, then those that go.
    pub tasks: Vec<TaskChange>,
    /// When it starts next as it will be; `None` for a removed one.
    pub upcoming: Option<Starts>,
    /// What it cannot hold as it will be.
    pub findings: Vec<Finding>,
    /// Its findings make the whole commit one that is refused.
    pub refused: bool,
    /// What it plans as it will be, as lines of characters; `None` for a removed one.
    pub picture: Option<String>,
}

/// One task that was added, moved, changed or removed.
#[derive(Clone, Debug)]
pub struct TaskChange {
    /// Which.
    pub task: TaskId,
    /// What happens to it.
    pub change: ChangeKind,
    /// Where it is written (`file:line`); of a removed one, where it was.
    pub at: String,
    /// What changes in it; of an added or removed one everything that it says.
    pub fields: Vec<FieldChange>,
}

/// What happens to a schedule or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A task is released at another time or needs other tasks; other fields may change as well.
    Moved,
    /// It stays, with other fields.
    Changed,
    /// It is new.
    Added,
    /// It goes.
    Removed,
}

/// Something that a schedule cannot hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it proves.
    pub proof: Proof,
    /// The tasks concerned, the one to look at first first.
    pub tasks: Vec<TaskId>,
    /// Place, sentence, remedy.
    pub text: String,
}

impl Preview {
    /// One line that says it all: `2 schedules change: 1 added · 1 changed (1 task moved, 1 added) · 1 refused`.
    pub fn verdict(&self) -> &str {
        &self.verdict
    }

    /// Whether no schedule changes.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }
}
