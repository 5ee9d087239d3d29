//! The lines that every rendering shows of a schedule: its changed fields, then its tasks.

use super::escape::plain;
use super::{ChangeKind, FieldChange, ScheduleChange, Starts, TaskChange};
use crate::schedule::feasibility::Proof;
use crate::schedule::short_time;
use std::time::Duration;

/// So many lines are shown of one schedule; the rest are counted.
const LIMIT: usize = 100;

/// What is told of a task that comes or goes; its JSON form has all of it.
const TELLING: [&str; 7] = ["scheduled-time", "period", "count", "needs", "target", "estimate", "deadline"];

/// One line. Its texts have no line breaks and no control characters.
pub(super) struct PreviewRow {
    /// `+` set or added, `-` unset or removed, `~` changed, `>` moved.
    pub(super) sign: char,
    /// Which field, which task, or which field of which task.
    pub(super) label: String,
    /// The value before, when there is one on both sides to tell.
    pub(super) old: Option<String>,
    /// The value after, or the only one.
    pub(super) value: String,
    /// Where the task is written; empty for a field of the schedule.
    pub(super) at: String,
}

/// The lines of a schedule, and how many more there would be.
pub(super) fn rows(schedule: &ScheduleChange) -> (Vec<PreviewRow>, usize) {
    let mut rows: Vec<PreviewRow> = schedule.fields.iter().map(field).collect();
    rows.extend(schedule.tasks.iter().flat_map(task));
    let more = rows.len().saturating_sub(LIMIT);
    rows.truncate(LIMIT);
    (rows, more)
}

fn field(change: &FieldChange) -> PreviewRow {
    let FieldChange { field, old, new } = change;
    let kind = match (old, new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let both = old.as_ref().filter(|_| new.is_some());
    let value = new.as_ref().or(old.as_ref());
    PreviewRow {
        sign: kind.sign(),
        label: plain(field),
        old: both.map(|old| plain(old)),
        value: value.map_or(String::new(), |value| plain(value)),
        at: String::new(),
    }
}

fn task(change: &TaskChange) -> Vec<PreviewRow> {
    let TaskChange { task, change: kind, at, fields } = change;
    let (sign, at) = (kind.sign(), plain(at));
    if matches!(kind, ChangeKind::Added | ChangeKind::Removed) {
        let telling = fields.iter().filter(|one| TELLING.contains(&one.field.as_str()));
        let texts: Vec<String> = telling.map(|one| format!("{} {}", one.field, field(one).value)).collect();
        return vec![PreviewRow {
            sign,
            label: plain(&format!("task {task}")),
            old: None,
            value: texts.join(" · "),
            at,
        }];
    }
    let shown = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |value| plain(value));
    let row = |one: &FieldChange| PreviewRow {
        sign,
        label: plain(&format!("task {task} {}", one.field)),
        old: Some(shown(&one.old)),
        value: shown(&one.new),
        at: at.clone(),
    };
    fields.iter().map(row).collect()
}

impl Starts {
    /// A remark on the start times, or what stands in their place.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::At { jitter_ns, times } => {
                let delay = times.first().map(|time| time.at.duration_since(time.due).unsigned_abs());
                let (delay, jitter) = (delay.unwrap_or_default(), Duration::from_nanos(*jitter_ns));
                let text = || format!("each {} after its due time (jitter {})", short_time(delay), short_time(jitter));
                (!jitter.is_zero()).then(text)
            }
            Self::Passed => Some("never: its time has passed".to_owned()),
            Self::OnCommit => Some("when this commit is applied".to_owned()),
            Self::ByHand => Some("only by hand".to_owned()),
        }
    }
}

/// What a finding proves, in a word or two.
pub(super) fn proof_text(proof: Proof) -> &'static str {
    match proof {
        Proof::Certain => "certain",
        Proof::WorstCase => "worst case",
        Proof::OneAtATime => "one by one",
        Proof::None => "unknown",
    }
}
