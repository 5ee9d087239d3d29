//! Follows a run and records what happens, while it goes on.
//!
//! Comes in: the moments of a run. Goes out: rows in the store, in small batches as occurrences settle, and now and then
//! those that go on. What is settled is written and forgotten, so that the memory of a run does not grow with its length.

use super::moments::Moment;
use super::moments::{Moments, Occurrence};
use super::records::{Values, going_on, settled};
use crate::model::{RunId, Schedule};
use crate::process::clock;
use crate::process::error::chain;
use crate::schedule::{Effect, Input, Record, TaskIndex, Verdict};
use crate::store::{Ledger, StoreError, TaskRecord};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// What happened so far is in the store at the latest after this, so that a crash leaves a run that can be read.
const NOTE: Duration = Duration::from_millis(500);
/// Occurrences that are written in one transaction: other writers wait no longer than for these.
const CHUNK: usize = 100;
/// Time between two writes in which others write.
const PAUSE: Duration = Duration::from_millis(1);
/// Moments that are read before settled occurrences, at most: as many as their queue has room for.
const MOMENTS: usize = 1 << 17;
/// Occurrences of a run that are kept, each; beyond that, those that did not succeed.
const KEPT: u64 = 100_000;
/// The most runs of a schedule that are kept.
const RUNS: usize = 500;
/// The fewest, however large they are.
const RUNS_AT_LEAST: usize = 10;
/// Occurrences of all runs of a schedule that are kept, about.
const OCCURRENCES: u64 = 1_000_000;

/// How many runs of a schedule are kept: fewer when they are large.
pub fn runs_kept(schedule: &Schedule) -> usize {
    let occurrences: u64 = schedule.tasks.iter().map(|task| u64::from(task.release.occurrences())).sum();
    let of_a_run = occurrences.clamp(1, 2 * KEPT);
    usize::try_from(OCCURRENCES / of_a_run).unwrap_or(RUNS).clamp(RUNS_AT_LEAST, RUNS)
}

/// Records a run.
#[derive(Debug)]
pub struct Recorder {
    /// Where it is written, and the id of the run there.
    kept: Option<(Ledger, RunId)>,
    schedule: Arc<Schedule>,
    /// The occurrences that go on.
    record: Record,
    /// Occurrences that go on and have changed since they were last written.
    changed: BTreeSet<(TaskIndex, u32)>,
    values: Values,
    /// Occurrences that were written, and that were left out.
    written: [u64; 2],
    /// The first failure to write.
    failure: Option<String>,
}

impl Recorder {
    /// For a run, and the ledger in which it is prepared under its id; without one it is only shown.
    pub fn new(kept: Option<(Ledger, RunId)>, schedule: Arc<Schedule>) -> Self {
        Self {
            kept,
            schedule,
            record: Record::default(),
            changed: BTreeSet::new(),
            values: Values::default(),
            written: [0; 2],
            failure: None,
        }
    }

    /// Records what comes until nothing more can come, and shows it to `moment` and `occurrence`. Blocks the calling thread.
    /// Returns remarks about the run.
    pub fn follow(
        mut self,
        moments: &mut Moments,
        mut moment: impl FnMut(&Moment),
        mut occurrence: impl FnMut(Occurrence),
    ) -> Vec<String> {
        let mut written = Instant::now();
        loop {
            let is_over = match moments.recv_timeout(NOTE) {
                Ok(one) => {
                    moment(&one);
                    self.record_moment(&one);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if !is_over && written.elapsed() < NOTE {
                continue;
            }
            written = Instant::now();
            loop {
                let settled = moments.settled(CHUNK);
                for _ in 0..MOMENTS {
                    let Some(one) = moments.try_recv() else { break };
                    moment(&one);
                    self.record_moment(&one);
                }
                let is_last = settled.len() < CHUNK;
                self.record_settled(&settled);
                settled.into_iter().for_each(&mut occurrence);
                if is_last {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
            self.write_changed();
            if is_over {
                self.write_values();
                return self.notes();
            }
        }
    }

    fn record_moment(&mut self, moment: &Moment) {
        match moment {
            Moment::Input(at, input) => {
                self.record.input(*at, input);
                if let Input::Started(attempt) | Input::Ended(attempt, _) = input
                    && self.record.row(attempt.task, attempt.occurrence).is_some()
                {
                    self.changed.insert((attempt.task, attempt.occurrence));
                }
            }
            // These come as settled occurrences.
            Moment::Effect(_, Effect::Settled { .. } | Effect::Ended(_)) => {}
            Moment::Effect(at, effect) => {
                self.record.effect(&self.schedule, *at, effect);
                self.changed.extend(Record::about(effect).filter(|(task, at)| self.record.row(*task, *at).is_some()));
            }
        }
    }

    fn record_settled(&mut self, settled: &[Occurrence]) {
        let mut rows: Vec<TaskRecord> = Vec::with_capacity(settled.len());
        for occurrence in settled {
            let row = &occurrence.row;
            self.changed.remove(&(row.task, row.occurrence));
            self.record.take(row.task, row.occurrence);
            self.values.add(occurrence);
            let [written, left_out] = &mut self.written;
            if *written < KEPT || (row.verdict != Some(Verdict::Succeeded) && *written < 2 * KEPT) {
                *written += 1;
                rows.extend(self::settled(&self.schedule, occurrence));
            } else {
                *left_out += 1;
            }
        }
        self.write(&rows);
        // Here, and not at a pause: a run whose occurrences settle as fast as they are written has none.
        if self.values.is_enough() {
            self.write_values();
        }
    }

    fn write(&mut self, rows: &[TaskRecord]) {
        let Some((ledger, run)) = &self.kept else { return };
        let result = ledger.record_rows(run, rows);
        self.log_failure(result);
    }

    fn write_values(&mut self) {
        let mut values = std::mem::take(&mut self.values);
        let Some((ledger, _)) = &self.kept else { return };
        let result = values.write(ledger, &self.schedule, clock::now());
        self.log_failure(result);
    }

    fn write_changed(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let rows = changed.into_iter().filter_map(|(task, at)| going_on(&self.schedule, self.record.row(task, at)?));
        let rows: Vec<TaskRecord> = rows.collect();
        for rows in rows.chunks(CHUNK) {
            self.write(rows);
        }
    }

    fn log_failure(&mut self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            let run = self.kept.as_ref().map(|(_, run)| run.as_str());
            tracing::warn!(run, error = chain(&error), "a part of the run was not recorded");
            self.failure.get_or_insert_with(|| format!("not all of it could be recorded: {}", chain(&error)));
        }
    }

    fn notes(self) -> Vec<String> {
        let [_, left_out] = self.written;
        let more = (left_out > 0 && self.kept.is_some())
            .then(|| format!("{left_out} more occurrences are counted in the figures only"));
        self.failure.into_iter().chain(more).collect()
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
