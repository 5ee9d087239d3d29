//! Decides which runs begin. A decision is in the ledger before it is handed on, and the ledger decides when it has seen
//! a due time before. Comes in: commits, the ends of runs, and the time. Goes out: orders. Must not: wait for anything but
//! the disk, or ask for the time.

use super::leftover::Leftover;
use crate::apply::load::Loaded;
use crate::event::{Event, Fact};
use crate::model::{CommitId, RunId, Schedule, ScheduleName, Start, Timestamp};
use crate::process::error::chain;
use crate::schedule::agenda::{Admission, Agenda, Due, due, jittered, next_after};
use crate::schedule::{Placed, form};
use crate::store::{DueKey, FireOutcome, Ledger, StoreError};
use jiff::SignedDuration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// So long before its due time a run is ordered, so that it is connected and prepared when its time comes.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_secs(3);
/// Time between two tries after the store failed.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Time between two lines about it: a full disk may be that of the log.
const TOLD: SignedDuration = SignedDuration::from_mins(10);
/// The ledger is asked for so many due times ahead at once whether it has them already, as after a clock that was ahead.
const TAKEN: usize = 100;

/// What is to be done. Whatever it rests on is on the disk.
#[derive(Debug)]
pub(super) enum Order {
    /// This run begins.
    Begin(Begin),
    /// The run of this id is stopped.
    Cancel(RunId),
    /// The tasks of this run may still be under way; its end is reported like that of others.
    Follow(Leftover),
}

/// A run that is to begin.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    pub(super) id: RunId,
    pub(super) schedule: Arc<Schedule>,
    /// Where its task servers are.
    pub(super) placed: Arc<Placed>,
    /// What it is fired for.
    pub(super) due: DueKey,
    /// When: its due time and the jitter; may have passed.
    pub(super) planned: Timestamp,
    /// The commit that it is pinned to.
    pub(super) revision: CommitId,
    pub(super) ledger: Ledger,
}

/// The schedules of the commit that is applied, and their runs.
#[derive(Default)]
pub(super) struct Desk {
    /// Which boot of this machine this is (`process::boot`).
    pub(super) boot: String,
    pub(super) current: Option<Loaded>,
    /// Where the services of that commit are.
    pub(super) placed: Arc<Placed>,
    /// Since when each schedule is known in its present form.
    known: BTreeMap<ScheduleName, Timestamp>,
    agenda: Agenda,
    pub(super) runs: BTreeMap<ScheduleName, Runs>,
    /// Runs that an earlier process left were looked for.
    settled: bool,
    /// A commit whose schedules are still to be taken up, and when to try.
    todo: Option<(Loaded, Timestamp)>,
    /// What is decided and may not be on the disk yet.
    pub(super) orders: Vec<Order>,
    /// When to bring it there, after that failed.
    flush: Option<Timestamp>,
    /// When it was last logged that the ledger fails.
    told: Option<Timestamp>,
}

/// The runs of one schedule.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) under_way: Vec<RunId>,
    pub(super) waiting: VecDeque<DueKey>,
}

impl Desk {
    /// For this boot of the machine.
    pub(super) fn new(boot: &str) -> Self {
        Self { boot: boot.to_owned(), ..Self::default() }
    }

    /// Another commit is applied. What came due until now is looked at under the schedules until now.
    pub(super) fn commit(&mut self, loaded: Loaded, now: Timestamp) {
        self.look_all(now);
        self.settle_changed(&loaded, now);
        self.todo = Some((loaded, now));
    }

    /// A run is over; the next one of its schedule may begin.
    pub(super) fn ended(&mut self, schedule: &ScheduleName, id: &RunId, now: Timestamp) {
        if let Some(runs) = self.runs.get_mut(schedule) {
            runs.under_way.retain(|run| run != id);
        }
        self.agenda.insert(schedule.clone(), now);
    }

    /// Decides what there is to decide now. What fails is reported and tried again later.
    pub(super) fn turn(&mut self, now: Timestamp) -> Vec<Order> {
        if let Some((loaded, _)) = self.todo.take_if(|(_, at)| *at <= now) {
            let taken = self.take(&loaded, now);
            let taken = self.succeeded(taken, now);
            self.todo = (!taken).then(|| (loaded, again(now)));
        }
        self.look_all(now);
        if self.orders.is_empty() || self.flush.is_some_and(|at| now < at) {
            return Vec::new();
        }
        // Once for all that is due now.
        let flushed = self.current.as_ref().map_or(Ok(()), |loaded| loaded.ledger.flush());
        let flushed = self.succeeded(flushed, now);
        self.flush = (!flushed).then(|| again(now));
        if flushed { std::mem::take(&mut self.orders) } else { Vec::new() }
    }

    /// When there is something to decide again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let times = [self.agenda.next(), self.todo.as_ref().map(|(_, at)| *at), self.flush];
        times.into_iter().flatten().min()
    }

    /// The runs that were ordered and have not ended.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> impl Iterator<Item = &RunId> {
        self.runs.values().flat_map(|runs| runs.under_way.iter())
    }

    /// Reports a failure, which does not end the daemon, now and then. Says whether it went well.
    fn succeeded(&mut self, step: Result<(), StoreError>, now: Timestamp) -> bool {
        let Err(error) = step else { return true };
        let error = chain(&error);
        let lately = |told: Timestamp| told <= now && now.duration_since(told) < TOLD;
        if self.told.is_some_and(lately) {
            tracing::debug!(error, "the ledger of due times still fails");
        } else {
            self.told = Some(now);
            tracing::error!(error, "the ledger of due times cannot be used; trying again");
        }
        false
    }

    /// Looks at every schedule whose time has come.
    fn look_all(&mut self, now: Timestamp) {
        while self.agenda.next().is_some_and(|at| at <= now) {
            for name in self.agenda.take(now) {
                let looked = self.look(&name, now);
                if !self.succeeded(looked, now) {
                    self.agenda.insert(name, again(now));
                }
            }
        }
    }

    /// A schedule that the next commit changes or removes still has the runs that came due until now and that its jitter
    /// puts off.
    fn settle_changed(&mut self, next: &Loaded, now: Timestamp) {
        let Some(loaded) = self.current.clone() else { return };
        for (name, schedule) in &loaded.desired.schedules {
            let changed = next.desired.schedules.get(name).is_none_or(|next| form(next) != form(schedule));
            if let Some(seen) = self.known.get(name).copied().filter(|_| changed && !schedule.jitter.is_zero()) {
                let settled = self.due(&loaded, schedule, seen, now, now);
                self.succeeded(settled.map(drop), now);
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
        let left = if first { loaded.ledger.interrupted_runs(&self.boot)? } else { Vec::new() };
        let mut commits = Vec::new();
        let forms = schedules.iter().map(|(name, schedule)| (name, form(schedule)));
        let known = loaded.ledger.see_schedules(forms, &loaded.revision.commit, now)?;
        for (name, known) in known {
            if let Some(schedule) = schedules.get(&name).filter(|schedule| schedule.start == Start::OnCommit) {
                commits.push((schedule, DueKey::Commit(known.revision)));
            }
            self.agenda.insert(name.clone(), now);
            self.known.insert(name, known.since);
        }
        self.current = Some(loaded.clone());
        self.placed = Arc::new(Placed::here(&loaded.desired));
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
        // Else a power cut would have them first known later, and lose the due times in between.
        loaded.ledger.flush()
    }

    /// Looks what is due, what waits, and what comes next.
    fn look(&mut self, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let Some(loaded) = self.current.clone() else { return Ok(()) };
        let next = match (loaded.desired.schedules.get(name), self.known.get_mut(name)) {
            (Some(schedule), Some(seen)) => {
                // Later than now it was first known by a clock that was ahead.
                *seen = now.min(*seen);
                let seen = *seen;
                // The jitter puts off a run as a whole, so that one that waits for it is not taken for one under way.
                self.due(&loaded, schedule, seen, before(now, put_off(schedule)), now)?
            }
            _ => None,
        };
        self.next_waiting(&loaded, name, now)?;
        let (Some(next), Some(schedule)) = (next, loaded.desired.schedules.get(name)) else { return Ok(()) };
        let planned = jittered(name, next, schedule.jitter);
        if now < ahead(planned) {
            self.agenda.insert(name.clone(), ahead(planned));
        } else if self.admission(schedule, false) == Admission::Start
            && self.fire(&loaded, schedule, &DueKey::Instant(next), now)?
        {
            self.agenda.insert(name.clone(), now);
        } else {
            // The one before it may end until then.
            self.agenda.insert(name.clone(), planned);
        }
        Ok(())
    }

    /// Settles the due times of a schedule up to `until`; the first one after that.
    fn due(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        seen: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (name, ledger) = (&schedule.name, &loaded.ledger);
        let settled = ledger.settled(name, until)?;
        let Due { run, missed, mut next } = due(&schedule.start, schedule.missed, seen, settled, until);
        if let Some(span) = missed {
            let outcome = FireOutcome::Missed { missed_from: span.first, missed: span.count };
            ledger.fire(name, &DueKey::Instant(span.last), outcome, None, now)?;
            left_out(
                ledger,
                name,
                &DueKey::Instant(span.last),
                span.count,
                "missed: no daemon was running at the due time",
                now,
            );
        }
        self.admit_all(loaded, schedule, &run, until, now)?;
        for _ in 0..TAKEN {
            match next {
                Some(at) if ledger.is_settled(name, at)? => next = next_after(&schedule.start, at),
                _ => break,
            }
        }
        Ok(next)
    }

    /// Begins the run that waits, when none is under way.
    fn next_waiting(&mut self, loaded: &Loaded, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let schedule = loaded.desired.schedules.get(name);
        while let Some(runs) = self.runs.get_mut(name).filter(|runs| runs.under_way.is_empty()) {
            let Some(key) = runs.waiting.front().cloned() else { break };
            let id = schedule.map(|schedule| crate::runs::new_id(schedule, now));
            let outcome = if id.is_some() { FireOutcome::Started } else { FireOutcome::Skipped };
            let ours = loaded.ledger.refire(name, &key, FireOutcome::Queued, outcome, id.as_ref(), now)?;
            runs.waiting.pop_front();
            if let Some((schedule, id)) = schedule.zip(id).filter(|_| ours) {
                let planned = planned(schedule, &key).unwrap_or(now);
                self.begin(loaded, schedule, id, key, planned.max(now));
            }
        }
        Ok(())
    }
}

/// Reports that due times do not run; the ledger has it already.
pub(super) fn left_out(ledger: &Ledger, name: &ScheduleName, due: &DueKey, count: u64, because: &str, at: Timestamp) {
    tracing::warn!(schedule = %name, %due, count, because, "a due time was not run");
    let (schedule, due, because) = (name.clone(), due.to_string(), because.to_owned());
    event(ledger, &Event { at, fact: Fact::RunLeftOut { schedule, due, count, because } });
}

/// Records a fact; nothing depends on it.
pub(super) fn event(ledger: &Ledger, event: &Event) {
    if let Err(error) = ledger.record(event) {
        tracing::warn!(error = chain(&error), "an event was not recorded");
    }
}

/// When something that failed is tried again.
fn again(now: Timestamp) -> Timestamp {
    now.checked_add(AGAIN).unwrap_or(Timestamp::MAX)
}

/// When the run of a due time is ordered.
pub(super) fn ahead(due: Timestamp) -> Timestamp {
    before(due, AHEAD)
}

fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// How much later than its due times a schedule's runs begin.
pub(super) fn put_off(schedule: &Schedule) -> SignedDuration {
    let due = Timestamp::UNIX_EPOCH;
    jittered(&schedule.name, due, schedule.jitter).duration_since(due)
}

/// When the run of a due time begins, jitter included; `None` for one that has no time.
pub(super) fn planned(schedule: &Schedule, due: &DueKey) -> Option<Timestamp> {
    match due {
        DueKey::Instant(at) => Some(jittered(&schedule.name, *at, schedule.jitter)),
        DueKey::Commit(_) | DueKey::Manual(_) => None,
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
