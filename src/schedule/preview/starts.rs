//! When a schedule starts next.

use crate::model::{Schedule, Start, Timestamp, nanos};
use crate::schedule::agenda::jittered;
use jiff::tz::TimeZone;
use std::iter::successors;

/// So many start times are told.
const COUNT: usize = 5;

/// A run that will start by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTime {
    /// Its due time.
    pub due: Timestamp,
    /// When it starts: its due time and the delay that jitter gives it.
    pub at: Timestamp,
    /// `at` to the second as clocks in the schedule's zone show it: `2026-03-29 03:30:00+02:00 Europe/Berlin`.
    pub local: String,
}

/// When a schedule starts next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Starts {
    /// At these times, and for a cron expression at further ones.
    At {
        /// The upper bound of the delay after a due time, in nanoseconds.
        jitter_ns: u64,
        /// The next ones, earliest first; never empty.
        times: Vec<StartTime>,
    },
    /// Never again: its time has passed.
    Passed,
    /// When the commit that adds or changes it is applied.
    OnCommit,
    /// Only when somebody asks for it.
    ByHand,
}

impl Starts {
    /// The next start times of a schedule that is added or changed at `now`.
    pub(super) fn of(schedule: &Schedule, now: Timestamp) -> Self {
        match schedule.start {
            Start::OnCommit => Self::OnCommit,
            Start::Manual => Self::ByHand,
            Start::At(_) | Start::Cron(_) => match upcoming(schedule, now, COUNT) {
                times if times.is_empty() => Self::Passed,
                times => Self::At { jitter_ns: nanos(schedule.jitter), times },
            },
        }
    }
}

/// The runs whose due times are after `now`, at most `count`, earliest first. Empty for a schedule that has no due times,
/// or none any more. A run that is due already and waits for the end of its delay is not among them.
pub fn upcoming(schedule: &Schedule, now: Timestamp, count: usize) -> Vec<StartTime> {
    let next = |after: Timestamp| match &schedule.start {
        Start::OnCommit | Start::Manual => None,
        Start::At(at) => Some(*at).filter(|at| *at > after),
        Start::Cron(cadence) => cadence.next(after),
    };
    let start = |due| {
        let at = jittered(&schedule.name, due, schedule.jitter);
        let (local, zone) = match &schedule.start {
            Start::Cron(cadence) => (cadence.local(at), cadence.zone()),
            _ => (at.to_zoned(TimeZone::UTC), "UTC"),
        };
        StartTime { due, at, local: format!("{} {zone}", local.strftime("%Y-%m-%d %H:%M:%S%:z")) }
    };
    successors(next(now), |due| next(*due)).take(count).map(start).collect()
}
