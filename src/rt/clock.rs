//! Monotonic time, and its relation to the wall clock.

use crate::model::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::ops::Add;
use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An instant of `CLOCK_MONOTONIC`: nanoseconds since the machine started, time in suspend left out. A step of the
/// wall clock does not move it. Good within one machine and one boot; lasts 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(u64);

impl Monotonic {
    /// Now. About 25 ns where the kernel's vDSO serves the clock.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        // The kernel never gives a negative monotonic time.
        Self(now.tv_sec.cast_unsigned().saturating_mul(NANOS_PER_SECOND).saturating_add(now.tv_nsec.cast_unsigned()))
    }

    /// The instant this many nanoseconds after the machine started.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the machine started.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As the kernel takes absolute times.
    pub(super) fn timespec(self) -> Timespec {
        let seconds = (self.0 / NANOS_PER_SECOND).cast_signed();
        let nanos = self.0 % NANOS_PER_SECOND;
        Timespec { tv_sec: seconds, tv_nsec: nanos.cast_signed() }
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    /// The instant `duration` later, at most the last one there is.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// One moment on both clocks. Times of a run are taken on the monotonic clock and shown to people through its anchor, so
/// that a step of the wall clock during the run shifts no recorded time against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The moment on the wall clock.
    pub wall: Timestamp,
    /// The same moment on the monotonic clock.
    pub monotonic: Monotonic,
}

impl Anchor {
    /// The wall time of an instant; the nearest representable one when it is out of range.
    pub fn wall(self, at: Monotonic) -> Timestamp {
        if at >= self.monotonic {
            self.wall.checked_add(at.since(self.monotonic)).unwrap_or(Timestamp::MAX)
        } else {
            self.wall.checked_sub(self.monotonic.since(at)).unwrap_or(Timestamp::MIN)
        }
    }

    /// The instant of a wall time, as the wall clock went at the anchor; the first or the last one when it is out of
    /// range.
    pub fn monotonic(self, at: Timestamp) -> Monotonic {
        let distance = at.duration_since(self.wall);
        if distance.is_negative() {
            let before = u64::try_from(distance.unsigned_abs().as_nanos()).unwrap_or(u64::MAX);
            Monotonic(self.monotonic.0.saturating_sub(before))
        } else {
            self.monotonic + distance.unsigned_abs()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn monotonic_time_does_not_go_back() {
        let mut last = Monotonic::now();
        for _ in 0..10_000 {
            let now = Monotonic::now();
            assert!(now >= last);
            last = now;
        }
        assert!(last.as_nanos() > 0);
    }

    #[test]
    fn differences_and_sums_stop_at_the_ends() {
        let (early, late) = (Monotonic::from_nanos(5), Monotonic::from_nanos(u64::MAX));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late + Duration::MAX, late);
        assert_eq!((early + Duration::from_nanos(7)).as_nanos(), 12);
    }

    proptest! {
        #[test]
        fn a_timespec_is_the_same_instant_in_range(nanos: u64) {
            let spec = Monotonic::from_nanos(nanos).timespec();
            prop_assert!((0..1_000_000_000).contains(&spec.tv_nsec) && spec.tv_sec >= 0);
            prop_assert_eq!(i128::from(spec.tv_sec) * 1_000_000_000 + i128::from(spec.tv_nsec), i128::from(nanos));
        }

        #[test]
        fn an_anchor_converts_both_ways(wall in 0i64..4_000_000_000, start in 0u64..1 << 50, at in 0u64..1 << 50) {
            let wall = Timestamp::from_second(wall).unwrap();
            let anchor = Anchor { wall, monotonic: Monotonic::from_nanos(start) };
            let at = Monotonic::from_nanos(at);
            prop_assert_eq!(anchor.monotonic(anchor.wall(at)), at);
            prop_assert_eq!(anchor.wall(anchor.monotonic), wall);
        }
    }

    #[test]
    fn a_wall_time_before_the_machine_started_is_its_start() {
        let anchor = Anchor { wall: Timestamp::UNIX_EPOCH, monotonic: Monotonic::from_nanos(1) };
        assert_eq!(anchor.monotonic(Timestamp::MIN), Monotonic::from_nanos(0));
        assert_eq!(anchor.wall(Monotonic::from_nanos(u64::MAX)).as_second(), 18_446_744_073);
    }
}
