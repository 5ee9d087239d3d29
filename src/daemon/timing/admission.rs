//! What becomes of a run whose time has come: it begins, waits, is left out, or takes another's place. Written into the
//! ledger, then ordered.

use super::desk::{Begin, Desk, Order, event, left_out, planned};
use super::leftover::Leftover;
use crate::apply::load::Loaded;
use crate::event::{Event, Fact, RunEnd};
use crate::model::{Missed, Overlap, RunId, Schedule, ScheduleName, Timestamp};
use crate::runs::new_id;
use crate::schedule::RunVerdict;
use crate::schedule::agenda::{Admission, admit, is_late};
use crate::store::{DueKey, FireOutcome, Fired, Interrupted, Ledger, StoreError};
use std::sync::Arc;

/// At most this many runs of all schedules go on at once; further ones are skipped. Each has threads of its own.
pub(super) const RUNS_AT_ONCE: usize = 200;

impl Desk {
    /// Whether a run may begin. `late` as in [`admit`].
    pub(super) fn admission(&self, schedule: &Schedule, late: bool) -> Admission {
        let all: usize = self.runs.values().map(|runs| runs.under_way.len()).sum();
        let runs = self.runs.get(&schedule.name);
        let (running, queued) = runs.map_or((0, 0), |runs| (runs.under_way.len(), runs.waiting.len()));
        match admit(schedule.overlap, running, queued, late) {
            Admission::Start if all >= RUNS_AT_ONCE => Admission::Skip,
            admission => admission,
        }
    }

    /// Runs of due times until `until`, oldest first.
    pub(super) fn admit_all(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        due: &[Timestamp],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some((latest, older)) = due.split_last() else { return Ok(()) };
        for at in older {
            let key = DueKey::Instant(*at);
            if schedule.overlap == Overlap::Replace {
                // The later one would end it at once.
                loaded.ledger.fire(&schedule.name, &key, FireOutcome::Replaced, None, now)?;
            } else {
                self.admit_one(loaded, schedule, &key, None, is_late(*at, until), now)?;
            }
        }
        let late = is_late(*latest, until);
        self.admit_one(loaded, schedule, &DueKey::Instant(*latest), None, late, now)
    }

    /// A run whose time has come and that has no due time in a row.
    pub(super) fn admitted(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        key: &DueKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.admit_one(loaded, schedule, key, None, false, now)
    }

    /// A run whose time has come: begun, or what the schedule says when one is under way. `fired` is its id when the
    /// ledger has its start already, and nothing of it has begun.
    fn admit_one(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        key: &DueKey,
        fired: Option<&RunId>,
        late: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, ledger) = (&schedule.name, &loaded.ledger);
        match (self.admission(schedule, late), fired) {
            (Admission::Start, None) => {
                self.fire(loaded, schedule, key, now)?;
            }
            (Admission::Start, Some(id)) => {
                let planned = planned(schedule, key).unwrap_or(now);
                self.begin(loaded, schedule, id.clone(), key.clone(), planned.max(now));
            }
            (Admission::Queue, _) => {
                self.queue(ledger, name, key, fired.is_some(), now)?;
            }
            (Admission::Skip, _) => {
                if written(ledger, name, key, fired.is_some(), FireOutcome::Skipped, now)? {
                    left_out(ledger, name, key, 1, "skipped: earlier runs have not ended", now);
                }
            }
            (Admission::Replace, _) => {
                for older in std::mem::take(&mut self.runs.entry(name.clone()).or_default().waiting) {
                    ledger.refire(name, &older, FireOutcome::Queued, FireOutcome::Replaced, None, now)?;
                }
                if self.queue(ledger, name, key, fired.is_some(), now)?
                    && let Some(runs) = self.runs.get(name)
                {
                    self.orders.extend(runs.under_way.iter().cloned().map(Order::Cancel));
                }
            }
        }
        Ok(())
    }

    /// Lets a due time wait for the run under way; false when the ledger has seen it before.
    fn queue(
        &mut self,
        ledger: &Ledger,
        name: &ScheduleName,
        key: &DueKey,
        fired: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ours = written(ledger, name, key, fired, FireOutcome::Queued, now)?;
        if ours {
            self.runs.entry(name.clone()).or_default().waiting.push_back(key.clone());
        }
        Ok(ours)
    }

    /// Writes a start into the ledger, and then orders it; false when the ledger has seen it before.
    pub(super) fn fire(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        key: &DueKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let planned = planned(schedule, key).unwrap_or(now);
        let id = new_id(schedule, planned.max(now));
        let fired = loaded.ledger.fire(&schedule.name, key, FireOutcome::Started, Some(&id), now)?;
        if fired == Fired::Recorded {
            self.begin(loaded, schedule, id, key.clone(), planned);
        }
        Ok(fired == Fired::Recorded)
    }

    pub(super) fn begin(&mut self, loaded: &Loaded, schedule: &Schedule, id: RunId, due: DueKey, planned: Timestamp) {
        self.runs.entry(schedule.name.clone()).or_default().under_way.push(id.clone());
        self.orders.push(Order::Begin(Begin {
            id,
            schedule: Arc::new(schedule.clone()),
            placed: Arc::clone(&self.placed),
            due,
            planned,
            revision: loaded.revision.commit.clone(),
            ledger: loaded.ledger.clone(),
        }));
    }

    /// A run that an earlier process left behind. One of which nothing had begun goes the way of every run whose time has
    /// come, unless missed times are skipped; one that had begun is closed: what its tasks did is not known, and none is
    /// started twice.
    pub(super) fn settle(&mut self, loaded: &Loaded, run: &Interrupted, now: Timestamp) -> Result<(), StoreError> {
        let schedule = loaded.desired.schedules.get(&run.schedule);
        // Begun by this process, in an attempt to take up the same commit that failed later on.
        if self.runs.get(&run.schedule).is_some_and(|runs| runs.under_way.contains(&run.run)) {
            return Ok(());
        }
        // It goes on in a terminal.
        if run.process.is_some_and(|id| std::path::Path::new(&format!("/proc/{id}")).exists()) {
            return Ok(());
        }
        let planned = schedule.and_then(|schedule| planned(schedule, &run.due)).unwrap_or(run.since);
        let late = is_late(planned, now);
        let asked = matches!(run.due, DueKey::Manual(_));
        let may = |schedule: &Schedule| run.process.is_none() && (!late || (schedule.missed != Missed::Skip && !asked));
        match schedule.filter(|schedule| !run.began && may(schedule)) {
            Some(schedule) => {
                tracing::info!(run = %run.run, "a run was due before the daemon ended and had not started");
                self.admit_one(loaded, schedule, &run.due, Some(&run.run), late, now)?;
            }
            None => {
                let note = if run.process.is_some() {
                    "its process ended during the run"
                } else if run.began {
                    "the daemon ended during the run; its tasks were not restarted"
                } else if schedule.is_none() {
                    "the daemon ended before the run started, and its schedule no longer exists"
                } else if asked {
                    "the daemon ended before the run started, and it was requested too long ago"
                } else {
                    "the daemon ended before the run started, and its schedule skips missed runs"
                };
                loaded.ledger.settle_interrupted(&run.run, RunVerdict::Aborted, note, now)?;
                tracing::warn!(run = %run.run, note, "a run was interrupted");
                let (verdict, note) = (RunEnd::Interrupted, Some(note.to_owned()));
                let (id, name) = (run.run.clone(), run.schedule.clone());
                let fact = Fact::RunEnded { run: id.clone(), schedule: name, verdict, note };
                event(&loaded.ledger, &Event { at: now, fact });
                if run.began {
                    let schedule = schedule.map(|schedule| Arc::new(schedule.clone()));
                    let (name, placed, ledger) =
                        (run.schedule.clone(), Arc::clone(&self.placed), loaded.ledger.clone());
                    self.follow(Leftover { id, name, schedule, placed, ledger });
                }
            }
        }
        Ok(())
    }
}

impl Desk {
    /// What an interrupted run left running counts as under way: at task servers where its schedule makes a difference of that,
    /// and programs until they are ended.
    fn follow(&mut self, left: Leftover) {
        let overlap = left.schedule.as_ref().map(|schedule| schedule.overlap);
        if left.has_programs() || (overlap != Some(Overlap::Allow) && left.has_servers()) {
            self.runs.entry(left.name.clone()).or_default().under_way.push(left.id.clone());
            self.orders.push(Order::Follow(left));
        }
    }
}

/// Writes what became of a due time that does not start now; false when the ledger has seen it before.
fn written(
    ledger: &Ledger,
    name: &ScheduleName,
    key: &DueKey,
    fired: bool,
    outcome: FireOutcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if fired {
        return ledger.refire(name, key, FireOutcome::Started, outcome, None, now);
    }
    Ok(ledger.fire(name, key, outcome, None, now)? == Fired::Recorded)
}
