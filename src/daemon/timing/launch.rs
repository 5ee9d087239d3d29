//! One run: written down, conducted, written down again.

use super::desk::{Begin, ahead};
use super::records::{figures, rows_of};
use crate::event::{Event, Fact};
use crate::model::{ScheduleName, Timestamp};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::runs::{self, Conducted, Exchange, Hand, Moment, Moments, Planned, moments, prepare};
use crate::schedule::{Input, Record, RunVerdict};
use crate::store::{RunStart, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What happened so far is on the disk at the latest after this, so that a crash leaves a run that can be read.
const NOTE: Duration = Duration::from_millis(500);
/// Occurrences that are written at once.
const CHUNK: usize = 500;
/// The most that may wait to be written down.
const MOMENTS: usize = 65_536;
/// Runs of each schedule that are kept.
const KEPT: usize = 500;

/// The last look at the wall clock before a run begins; from there on the clock counts that never jumps.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Until then the wall clock is looked at this often: it may be put forward or back.
const LOOK: Duration = Duration::from_millis(200);

/// A run that is about to begin; its start is in the ledger.
pub(super) struct Launch {
    pub(super) begin: Begin,
    pub(super) hand: Hand,
    pub(super) settings: runs::Settings,
    pub(super) exchange: Result<Arc<Exchange>, String>,
    pub(super) stop: CancellationToken,
}

/// A run that is over.
pub(super) struct Launched {
    pub(super) schedule: ScheduleName,
    pub(super) id: String,
}

impl Launch {
    /// Prepares the run, waits for its time, conducts it and writes down what came of it.
    pub(super) async fn run(self) -> Launched {
        let Begin { id, schedule, planned, .. } = &self.begin;
        let (id, over) = (id.clone(), Launched { schedule: schedule.name.clone(), id: id.clone() });
        let wait = ahead(*planned).duration_since(clock::now());
        if !wait.is_negative() {
            // Dropping either loses nothing. A run that the end of the daemon overtakes begins at the next start.
            tokio::select! {
                () = tokio::time::sleep(wait.unsigned_abs()) => {}
                () = self.stop.cancelled() => return over,
            }
        }
        match tokio::task::spawn_blocking(move || self.conduct()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(run = id, error = chain(&error), "a run could not be written down"),
            Err(error) => tracing::error!(run = id, error = chain(&error), "a run broke off"),
        }
        over
    }

    /// Blocks until the run is over.
    fn conduct(self) -> Result<(), StoreError> {
        let Begin { schedule, ledger, id, .. } = &self.begin;
        let (onlooker, mut moments) = moments((8 * schedule.tasks.len() + 256).min(MOMENTS));
        let exchange = self.exchange.as_deref();
        let ready = prepare(schedule, id, &self.settings, exchange.map_err(String::as_str), Some(onlooker));
        if !self.wait() {
            return Ok(());
        }
        let planned = Planned::at(self.begin.planned);
        self.begun(planned.wall())?;
        let conducted = ready.and_then(|ready| {
            std::thread::scope(|scope| {
                let this = &self;
                scope.spawn(move || this.note(&mut moments));
                ready.conduct(planned, exchange.ok(), &self.hand)
            })
        });
        let (verdict, note) = match &conducted {
            Ok(run) => self.close(run),
            Err(error) => (RunVerdict::Failed, Some(chain(error))),
        };
        let now = clock::now();
        ledger.end_run(id, verdict, note.as_deref(), now)?;
        if matches!(verdict, RunVerdict::Succeeded) {
            tracing::info!(run = id, verdict = verdict.word(), "run ended");
        } else {
            tracing::warn!(run = id, verdict = verdict.word(), note = note.as_deref().unwrap_or_default(), "run ended");
        }
        let ended = Fact::RunEnded {
            run: id.clone(),
            schedule: schedule.name.clone(),
            verdict: verdict.word().to_owned(),
            note,
        };
        self.event(ended, now);
        Ok(())
    }

    /// Waits until just before the planned instant by the wall clock. False when the daemon ends meanwhile.
    fn wait(&self) -> bool {
        loop {
            let left = self.begin.planned.duration_since(clock::now());
            let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
            if left <= LAST_LOOK || self.stop.is_cancelled() {
                return !self.stop.is_cancelled();
            }
            std::thread::sleep((left - LAST_LOOK).min(LOOK));
        }
    }

    /// Writes down that it begins.
    fn begun(&self, started_at: Timestamp) -> Result<(), StoreError> {
        let Begin { id, schedule, due, planned, revision, ledger } = &self.begin;
        ledger.begin_run(&RunStart {
            id: id.clone(),
            schedule: schedule.name.clone(),
            due: due.clone(),
            revision: revision.clone(),
            strict: schedule.strict,
            planned_at: *planned,
            started_at,
        })?;
        tracing::info!(run = id, %due, "run begins");
        let begun = Fact::RunBegun { run: id.clone(), schedule: schedule.name.clone(), revision: revision.clone() };
        self.event(begun, started_at);
        Ok(())
    }

    /// Records a fact; a run does not depend on it.
    fn event(&self, fact: Fact, at: Timestamp) {
        if let Err(error) = self.begin.ledger.record(&Event { at, fact }) {
            tracing::warn!(run = self.begin.id, error = chain(&error), "an event was not recorded");
        }
    }

    /// Writes down what happened so far, now and then. The whole is written at the end.
    fn note(&self, moments: &mut Moments) {
        let mut record = Record::default();
        let mut written = Instant::now();
        let mut news = BTreeSet::new();
        loop {
            let moment = match moments.recv_timeout(NOTE) {
                Ok(moment) => Some(moment),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match moment {
                Some(Moment::Input(at, input)) => {
                    record.input(at, &input);
                    if let Input::Started(attempt) | Input::Ended(attempt, _) = input {
                        news.insert((attempt.task, attempt.occurrence));
                    }
                }
                Some(Moment::Effect(at, effect)) => {
                    record.effect(&self.begin.schedule, at, &effect);
                    news.extend(Record::about(&effect));
                }
                None => {}
            }
            if !news.is_empty() && written.elapsed() >= NOTE {
                written = Instant::now();
                let rows = std::mem::take(&mut news).into_iter().filter_map(|(task, at)| record.row(task, at));
                let rows = rows_of(&self.begin.schedule, rows, &BTreeMap::new());
                if let Err(error) = self.begin.ledger.record_rows(&self.begin.id, &rows) {
                    tracing::warn!(
                        run = self.begin.id,
                        error = chain(&error),
                        "a part of the run was not written down"
                    );
                }
            }
        }
    }

    /// Writes the whole down. What could not be written is said in the note: the run has ended all the same.
    fn close(&self, run: &Conducted) -> (RunVerdict, Option<String>) {
        let mut notes = run.remarks.clone();
        let rows = rows_of(&self.begin.schedule, run.record.rows(), &run.details);
        // In parts, so that the due times of other schedules can be written in between.
        let written = rows.chunks(CHUNK).try_for_each(|rows| self.begin.ledger.record_rows(&self.begin.id, rows));
        if let Err(error) = written.and_then(|()| figures(&self.begin.ledger, &self.begin.schedule, run)) {
            notes.push(format!("not all of it could be written down: {}", chain(&error)));
        }
        if let Err(error) = self.begin.ledger.prune_runs(KEPT) {
            tracing::warn!(error = chain(&error), "old runs were not removed");
        }
        let verdict = run.record.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
        (verdict, (!notes.is_empty()).then(|| notes.join("; ")))
    }
}
