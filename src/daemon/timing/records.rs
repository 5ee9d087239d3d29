//! A run as the store keeps it.

use crate::model::{Schedule, TaskId};
use crate::process::clock;
use crate::rt::Lateness;
use crate::runs::{Conducted, Detail};
use crate::schedule::{Attempt, Row};
use crate::store::{FigureKind, Figures, Ledger, StoreError, TaskRecord};
use std::collections::BTreeMap;
use std::time::Duration;

/// Occurrences of a run.
pub(super) fn rows_of<'r>(
    schedule: &Schedule,
    rows: impl Iterator<Item = &'r Row>,
    details: &BTreeMap<Attempt, Detail>,
) -> Vec<TaskRecord> {
    rows.filter_map(|row| one(schedule, row, details)).collect()
}

fn one(schedule: &Schedule, row: &Row, details: &BTreeMap<Attempt, Detail>) -> Option<TaskRecord> {
    let task = schedule.tasks.get(row.task.at())?;
    let mut kept = TaskRecord::new(task.id.clone(), row);
    for (number, one) in (1..).zip(&mut kept.tries) {
        let Some(detail) = details.get(&Attempt { task: row.task, occurrence: row.occurrence, number }) else {
            continue;
        };
        one.started_ns = detail.true_start.and_then(|at| i64::try_from(at.as_nanos()).ok());
        one.error.clone_from(&detail.message);
        one.remarks.clone_from(&detail.remarks);
        one.stdout.clone_from(&detail.stdout);
        one.stderr.clone_from(&detail.stderr);
        if detail.output.is_some() {
            kept.output.clone_from(&detail.output);
        }
    }
    Some(kept)
}

/// Adds how late the tasks of a run were and how long they took to what is known of earlier runs.
pub(super) fn figures(ledger: &Ledger, schedule: &Schedule, run: &Conducted) -> Result<(), StoreError> {
    let mut values: BTreeMap<(&TaskId, FigureKind), Vec<Duration>> = BTreeMap::new();
    for row in run.record.rows() {
        let Some(task) = schedule.tasks.get(row.task.at()) else { continue };
        for (number, one) in (1..).zip(&row.tries) {
            let detail = run.details.get(&Attempt { task: row.task, occurrence: row.occurrence, number });
            let started = detail.and_then(|detail| detail.true_start).unwrap_or(one.sent);
            let late = started.saturating_sub(one.released);
            values.entry((&task.id, FigureKind::Lateness)).or_default().push(late);
            if let Some(took) = one.took() {
                values.entry((&task.id, FigureKind::Duration)).or_default().push(took);
            }
        }
    }
    for ((task, kind), values) in values {
        ledger.add_figures(&schedule.name, task, kind, clock::now(), |before| sum(before, &values))?;
    }
    Ok(())
}

fn sum(before: Option<&[u8]>, values: &[Duration]) -> Figures {
    // A histogram that cannot be read any more is begun anew.
    let mut all = before.and_then(|bytes| Lateness::from_bytes(bytes).ok()).unwrap_or_default();
    for value in values {
        all.record(*value);
    }
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Figures {
        count: all.count(),
        p50_us: micros(all.percentile(50.0)),
        p99_us: micros(all.percentile(99.0)),
        max_us: micros(all.max()),
        histogram: all.to_bytes(),
    }
}
