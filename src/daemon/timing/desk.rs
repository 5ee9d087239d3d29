//! Decides which runs begin. A decision is in the ledger before it is handed on, and the ledger decides when it has seen
//! a due time before. Comes in: commits, the ends of runs, and the time. Goes out: orders. Must not: wait, or ask for the
//! time.

use crate::daemon::load::Loaded;
use crate::model::{Missed, Schedule, ScheduleName, Start, Timestamp, digest};
use crate::process::supervise::chain;
use crate::runs::new_id;
use crate::schedule::RunVerdict;
use crate::schedule::agenda::{Admission, Agenda, Due, ON_TIME, admit, due, jittered};
use crate::store::{DueKey, FireOutcome, Fired, Interrupted, Ledger, StoreError};
use jiff::SignedDuration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// So long before its due time a run is ordered, so that it is connected and prepared when its time comes.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_secs(3);
/// Time between two tries after the store failed.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// What is to be done. Whatever it rests on is on the disk.
#[derive(Debug)]
pub(super) enum Order {
    /// This run begins.
    Begin(Begin),
    /// The run of this id is stopped.
    Cancel(String),
}

/// A run that is to begin.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    pub(super) id: String,
    pub(super) schedule: Arc<Schedule>,
    /// What it is fired for.
    pub(super) due: DueKey,
    /// When: its due time and the jitter; may have passed.
    pub(super) planned: Timestamp,
    /// The commit that it is pinned to.
    pub(super) revision: String,
    pub(super) ledger: Ledger,
}

/// The schedules of the commit that is applied, and their runs.
#[derive(Default)]
pub(super) struct Desk {
    current: Option<Loaded>,
    /// Since when each schedule is known in its present form.
    known: BTreeMap<ScheduleName, Timestamp>,
    agenda: Agenda,
    runs: BTreeMap<ScheduleName, Runs>,
    /// Runs that an earlier process left were looked for.
    settled: bool,
    /// A commit whose schedules are still to be taken up, and when to try.
    todo: Option<(Loaded, Timestamp)>,
    orders: Vec<Order>,
}

/// The runs of one schedule.
#[derive(Default)]
struct Runs {
    under_way: Vec<String>,
    waiting: VecDeque<DueKey>,
}

impl Desk {
    /// Another commit is applied. What came due until now is looked at under the schedules until now.
    pub(super) fn commit(&mut self, loaded: Loaded, now: Timestamp) {
        self.look_all(now);
        self.todo = Some((loaded, now));
    }

    /// A run is over; the next one of its schedule may begin.
    pub(super) fn ended(&mut self, schedule: &ScheduleName, id: &str, now: Timestamp) {
        if let Some(runs) = self.runs.get_mut(schedule) {
            runs.under_way.retain(|run| run != id);
        }
        self.agenda.insert(schedule.clone(), now);
    }

    /// Decides what there is to decide now. What fails is told and tried again later.
    pub(super) fn turn(&mut self, now: Timestamp) -> Vec<Order> {
        if let Some((loaded, _)) = self.todo.take_if(|(_, at)| *at <= now) {
            let taken = told(self.take(&loaded, now));
            self.todo = (!taken).then(|| (loaded, again(now)));
        }
        self.look_all(now);
        std::mem::take(&mut self.orders)
    }

    /// When there is something to decide again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.agenda.next().into_iter().chain(self.todo.as_ref().map(|(_, at)| *at)).min()
    }

    /// The runs that were ordered and have not ended.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> impl Iterator<Item = &str> {
        self.runs.values().flat_map(|runs| runs.under_way.iter().map(String::as_str))
    }

    /// Looks at every schedule whose time has come.
    fn look_all(&mut self, now: Timestamp) {
        while self.agenda.next().is_some_and(|at| at <= now) {
            for name in self.agenda.take(now) {
                if !told(self.look(&name, now)) {
                    self.agenda.insert(name, again(now));
                }
            }
        }
    }

    /// Takes up the schedules of a commit. Runs under way go on as they began.
    fn take(&mut self, loaded: &Loaded, now: Timestamp) -> Result<(), StoreError> {
        let schedules = &loaded.desired.schedules;
        loaded.ledger.forget_schedules(schedules.keys())?;
        self.known.retain(|name, _| schedules.contains_key(name));
        self.agenda = Agenda::default();
        let first = !self.settled;
        let left = if first { loaded.ledger.interrupted_runs()? } else { Vec::new() };
        let mut commits = Vec::new();
        let form = |(name, schedule)| (name, digest(&serde_json::to_string(schedule).unwrap_or_default()));
        let known = loaded.ledger.see_schedules(schedules.iter().map(form), &loaded.revision.commit, now)?;
        for (name, known) in known {
            if let Some(schedule) = schedules.get(&name).filter(|schedule| schedule.start == Start::OnCommit) {
                commits.push((schedule, DueKey::Commit(known.revision)));
            }
            self.agenda.insert(name.clone(), now);
            self.known.insert(name, known.since);
        }
        self.current = Some(loaded.clone());
        for run in left {
            self.settle(loaded, &run, now)?;
        }
        if first {
            for fire in loaded.ledger.queued()? {
                let waiting = &mut self.runs.entry(fire.schedule).or_default().waiting;
                if !waiting.contains(&fire.due) {
                    waiting.push_back(fire.due);
                }
            }
            self.settled = true;
        }
        for (name, runs) in &self.runs {
            if !runs.waiting.is_empty() {
                self.agenda.insert(name.clone(), now);
            }
        }
        for (schedule, key) in commits {
            if loaded.ledger.fire_of(&schedule.name, &key)?.is_none() {
                self.admitted(loaded, schedule, &key, now)?;
            }
        }
        Ok(())
    }

    /// A run that an earlier process left behind. One of which nothing had begun begins now, unless missed times are
    /// skipped; one that had begun is closed: what its tasks did is not known, and none is started twice.
    fn settle(&mut self, loaded: &Loaded, run: &Interrupted, now: Timestamp) -> Result<(), StoreError> {
        let schedule = loaded.desired.schedules.get(&run.schedule);
        // Begun by this process, in an attempt to take up the same commit that failed later on.
        if self.runs.get(&run.schedule).is_some_and(|runs| runs.under_way.contains(&run.run)) {
            return Ok(());
        }
        let planned = schedule.and_then(|schedule| planned(schedule, &run.due)).unwrap_or(run.since);
        let on_time = now.duration_since(planned) <= SignedDuration::try_from(ON_TIME).unwrap_or(SignedDuration::ZERO);
        match schedule.filter(|schedule| !run.began && (on_time || schedule.missed != Missed::Skip)) {
            Some(schedule) => {
                tracing::info!(run = run.run, "a run that was fired before the daemon ended begins now");
                self.begin(loaded, schedule, run.run.clone(), run.due.clone(), planned.max(now));
            }
            None => {
                let note = if run.began {
                    "the daemon ended before the run did; its tasks were not started again"
                } else if schedule.is_none() {
                    "the daemon ended before the run began, and its schedule is gone"
                } else {
                    "the daemon ended before the run began, and its schedule skips what is missed"
                };
                loaded.ledger.settle_interrupted(&run.run, RunVerdict::Aborted, note, now)?;
                tracing::warn!(run = run.run, note, "a run was interrupted");
            }
        }
        Ok(())
    }

    /// Looks what is due, what waits, and what comes next.
    fn look(&mut self, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let Some(loaded) = self.current.clone() else { return Ok(()) };
        let next = match (loaded.desired.schedules.get(name), self.known.get(name).copied()) {
            (Some(schedule), Some(seen)) => self.due(&loaded, schedule, seen, now)?,
            _ => None,
        };
        self.next_waiting(&loaded, name, now)?;
        let (Some(next), Some(schedule)) = (next, loaded.desired.schedules.get(name)) else { return Ok(()) };
        let ahead = ahead(next);
        if now < ahead {
            self.agenda.insert(name.clone(), ahead);
        } else if self.admission(schedule) == Admission::Start {
            self.fire(&loaded, schedule, &DueKey::Instant(next), now)?;
            self.agenda.insert(name.clone(), now);
        } else {
            // The one before it may end until then.
            self.agenda.insert(name.clone(), next);
        }
        Ok(())
    }

    /// Settles the due times of a schedule up to now; the first one after that.
    fn due(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        seen: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (name, ledger) = (&schedule.name, &loaded.ledger);
        let Due { run, missed, next } = due(&schedule.start, schedule.missed, seen, ledger.settled(name)?, now);
        if let Some(span) = missed {
            let outcome = FireOutcome::Missed { missed_from: span.first, missed: span.count };
            ledger.fire(name, &DueKey::Instant(span.last), outcome, None, now)?;
            tracing::warn!(schedule = %name, count = span.count, "due times were missed");
        }
        for at in run {
            self.admitted(loaded, schedule, &DueKey::Instant(at), now)?;
        }
        Ok(next)
    }

    fn admission(&self, schedule: &Schedule) -> Admission {
        let runs = self.runs.get(&schedule.name);
        admit(schedule.overlap, runs.map_or(0, |runs| runs.under_way.len()), runs.map_or(0, |runs| runs.waiting.len()))
    }

    /// A run whose time has come: begun, or what the schedule says when one is under way.
    fn admitted(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        key: &DueKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, ledger) = (&schedule.name, &loaded.ledger);
        match self.admission(schedule) {
            Admission::Start => self.fire(loaded, schedule, key, now)?,
            Admission::Queue => {
                self.queue(ledger, name, key, now)?;
            }
            Admission::Skip => {
                ledger.fire(name, key, FireOutcome::Skipped, None, now)?;
                tracing::warn!(schedule = %name, due = %key, "skipped: the run before it has not ended");
            }
            Admission::Replace => {
                for older in std::mem::take(&mut self.runs.entry(name.clone()).or_default().waiting) {
                    ledger.refire(name, &older, FireOutcome::Queued, FireOutcome::Replaced, None, now)?;
                }
                if self.queue(ledger, name, key, now)?
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
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ours = ledger.fire(name, key, FireOutcome::Queued, None, now)? == Fired::Recorded;
        if ours {
            self.runs.entry(name.clone()).or_default().waiting.push_back(key.clone());
        }
        Ok(ours)
    }

    /// Writes a start into the ledger, and then orders it.
    fn fire(&mut self, loaded: &Loaded, schedule: &Schedule, key: &DueKey, now: Timestamp) -> Result<(), StoreError> {
        let planned = planned(schedule, key).unwrap_or(now);
        let id = new_id(schedule, planned.max(now));
        if loaded.ledger.fire(&schedule.name, key, FireOutcome::Started, Some(&id), now)? == Fired::Recorded {
            self.begin(loaded, schedule, id, key.clone(), planned);
        }
        Ok(())
    }

    fn begin(&mut self, loaded: &Loaded, schedule: &Schedule, id: String, due: DueKey, planned: Timestamp) {
        self.runs.entry(schedule.name.clone()).or_default().under_way.push(id.clone());
        self.orders.push(Order::Begin(Begin {
            id,
            schedule: Arc::new(schedule.clone()),
            due,
            planned,
            revision: loaded.revision.commit.clone(),
            ledger: loaded.ledger.clone(),
        }));
    }

    /// Begins the run that waits, when none is under way.
    fn next_waiting(&mut self, loaded: &Loaded, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let schedule = loaded.desired.schedules.get(name);
        while let Some(runs) = self.runs.get_mut(name).filter(|runs| runs.under_way.is_empty()) {
            let Some(key) = runs.waiting.front().cloned() else { break };
            let id = schedule.map(|schedule| new_id(schedule, now));
            let outcome = if id.is_some() { FireOutcome::Started } else { FireOutcome::Skipped };
            let ours = loaded.ledger.refire(name, &key, FireOutcome::Queued, outcome, id.as_deref(), now)?;
            runs.waiting.pop_front();
            if let Some((schedule, id)) = schedule.zip(id).filter(|_| ours) {
                let planned = planned(schedule, &key).unwrap_or(now);
                self.begin(loaded, schedule, id, key, planned.max(now));
            }
        }
        Ok(())
    }
}

/// Tells a failure, which does not end the daemon. Says whether it went well.
fn told(step: Result<(), StoreError>) -> bool {
    step.inspect_err(|error| {
        tracing::error!(error = chain(error), "the ledger of due times does not work; it is tried again");
    })
    .is_ok()
}

/// When something that failed is tried again.
fn again(now: Timestamp) -> Timestamp {
    now.checked_add(AGAIN).unwrap_or(Timestamp::MAX)
}

/// When the run of a due time is ordered.
pub(super) fn ahead(due: Timestamp) -> Timestamp {
    due.checked_sub(AHEAD).unwrap_or(Timestamp::MIN)
}

/// When the run of a due time begins, jitter included; `None` for one that has no time.
fn planned(schedule: &Schedule, due: &DueKey) -> Option<Timestamp> {
    match due {
        DueKey::Instant(at) => Some(jittered(&schedule.name, *at, schedule.jitter)),
        DueKey::Commit(_) | DueKey::Manual(_) => None,
    }
}
