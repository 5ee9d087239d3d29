//! Decides which due times of a schedule run, which were missed, and which schedule is next.
//!
//! A due time is *settled* once the ledger says what became of it: started, skipped or missed. What is settled never
//! comes again, whatever the wall clock does; so the caller writes down what an answer settles before it acts.

use crate::model::{Missed, Overlap, ScheduleName, Start, Timestamp, digest, nanos};
use jiff::{SignedDuration, ToSpan as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A due time this long ago is still on time and runs whatever the policy for missed ones: a busy machine or a restart
/// of the daemon loses no run.
pub const ON_TIME: Duration = Duration::from_secs(10);

/// At most this many missed due times run late, whatever `RunAll` asks for: they run one after the other, and a schedule of
/// every minute that was away for a month would otherwise be busy with the past for weeks.
pub const CATCH_UP_LIMIT: u32 = 1000;

/// Missed due times are counted up to this; a count that is equal to it means «at least». Counting walks the cadence back
/// one due time after the other, and a cadence of every second has 31 million in a year.
pub const MISSED_LIMIT: u64 = 1000;

/// At most this many runs of a schedule wait for an earlier one; further ones are skipped. Where runs last longer than the
/// time between two due times, the queue grows for ever, and what is in it becomes ever later.
pub const QUEUE_LIMIT: usize = 100;

/// At most this many runs of a schedule with `overlap: allow` are in progress at the same time; further ones are skipped: each
/// has threads and connections of its own.
pub const ALLOWED_AT_ONCE: usize = 32;

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Due times that run now, oldest first; none is later than now.
    pub run: Vec<Timestamp>,
    /// Due times that do not run; all are earlier than those that do.
    pub missed: Option<MissedSpan>,
    /// The first due time after now; `None` when there is no more. The ledger may have it, when it was fired ahead.
    pub next: Option<Timestamp>,
}

impl Due {
    /// The latest due time that this answer settles; `None` when it settles nothing.
    pub fn settles(&self) -> Option<Timestamp> {
        self.run.last().copied().or(self.missed.map(|span| span.last))
    }
}

/// Missed due times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedSpan {
    /// The earliest.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
    /// How many there are, both ends included; at least so many when it is `MISSED_LIMIT`.
    pub count: u64,
}

/// What is due at `now`. `seen` is when the schedule was first known in this form: due times before or at it never run.
/// `settled` is the latest due time in the ledger that is not later than `now`: later ones, which a clock that was ahead may
/// have left, settle themselves alone. The work is bounded however long nobody asked.
pub fn due(start: &Start, missed: Missed, seen: Timestamp, settled: Option<Timestamp>, now: Timestamp) -> Due {
    let floor = settled.map_or(seen, |settled| settled.max(seen));
    let passed = |at: Timestamp| floor < at && at <= now;
    match start {
        Start::OnCommit | Start::Manual => Due::default(),
        Start::At(at) => {
            let (run, missed) = divide(std::iter::once(*at).filter(|at| passed(*at)), missed, now, || Some(*at));
            Due { run, missed, next: Some(*at).filter(|at| *at > now.max(floor)) }
        }
        Start::Cron(cadence) => {
            let latest = cadence.previous(now).filter(|at| passed(*at));
            let back = std::iter::successors(latest, |at| {
                let before = at.checked_sub(1.nanosecond()).ok()?;
                cadence.previous(before).filter(|at| passed(*at))
            });
            let (run, missed) = divide(back, missed, now, || cadence.next(floor));
            Due { run, missed, next: cadence.next(now.max(floor)) }
        }
    }
}

/// Parts due times (given latest first) into those that run and those that are missed. `first` finds the earliest of
/// all; it is asked for only when there are too many to walk to it.
fn divide(
    mut back: impl Iterator<Item = Timestamp>,
    missed: Missed,
    now: Timestamp,
    first: impl FnOnce() -> Option<Timestamp>,
) -> (Vec<Timestamp>, Option<MissedSpan>) {
    let on_time = now.checked_sub(ON_TIME).unwrap_or(Timestamp::MIN);
    let mut late_runs = match missed {
        Missed::Skip => 0,
        Missed::RunOnce => 1,
        Missed::RunAll(limit) => limit.min(CATCH_UP_LIMIT),
    };
    let mut run = VecDeque::new();
    let mut span: Option<MissedSpan> = None;
    for at in back.by_ref() {
        if at >= on_time {
            run.push_front(at);
        } else if late_runs > 0 {
            late_runs -= 1;
            run.push_front(at);
        } else {
            let (last, count) = span.map_or((at, 0), |span| (span.last, span.count));
            span = Some(MissedSpan { first: at, last, count: count + 1 });
            if count + 1 == MISSED_LIMIT {
                break;
            }
        }
    }
    if let Some(span) = span.as_mut().filter(|span| span.count == MISSED_LIMIT) {
        span.first = first().unwrap_or(span.first);
    }
    (run.into(), span)
}

/// The first due time after `at`; `None` when there is no more.
pub fn next_after(start: &Start, at: Timestamp) -> Option<Timestamp> {
    match start {
        Start::OnCommit | Start::Manual => None,
        Start::At(once) => Some(*once).filter(|once| *once > at),
        Start::Cron(cadence) => cadence.next(at),
    }
}

/// Whether a due time passed so long ago that it runs late, if at all.
pub fn is_late(due: Timestamp, now: Timestamp) -> bool {
    due < now.checked_sub(ON_TIME).unwrap_or(Timestamp::MIN)
}

/// What becomes of a run whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It starts.
    Start,
    /// It starts when all before it have ended.
    Queue,
    /// It is recorded as skipped.
    Skip,
    /// What runs is stopped and what waits is dropped, then it starts.
    Replace,
}

/// What becomes of one more run of a schedule that has `running` runs and `queued` ones waiting. `late` is whether it makes
/// up for a missed due time: those that the policy for missed ones grants run one after the other, unless they may overlap
/// or replace each other.
pub fn admit(overlap: Overlap, running: usize, queued: usize, late: bool) -> Admission {
    match overlap {
        Overlap::Allow if running < ALLOWED_AT_ONCE => Admission::Start,
        Overlap::Allow => Admission::Skip,
        _ if running == 0 && queued == 0 => Admission::Start,
        Overlap::Replace => Admission::Replace,
        Overlap::Skip | Overlap::Queue if late && queued < CATCH_UP_LIMIT as usize => Admission::Queue,
        Overlap::Queue if queued < QUEUE_LIMIT => Admission::Queue,
        Overlap::Queue | Overlap::Skip => Admission::Skip,
    }
}

/// When the run of a due time starts: up to (not including) `jitter` after it.
///
/// The delay follows from the schedule's name alone. After a restart it is the same, so a run that was about to start
/// neither starts at another time nor twice; and being the same for each due time, it leaves their order and distance.
pub fn jittered(schedule: &ScheduleName, due: Timestamp, jitter: Duration) -> Timestamp {
    let range = nanos(jitter);
    let delay = (u128::from(stable_hash(schedule.as_str())) * u128::from(range)) >> 48;
    let delay = SignedDuration::from_nanos(i64::try_from(delay).unwrap_or(i64::MAX));
    due.checked_add(delay).unwrap_or(due)
}

/// 48 bits that follow from a text alone, in every version of this program: the hashers of the standard library may change
/// with it.
fn stable_hash(text: &str) -> u64 {
    u64::from_str_radix(&digest(text), 16).unwrap_or(0)
}

/// Many schedules by the instant when each is to be looked at next. Each operation costs the logarithm of their number.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    by_name: BTreeMap<ScheduleName, Timestamp>,
    by_time: BTreeSet<(Timestamp, ScheduleName)>,
}

impl Agenda {
    /// Enters a schedule, or moves it to another instant.
    pub fn insert(&mut self, name: ScheduleName, at: Timestamp) {
        self.remove(&name);
        self.by_time.insert((at, name.clone()));
        self.by_name.insert(name, at);
    }

    /// Takes a schedule out; the instant that it stood at.
    pub fn remove(&mut self, name: &ScheduleName) -> Option<Timestamp> {
        let (name, at) = self.by_name.remove_entry(name)?;
        self.by_time.remove(&(at, name));
        Some(at)
    }

    /// The earliest instant.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out all whose instant has come, earliest first, then by name.
    pub fn take(&mut self, now: Timestamp) -> Vec<ScheduleName> {
        let mut taken = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((_, name)) = self.by_time.pop_first() else { break };
            self.by_name.remove(&name);
            taken.push(name);
        }
        taken
    }

    /// How many schedules it holds.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
#[path = "agenda_tests.rs"]
mod tests;
