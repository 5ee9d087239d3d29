//! One run: written down, conducted, written down again.

use super::desk::{Begin, ahead};
use super::ended::EndedRun;
use crate::event::{Event, Fact};
use crate::model::Timestamp;
use crate::process::error::chain;
use crate::process::{boot, clock};
use crate::runs::{LazyNoticeRouter, Planned, Recorder, RunHandle, RunSettings, moments, prepare, runs_kept};
use crate::schedule::RunVerdict;
use crate::store::{RunStart, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most that may wait to be written down.
const MOMENTS: usize = 65_536;

/// The last look at the wall clock before a run begins; from there on the clock counts that never jumps.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Until then the wall clock is looked at this often: it may be put forward or back.
const LOOK: Duration = Duration::from_millis(200);

/// A run that is about to begin; its start is in the ledger.
pub(super) struct Launch {
    pub(super) begin: Begin,
    pub(super) handle: RunHandle,
    pub(super) settings: RunSettings,
    pub(super) router: Arc<LazyNoticeRouter>,
    pub(super) stop: CancellationToken,
}

impl Launch {
    /// Prepares the run, waits for its time, conducts it and writes down what came of it.
    pub(super) async fn run(self) -> EndedRun {
        let Begin { id, schedule, planned, ledger, .. } = &self.begin;
        let over = EndedRun {
            schedule: schedule.name.clone(),
            id: id.clone(),
            ledger: ledger.clone(),
            keep: runs_kept(schedule),
        };
        let id = id.clone();
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
            Ok(Err(error)) => tracing::error!(run = %id, error = chain(&error), "a run could not be recorded"),
            Err(error) => tracing::error!(run = %id, error = chain(&error), "a run was aborted"),
        }
        over
    }

    /// Blocks until the run is over.
    fn conduct(self) -> Result<(), StoreError> {
        let Begin { schedule, placed, ledger, id, .. } = &self.begin;
        let (sender, mut moments) = moments((8 * schedule.tasks.len() + 256).min(MOMENTS));
        let ready = prepare(schedule, placed, id.as_str(), &self.settings, &self.router, sender);
        self.prepared()?;
        if !self.wait() {
            return Ok(());
        }
        let planned = Planned::at(self.begin.planned);
        ledger.begin_run(id, planned.wall())?;
        let conducted = ready.and_then(|ready| {
            std::thread::scope(|scope| {
                let recorder = Recorder::new(Some((ledger.clone(), id.clone())), Arc::clone(schedule));
                let this = &self;
                let recording = scope.spawn(move || {
                    this.begun(planned.wall());
                    recorder.follow(&mut moments, |_| {}, drop)
                });
                let conducted = ready.conduct(planned, &self.handle);
                let broke_off = |_| vec!["its recording was aborted".to_owned()];
                let notes = recording.join().unwrap_or_else(broke_off);
                conducted.map(|run| (run, notes))
            })
        });
        let (verdict, note) = match conducted {
            Ok((run, notes)) => {
                let notes = [run.remarks, notes].concat();
                let verdict = run.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
                (verdict, (!notes.is_empty()).then(|| notes.join("; ")))
            }
            Err(error) => (RunVerdict::Failed, Some(chain(&error))),
        };
        let now = clock::now();
        ledger.end_run(id, verdict, note.as_deref(), now)?;
        if matches!(verdict, RunVerdict::Succeeded) {
            tracing::info!(run = %id, verdict = verdict.word(), "run ended");
        } else {
            tracing::warn!(run = %id, verdict = verdict.word(), note = note.as_deref().unwrap_or_default(), "run ended");
        }
        let ended = Fact::RunEnded { run: id.clone(), schedule: schedule.name.clone(), verdict: verdict.into(), note };
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

    /// Writes down, on the disk, that it may begin from now on.
    fn prepared(&self) -> Result<(), StoreError> {
        let Begin { id, schedule, due, planned, revision, ledger, .. } = &self.begin;
        ledger.prepare_run(&RunStart {
            id: id.clone(),
            schedule: schedule.name.clone(),
            due: due.clone(),
            revision: revision.clone(),
            strict: schedule.strict,
            planned_at: *planned,
            boot: boot::id().to_owned(),
            process: None,
        })
    }

    /// Says that it began.
    fn begun(&self, started_at: Timestamp) {
        let Begin { id, schedule, due, revision, .. } = &self.begin;
        tracing::info!(run = %id, %due, "run started");
        let begun = Fact::RunBegun { run: id.clone(), schedule: schedule.name.clone(), revision: revision.clone() };
        self.event(begun, started_at);
    }

    /// Records a fact; a run does not depend on it.
    fn event(&self, fact: Fact, at: Timestamp) {
        if let Err(error) = self.begin.ledger.record(&Event { at, fact }) {
            tracing::warn!(run = %self.begin.id, error = chain(&error), "an event was not recorded");
        }
    }
}
