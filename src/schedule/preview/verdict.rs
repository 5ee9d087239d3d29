//! The one line that says what changes.

use super::{ChangeKind, ScheduleChange};

/// How many schedules and tasks change in which way; tasks of added and removed schedules are not counted.
pub(super) fn verdict(schedules: &[ScheduleChange]) -> String {
    let mut parts = Vec::new();
    for kind in [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed] {
        let count = schedules.iter().filter(|schedule| schedule.change == kind).count();
        let tasks = if kind == ChangeKind::Changed { tasks(schedules) } else { String::new() };
        if count > 0 {
            parts.push(format!("{count} {}{tasks}", kind.word()));
        }
    }
    match schedules.iter().filter(|schedule| schedule.refused).count() {
        0 => {}
        count => parts.push(format!("{count} refused")),
    }
    match schedules.len() {
        0 => "no schedule changes".to_owned(),
        1 => format!("1 schedule changes: {}", parts.join(" · ")),
        count => format!("{count} schedules change: {}", parts.join(" · ")),
    }
}

/// ` (2 tasks moved, 1 added)`, of the changed schedules.
fn tasks(schedules: &[ScheduleChange]) -> String {
    let changed = schedules.iter().filter(|schedule| schedule.change == ChangeKind::Changed);
    let tasks: Vec<ChangeKind> = changed.flat_map(|schedule| &schedule.tasks).map(|task| task.change).collect();
    let mut parts = Vec::new();
    for kind in [ChangeKind::Moved, ChangeKind::Changed, ChangeKind::Added, ChangeKind::Removed] {
        let noun = match tasks.iter().filter(|one| **one == kind).count() {
            0 => continue,
            1 if parts.is_empty() => "1 task".to_owned(),
            count if parts.is_empty() => format!("{count} tasks"),
            count => count.to_string(),
        };
        parts.push(format!("{noun} {}", kind.word()));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

impl ChangeKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Moved => "moved",
            Self::Changed => "changed",
        }
    }

    /// The sign before it.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Moved => '>',
            Self::Changed => '~',
        }
    }
}
