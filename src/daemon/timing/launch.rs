//! One run: written down, conducted, written down again.

use super::records::{figures, rows_of};
use crate::event::{Event, Fact};
use crate::model::{Schedule, ScheduleName, Timestamp};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::runs::{self, Conducted, Exchange, Hand, Moment, conduct};
use crate::schedule::{Input, Record, RunVerdict};
use crate::store::{DueKey, Ledger, RunStart, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What happened so far is on the disk at the latest after this, so that a crash leaves a run that can be read.
const NOTE: Duration = Duration::from_millis(500);
/// Occurrences that are written at once.
const CHUNK: usize = 500;
/// Runs of each schedule that are kept.
const KEPT: usize = 500;

/// A run that is about to begin; its start is in the ledger.
pub(super) struct Launch {
    pub(super) schedule: Arc<Schedule>,
    pub(super) ledger: Ledger,
    pub(super) revision: String,
    pub(super) id: String,
    pub(super) due: DueKey,
    pub(super) planned: Timestamp,
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
    /// Waits for its time, conducts it and writes down what came of it.
    pub(super) async fn run(self) -> Launched {
        let over = Launched { schedule: self.schedule.name.clone(), id: self.id.clone() };
        let wait = self.planned.duration_since(clock::now());
        if !wait.is_negative() {
            // Dropping either loses nothing. A run whose jitter the end of the daemon cuts short begins at the next start.
            tokio::select! {
                () = tokio::time::sleep(wait.unsigned_abs()) => {}
                () = self.stop.cancelled() => return over,
            }
        }
        let id = self.id.clone();
        match tokio::task::spawn_blocking(move || self.conduct()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(run = id, error = chain(&error), "a run could not be written down"),
            Err(error) => tracing::error!(run = id, error = chain(&error), "a run broke off"),
        }
        over
    }

    /// Blocks until the run is over.
    fn conduct(self) -> Result<(), StoreError> {
        let Self { schedule, ledger, id, .. } = &self;
        let started_at = clock::now();
        ledger.begin_run(&RunStart {
            id: id.clone(),
            schedule: schedule.name.clone(),
            due: self.due.clone(),
            revision: self.revision.clone(),
            strict: schedule.strict,
            planned_at: self.planned,
            started_at,
        })?;
        tracing::info!(run = id, due = %self.due, "run begins");
        let begun =
            Fact::RunBegun { run: id.clone(), schedule: schedule.name.clone(), revision: self.revision.clone() };
        self.event(begun, started_at);
        let (onlooker, moments) = sync_channel(8 * schedule.tasks.len() + 256);
        let conducted = match &self.exchange {
            Err(error) => Err(error.clone()),
            Ok(exchange) => std::thread::scope(|scope| {
                let this = &self;
                scope.spawn(move || this.note(&moments));
                conduct(schedule, id, &self.settings, exchange, &self.hand, Some(onlooker))
                    .map_err(|error| chain(&error))
            }),
        };
        let (verdict, note) = match &conducted {
            Ok(run) => self.close(run),
            Err(error) => (RunVerdict::Failed, Some(error.clone())),
        };
        let now = clock::now();
        ledger.end_run(id, verdict, note.as_deref(), now)?;
        tracing::info!(run = id, verdict = verdict.word(), note = note.as_deref().unwrap_or_default(), "run ended");
        let ended = Fact::RunEnded {
            run: id.clone(),
            schedule: schedule.name.clone(),
            verdict: verdict.word().to_owned(),
            note,
        };
        self.event(ended, now);
        Ok(())
    }

    /// Records a fact; a run does not depend on it.
    fn event(&self, fact: Fact, at: Timestamp) {
        if let Err(error) = self.ledger.record(&Event { at, fact }) {
            tracing::warn!(run = self.id, error = chain(&error), "an event was not recorded");
        }
    }

    /// Writes down what happened so far, now and then. The whole is written at the end.
    fn note(&self, moments: &Receiver<Moment>) {
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
                    record.effect(&self.schedule, at, &effect);
                    news.extend(Record::about(&effect));
                }
                None => {}
            }
            if !news.is_empty() && written.elapsed() >= NOTE {
                written = Instant::now();
                let rows = std::mem::take(&mut news).into_iter().filter_map(|(task, at)| record.row(task, at));
                let rows = rows_of(&self.schedule, rows, &BTreeMap::new());
                if let Err(error) = self.ledger.record_rows(&self.id, &rows) {
                    tracing::warn!(run = self.id, error = chain(&error), "a part of the run was not written down");
                }
            }
        }
    }

    /// Writes the whole down. What could not be written is said in the note: the run has ended all the same.
    fn close(&self, run: &Conducted) -> (RunVerdict, Option<String>) {
        let mut notes = run.remarks.clone();
        let rows = rows_of(&self.schedule, run.record.rows(), &run.details);
        // In parts, so that the due times of other schedules can be written in between.
        let written = rows.chunks(CHUNK).try_for_each(|rows| self.ledger.record_rows(&self.id, rows));
        if let Err(error) = written.and_then(|()| figures(&self.ledger, &self.schedule, run)) {
            notes.push(format!("not all of it could be written down: {}", chain(&error)));
        }
        if let Err(error) = self.ledger.prune_runs(KEPT) {
            tracing::warn!(error = chain(&error), "old runs were not removed");
        }
        let verdict = run.record.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
        (verdict, (!notes.is_empty()).then(|| notes.join("; ")))
    }
}
