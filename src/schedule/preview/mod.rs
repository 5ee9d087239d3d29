//! What a commit changes in the committed timelines, and when they start next.
//!
//! In: the schedules before and after it, and the time. Out: a [`Preview`], which [`text`] and [`markdown`] lay out for
//! people. Its JSON form is an interface: `version` goes up when a field changes its meaning or goes; new fields may come
//! at any time. Must not: judge what can be held itself, look at a machine, or start anything.

mod escape;
mod fields;
mod markdown;
mod parameters;
#[cfg(test)]
mod property_tests;
mod rows;
mod starts;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub use escape::cell;
pub use fields::FieldChange;
pub use markdown::markdown;
pub use starts::{StartTime, Starts, upcoming};
pub use text::text;

use super::feasibility::{self, Proof, feasibility, line, refusals};
use super::{chart, gantt};
use crate::model::{Schedule, ScheduleName, Task, TaskId, Timestamp};
use serde::Serialize;
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of the picture.
const WIDTH: usize = 100;

/// What a commit changes in the committed timelines.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    version: u32,
    verdict: String,
    /// The schedules that change, by name.
    pub schedules: Vec<ScheduleChange>,
}

/// One schedule that was added, changed or removed.
#[derive(Clone, Debug, Serialize)]
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
    #[serde(skip)]
    pub picture: Option<String>,
}

/// One task that was added, moved, changed or removed.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it proves.
    pub proof: Proof,
    /// The tasks concerned, the one to look at first first.
    pub tasks: Vec<TaskId>,
    /// Place, sentence, remedy.
    pub text: String,
}

/// Compares the schedules of two commits; the next start times are counted from `now`. A change of place or notation alone
/// is no change.
pub fn preview(
    before: &BTreeMap<ScheduleName, Schedule>,
    after: &BTreeMap<ScheduleName, Schedule>,
    now: Timestamp,
) -> Preview {
    let names: BTreeSet<&ScheduleName> = before.keys().chain(after.keys()).collect();
    let changes = names.into_iter().filter_map(|name| schedule_change(before.get(name), after.get(name), now));
    let schedules: Vec<ScheduleChange> = changes.collect();
    Preview { version: Preview::VERSION, verdict: verdict::verdict(&schedules), schedules }
}

impl Preview {
    /// Form version of the JSON rendering.
    pub const VERSION: u32 = 1;

    /// One line that says it all: `2 schedules change: 1 added · 1 changed (1 task moved, 1 added) · 1 refused`.
    pub fn verdict(&self) -> &str {
        &self.verdict
    }

    /// Whether no schedule changes.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }
}

fn schedule_change(before: Option<&Schedule>, after: Option<&Schedule>, now: Timestamp) -> Option<ScheduleChange> {
    let schedule = after.or(before)?;
    let mut fields = fields::differences(before.map(fields::schedule), after.map(fields::schedule));
    let [old, new] = [before, after].map(|side| side.map_or(&[][..], |schedule| &schedule.tasks));
    fields.extend(fields::order(old, new));
    let tasks = task_changes(old, new);
    let change = match (before, after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ if fields.is_empty() && tasks.is_empty() => return None,
        _ => ChangeKind::Changed,
    };
    let findings = after.map_or(Vec::new(), |schedule| feasibility(schedule, None));
    let finding = |one: feasibility::Finding| Finding { proof: one.kind.proof(), text: line(&one), tasks: one.tasks };
    Some(ScheduleChange {
        name: schedule.name.clone(),
        change,
        at: schedule.at.to_string(),
        fields,
        tasks,
        upcoming: after.map(|schedule| Starts::of(schedule, now)),
        findings: findings.into_iter().map(finding).collect(),
        refused: !refusals(after).is_empty(),
        picture: after.map(|schedule| gantt::text(&chart(schedule, None, "planned"), WIDTH)),
    })
}

fn task_changes(before: &[Task], after: &[Task]) -> Vec<TaskChange> {
    let old: BTreeMap<&TaskId, &Task> = before.iter().map(|task| (&task.id, task)).collect();
    let new: BTreeSet<&TaskId> = after.iter().map(|task| &task.id).collect();
    let stay = after.iter().filter_map(|task| task_change(old.get(&task.id).copied(), Some(task)));
    let go = before.iter().filter(|task| !new.contains(&task.id)).filter_map(|task| task_change(Some(task), None));
    stay.chain(go).collect()
}

fn task_change(before: Option<&Task>, after: Option<&Task>) -> Option<TaskChange> {
    let task = after.or(before)?;
    let (empty, no_variables) = (Map::new(), BTreeMap::new());
    let [old, new] = [before, after].map(|side| side.map_or(&empty, |task| &task.parameters));
    let [old_env, new_env] = [before, after].map(|side| side.map_or(&no_variables, |task| &task.environment));
    let timing = fields::differences(before.map(fields::timing), after.map(fields::timing));
    let settings = fields::differences(before.map(fields::settings), after.map(fields::settings));
    let moved = !timing.is_empty();
    let environment = parameters::environment(old_env, new_env);
    let fields = [timing, settings, parameters::differences(old, new), environment].concat();
    let change = match (before, after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ if moved => ChangeKind::Moved,
        _ if fields.is_empty() => return None,
        _ => ChangeKind::Changed,
    };
    Some(TaskChange { task: task.id.clone(), change, at: task.at.to_string(), fields })
}
