//! One run: written down, conducted, written down again.

use super::records::{figures, rows};
use crate::event::{Event, Fact};
use crate::model::{Schedule, ScheduleName, Timestamp};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::runs::{self, Conducted, Exchange, Hand, Moment, conduct};
use crate::schedule::{Record, RunVerdict};
use crate::store::{DueKey, Ledger, RunStart, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What happened so far is on the disk at the latest after this, so that a crash leaves a run that can be read.
const NOTE: Duration = Duration::from_millis(500);

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
        ledger.record(&Event { at: started_at, fact: begun })?;
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
            Ok(run) => self.close(run)?,
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
        ledger.record(&Event { at: now, fact: ended })?;
        Ok(())
    }

    /// Writes down what happened so far, now and then. The whole is written at the end.
    fn note(&self, moments: &Receiver<Moment>) {
        let mut record = Record::default();
        let mut written = Instant::now();
        let mut news = false;
        loop {
            let moment = match moments.recv_timeout(NOTE) {
                Ok(moment) => Some(moment),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            news |= moment.is_some();
            match moment {
                Some(Moment::Input(at, input)) => record.input(at, &input),
                Some(Moment::Effect(at, effect)) => record.effect(&self.schedule, at, &effect),
                None => {}
            }
            if news && written.elapsed() >= NOTE {
                news = false;
                written = Instant::now();
                let rows = rows(&self.schedule, &record, &BTreeMap::new());
                if let Err(error) = self.ledger.record_rows(&self.id, &rows) {
                    tracing::warn!(run = self.id, error = chain(&error), "a part of the run was not written down");
                }
            }
        }
    }

    fn close(&self, run: &Conducted) -> Result<(RunVerdict, Option<String>), StoreError> {
        self.ledger.record_rows(&self.id, &rows(&self.schedule, &run.record, &run.details))?;
        figures(&self.ledger, &self.schedule, run)?;
        let verdict = run.record.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
        Ok((verdict, (!run.remarks.is_empty()).then(|| run.remarks.join("; "))))
    }
}
