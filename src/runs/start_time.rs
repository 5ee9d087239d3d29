//! The start of a run, on both clocks.

use crate::model::Timestamp;
use crate::process::{boot, clock};
use crate::rt::{Anchor, Monotonic};
use std::time::Duration;

/// Time from the decision to begin a run that is late to its start, so that its threads can prepare for it.
const HEAD_START: Duration = Duration::from_millis(5);

/// The start of a run, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartTime {
    pub(super) monotonic: Monotonic,
    pub(super) anchor: Anchor,
    pub(super) boot_id: &'static str,
}

impl StartTime {
    /// The start by the wall clock, since 1970.
    pub(super) fn wall(&self) -> Duration {
        self.anchor.wall(self.monotonic).duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }
}

/// When a run is to start.
#[derive(Clone, Copy, Debug)]
pub struct Planned(pub(super) StartTime);

impl Planned {
    /// At this instant of the wall clock, or as soon as possible when that has passed.
    pub fn at(instant: Timestamp) -> Self {
        let anchor = anchor();
        let ahead = instant.duration_since(anchor.wall);
        let ahead = if ahead.is_negative() { Duration::ZERO } else { ahead.unsigned_abs() };
        Self(StartTime { monotonic: anchor.monotonic + ahead.max(HEAD_START), anchor, boot_id: boot::id() })
    }

    /// By the wall clock.
    pub fn wall(&self) -> Timestamp {
        self.0.anchor.wall(self.0.monotonic)
    }
}

/// Reads both clocks as one. The monotonic clock is read before and after the wall clock: if this thread stood still in
/// between, the run would begin too early or too late by that much.
fn anchor() -> Anchor {
    /// Two readings that are no further apart are good.
    const CLOSE: Duration = Duration::from_micros(50);
    const TRIES: usize = 20;
    let read = || (Monotonic::now(), clock::now(), Monotonic::now());
    closest((0..TRIES).map(|_| read()), CLOSE).unwrap_or_else(|| {
        let (monotonic, wall, _) = read();
        Anchor { wall, monotonic }
    })
}

/// The first reading whose ends are close to each other, else the one whose ends are closest.
fn closest(readings: impl Iterator<Item = (Monotonic, Timestamp, Monotonic)>, close: Duration) -> Option<Anchor> {
    let mut best: Option<(Duration, Anchor)> = None;
    for (before, wall, after) in readings {
        let apart = after.since(before);
        if best.as_ref().is_none_or(|(least, _)| apart < *least) {
            best = Some((apart, Anchor { wall, monotonic: before + apart / 2 }));
        }
        if apart <= close {
            break;
        }
    }
    best.map(|(_, anchor)| anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stood_still_between_two_clocks_does_not_shift_the_run() {
        let at = |micros: u64| Monotonic::from_nanos(micros * 1_000);
        let wall = |second| Timestamp::from_second(second).unwrap();
        let readings = [(at(0), wall(1), at(90_000)), (at(90_010), wall(2), at(90_014)), (at(1), wall(3), at(1))];
        let anchor = closest(readings.into_iter(), Duration::from_micros(50)).unwrap();
        assert_eq!((anchor.wall, anchor.monotonic), (wall(2), at(90_012)), "the first that is close");
        let all_slow = [(at(0), wall(1), at(900)), (at(1_000), wall(2), at(1_400))];
        let anchor = closest(all_slow.into_iter(), Duration::from_micros(50)).unwrap();
        assert_eq!(anchor.wall, wall(2), "the closest of them");
    }
}
