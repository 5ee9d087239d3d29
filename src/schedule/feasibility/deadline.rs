//! What one task with its needs cannot hold, whatever else runs.

use super::expected::{Entry, ExpectedRun};
use super::{Finding, FindingKind};
use crate::model::{DeadlineFrom, Release};
use std::collections::BTreeSet;
use std::time::Duration;

/// Deadlines and periods that cannot be kept; and the tasks whose deadline is impossible by itself already, at most one
/// finding for each.
pub(super) fn check(run: &ExpectedRun<'_>) -> (Vec<Finding>, BTreeSet<usize>) {
    let mut findings = Vec::new();
    let mut judged = BTreeSet::new();
    for (number, entry) in run.entries() {
        if let Some(kind) = impossible(entry).or_else(|| chain(run, number, entry)) {
            judged.insert(number);
            findings.extend(run.finding(kind, [number]));
        }
        if let (Some(period), Some(estimate)) = (entry.period(), entry.estimate())
            && estimate > period
        {
            findings.extend(run.finding(FindingKind::EstimateExceedsPeriod { estimate, period }, [number]));
        }
    }
    (findings, judged)
}

/// The deadline leaves too little time for the task alone. Of several occurrences the last has the least time left
/// until a deadline that counts from the run's start.
fn impossible(entry: &Entry<'_>) -> Option<FindingKind> {
    let deadline = entry.task.deadline?;
    let due = entry.last_due();
    let timed = matches!(entry.task.release, Release::Timed { .. });
    let available = match deadline.from {
        DeadlineFrom::Run if timed && deadline.after <= due => {
            return Some(FindingKind::DeadlineBeforeDue { due, deadline: deadline.after });
        }
        DeadlineFrom::Run => deadline.after.saturating_sub(due),
        DeadlineFrom::Release => deadline.after,
    };
    let estimate = entry.estimate()?;
    (available < estimate).then_some(FindingKind::DeadlineBeforeEstimate { estimate, available })
}

/// What the task needs ends too late for its deadline.
fn chain(run: &ExpectedRun<'_>, number: usize, entry: &Entry<'_>) -> Option<FindingKind> {
    let (deadline, timing) = (entry.task.deadline?, entry.timing?);
    if timing.ready.is_zero() {
        return None;
    }
    let (end, limit) = match (deadline.from, entry.task.release.due(0)) {
        (DeadlineFrom::Run, _) => (timing.end, deadline.after),
        (DeadlineFrom::Release, Some(due)) => {
            let end = entry.released(timing, 0).saturating_add(entry.estimate().unwrap_or(Duration::ZERO));
            (end, due.saturating_add(deadline.after))
        }
        // A sequential task's deadline starts when its needs have ended.
        (DeadlineFrom::Release, None) => return None,
    };
    (end > limit).then(|| FindingKind::Chain { path: run.path(number), end, deadline: limit })
}
