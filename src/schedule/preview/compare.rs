//! Compares the schedules of two commits.

use super::change::{ChangeKind, Finding, Preview, ScheduleChange, TaskChange};
use super::starts::Starts;
use super::{fields, parameters, verdict};
use crate::model::{Schedule, ScheduleName, Task, TaskId, Timestamp};
use crate::schedule::feasibility::{self, feasibility, line, refusals};
use crate::schedule::{Placed, chart, gantt};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of the picture.
const WIDTH: usize = 100;

/// The schedules of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// By their names.
    pub schedules: &'a BTreeMap<ScheduleName, Schedule>,
    /// Where their task servers are.
    pub placed: &'a Placed,
}

/// Compares the schedules of two commits; the next start times are counted from `now`. A change of place or notation alone
/// is no change.
pub fn preview(before: Side<'_>, after: Side<'_>, now: Timestamp) -> Preview {
    let names: BTreeSet<&ScheduleName> = before.schedules.keys().chain(after.schedules.keys()).collect();
    let placed = [before.placed, after.placed];
    let changes = names
        .into_iter()
        .filter_map(|name| schedule_change(before.schedules.get(name), after.schedules.get(name), placed, now));
    let schedules: Vec<ScheduleChange> = changes.collect();
    Preview { verdict: verdict::verdict(&schedules), schedules }
}

fn schedule_change(
    before: Option<&Schedule>,
    after: Option<&Schedule>,
    placed: [&Placed; 2],
    now: Timestamp,
) -> Option<ScheduleChange> {
    let schedule = after.or(before)?;
    let mut fields = fields::differences(before.map(fields::schedule), after.map(fields::schedule));
    let [old, new] = [before, after].map(|side| side.map_or(&[][..], |schedule| &schedule.tasks));
    fields.extend(fields::order(old, new));
    let tasks = task_changes(old, new, placed);
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

fn task_changes(before: &[Task], after: &[Task], placed: [&Placed; 2]) -> Vec<TaskChange> {
    let old: BTreeMap<&TaskId, &Task> = before.iter().map(|task| (&task.id, task)).collect();
    let new: BTreeSet<&TaskId> = after.iter().map(|task| &task.id).collect();
    let stay = after.iter().filter_map(|task| task_change(old.get(&task.id).copied(), Some(task), placed));
    let gone = before.iter().filter(|task| !new.contains(&task.id));
    let go = gone.filter_map(|task| task_change(Some(task), None, placed));
    stay.chain(go).collect()
}

fn task_change(before: Option<&Task>, after: Option<&Task>, placed: [&Placed; 2]) -> Option<TaskChange> {
    let task = after.or(before)?;
    let (empty, no_variables) = (Map::new(), BTreeMap::new());
    let [old, new] = [before, after].map(|side| side.map_or(&empty, |task| &task.parameters));
    let [old_env, new_env] = [before, after].map(|side| side.map_or(&no_variables, |task| &task.environment));
    let timing = fields::differences(before.map(fields::timing), after.map(fields::timing));
    let [there, here] = placed;
    let settings = |task: Option<&Task>, placed| task.map(|task| fields::settings(task, placed));
    let settings = fields::differences(settings(before, there), settings(after, here));
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
