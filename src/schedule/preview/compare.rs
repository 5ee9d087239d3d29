//! Compares the schedules of two commits.

use super::change::{ChangeKind, Finding, Preview, ScheduleChange, TaskChange};
use super::starts::Starts;
use super::{fields, parameters, verdict};
use crate::model::{Schedule, ScheduleName, Task, TaskId, Timestamp};
use crate::schedule::feasibility::{self, feasibility, line, refusals};
use crate::schedule::{chart, gantt};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of the picture.
const WIDTH: usize = 100;

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
    Preview { verdict: verdict::verdict(&schedules), schedules }
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
