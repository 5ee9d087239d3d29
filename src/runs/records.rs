//! Occurrences of a run as the store keeps them, and the figures that follow from them.

use super::moments::Occurrence;
use crate::model::{Schedule, TaskId, Timestamp};
use crate::rt::Lateness;
use crate::schedule::{Row, SkipCause, TaskIndex, Verdict};
use crate::store::{FigureKind, Figures, Ledger, StoreError, TaskRecord};
use std::collections::BTreeMap;
use std::time::Duration;

/// A settled occurrence.
pub(super) fn settled(schedule: &Schedule, occurrence: &Occurrence) -> Option<TaskRecord> {
    let mut kept = going_on(schedule, &occurrence.row)?;
    for (attempt, detail) in &occurrence.details {
        let place = attempt.number.checked_sub(1).map(|at| at as usize);
        let Some(one) = place.and_then(|at| kept.tries.get_mut(at)) else { continue };
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

/// One that is not settled yet.
pub(super) fn going_on(schedule: &Schedule, row: &Row) -> Option<TaskRecord> {
    Some(TaskRecord::new(schedule.tasks.get(row.task.at())?.id.clone(), row))
}

/// How late tasks were and how long they took, until it is written.
#[derive(Debug, Default)]
pub(super) struct Values {
    values: BTreeMap<(TaskIndex, FigureKind), Vec<Duration>>,
    count: usize,
}

impl Values {
    /// How many values are written together.
    const ENOUGH: usize = 4096;

    /// Adds those of an occurrence. True starts and sent requests are counted separately, what is early is not on time, and what was
    /// left out is counted separately.
    pub(super) fn add(&mut self, occurrence: &Occurrence) {
        let row = &occurrence.row;
        for (number, one) in (1..).zip(&row.tries) {
            let detail = occurrence.details.iter().find(|(attempt, _)| attempt.number == number);
            match detail.and_then(|(_, detail)| detail.true_start) {
                Some(start) if start < one.released => {
                    self.put(row.task, FigureKind::Early, one.released.saturating_sub(start));
                }
                Some(start) => self.put(row.task, FigureKind::Lateness, start.saturating_sub(one.released)),
                None => self.put(row.task, FigureKind::Sent, one.lateness()),
            }
            if let Some(took) = one.took() {
                self.put(row.task, FigureKind::Duration, took);
            }
        }
        if row.verdict == Some(Verdict::Skipped(SkipCause::Overrun)) {
            (0..row.count).for_each(|_| self.put(row.task, FigureKind::Overrun, Duration::ZERO));
        }
    }

    fn put(&mut self, task: TaskIndex, kind: FigureKind, value: Duration) {
        self.values.entry((task, kind)).or_default().push(value);
        self.count += 1;
    }

    /// Whether there are so many that they are better written than kept.
    pub(super) fn is_enough(&self) -> bool {
        self.count >= Self::ENOUGH
    }

    /// Adds them to what is known of earlier runs; what could not be written is given up.
    pub(super) fn write(&mut self, ledger: &Ledger, schedule: &Schedule, now: Timestamp) -> Result<(), StoreError> {
        self.count = 0;
        for ((task, kind), values) in std::mem::take(&mut self.values) {
            let Some(id) = schedule.tasks.get(task.at()).map(|task| &task.id) else { continue };
            add(ledger, schedule, id, kind, now, &values)?;
        }
        Ok(())
    }
}

fn add(
    ledger: &Ledger,
    schedule: &Schedule,
    task: &TaskId,
    kind: FigureKind,
    now: Timestamp,
    values: &[Duration],
) -> Result<(), StoreError> {
    ledger.add_figures(&schedule.name, task, kind, now, |before| sum(before, values))
}

fn sum(before: Option<&[u8]>, values: &[Duration]) -> Figures {
    // A histogram that cannot be read any more is started anew.
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

#[cfg(test)]
mod tests {
    use super::super::details::Detail;
    use super::*;
    use crate::schedule::{Attempt, Try};

    fn occurrence(start: Option<u64>, verdict: Verdict) -> Occurrence {
        let ms = Duration::from_millis;
        let one =
            Try { released: ms(100), sent: ms(101), armed: false, acknowledged: None, ended: Some(ms(111)), end: None };
        let tries = if matches!(verdict, Verdict::Skipped(_)) { Vec::new() } else { vec![one] };
        let row = Row {
            task: TaskIndex(0),
            occurrence: 0,
            count: 3,
            due: Some(ms(100)),
            tries,
            verdict: Some(verdict),
            missed_deadline: false,
        };
        let detail = Detail { true_start: start.map(ms), ..Detail::default() };
        Occurrence { row, details: vec![(Attempt { task: TaskIndex(0), occurrence: 0, number: 1 }, detail)] }
    }

    #[test]
    fn true_starts_sent_requests_early_starts_and_what_was_left_out_are_told_apart() {
        let mut values = Values::default();
        for start in [Some(103), Some(98), None] {
            values.add(&occurrence(start, Verdict::Succeeded));
        }
        values.add(&occurrence(None, Verdict::Skipped(SkipCause::Overrun)));
        let ms = |kind| -> Vec<u128> {
            values.values.get(&(TaskIndex(0), kind)).unwrap().iter().map(Duration::as_millis).collect()
        };
        assert_eq!(ms(FigureKind::Lateness), [3]);
        assert_eq!(ms(FigureKind::Early), [2]);
        assert_eq!(ms(FigureKind::Sent), [1]);
        assert_eq!(ms(FigureKind::Duration), [10, 10, 10]);
        assert_eq!(ms(FigureKind::Overrun), [0, 0, 0]);
    }
}
