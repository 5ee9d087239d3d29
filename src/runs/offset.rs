//! The offset of another host's monotonic clock from the one here, measured by round trips.
//!
//! The other clock is read between the question and the answer. So each round trip bounds the offset from both sides, and
//! several bound it more closely. Wall clocks are not used: a step of one of them changes nothing.

use crate::rt::Monotonic;
use std::time::Duration;

/// The kernel slews a clock by up to 500 millionths to keep it in step with others: by this part of the time that has passed,
/// two clocks may have drifted from what was measured.
const DRIFT: u64 = 2_000;

/// A question for the time: both ends here, the answer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoundTrip {
    pub(super) sent: Monotonic,
    pub(super) there: Monotonic,
    pub(super) received: Monotonic,
}

/// What the other clock shows less what the one here shows, in nanoseconds, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    low: i64,
    high: i64,
    /// When that was so, here.
    at: Monotonic,
}

impl Offset {
    /// The bounds from one round trip.
    pub(super) fn of(trip: RoundTrip) -> Self {
        let less = |here: Monotonic| trip.there.as_nanos().wrapping_sub(here.as_nanos()).cast_signed();
        Self { low: less(trip.received), high: less(trip.sent), at: trip.received }
    }

    /// The bounds with one more round trip. One that contradicts the others counts alone: the other clock is a new one.
    pub(super) fn and(self, trip: RoundTrip) -> Self {
        let (new, (low, high)) = (Self::of(trip), self.bounds(trip.received));
        let (low, high) = (low.max(new.low), high.min(new.high));
        if low <= high { Self { low, high, at: new.at } } else { new }
    }

    /// Whether both clocks may be one.
    pub(super) fn may_be_none(self) -> bool {
        self.low <= 0 && self.high >= 0
    }

    /// When it was measured.
    pub(super) fn measured(self) -> Monotonic {
        self.at
    }

    /// How far it may be off at an instant here.
    pub(super) fn uncertainty(self, at: Monotonic) -> Duration {
        let (low, high) = self.bounds(at);
        Duration::from_nanos(high.saturating_sub(low).unsigned_abs())
    }

    /// The latest that the other clock can show at an instant here: what waits for that there is not early here.
    pub(super) fn latest_there(self, here: Monotonic) -> Monotonic {
        shifted(here, self.bounds(here).1)
    }

    /// What the clock here most likely showed when the other one showed this.
    pub(super) fn here(self, there: Monotonic) -> Monotonic {
        let middle = self.low.midpoint(self.high);
        shifted(there, middle.saturating_neg())
    }

    /// The bounds at an instant here: wider, the further away that is from the measurement.
    fn bounds(self, at: Monotonic) -> (i64, i64) {
        let away = at.as_nanos().abs_diff(self.at.as_nanos());
        let drift = i64::try_from(away.div_ceil(DRIFT)).unwrap_or(i64::MAX);
        (self.low.saturating_sub(drift), self.high.saturating_add(drift))
    }
}

fn shifted(instant: Monotonic, nanos: i64) -> Monotonic {
    Monotonic::from_nanos(instant.as_nanos().saturating_add_signed(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> Monotonic {
        Monotonic::from_nanos(nanos)
    }

    fn trip(sent: u64, there: u64, received: u64) -> RoundTrip {
        RoundTrip { sent: at(sent), there: at(there), received: at(received) }
    }

    #[test]
    fn a_round_trip_bounds_the_offset_by_its_length_and_a_shorter_one_narrows_it() {
        let first = Offset::of(trip(1_000, 50_500, 2_000));
        assert_eq!((first.low, first.high), (48_500, 49_500));
        assert_eq!(first.uncertainty(at(2_000)), Duration::from_nanos(1_000));
        let second = first.and(trip(3_000, 52_100, 3_200));
        assert_eq!((second.low, second.high), (48_900, 49_100));
        assert!(!second.may_be_none() && Offset::of(trip(10, 15, 20)).may_be_none());
    }

    #[test]
    fn what_was_measured_long_ago_is_less_certain() {
        let offset = Offset::of(trip(1_000, 1_500, 2_000));
        let later = at(2_000 + 1_000_000_000);
        assert_eq!(offset.uncertainty(later), Duration::from_nanos(1_000 + 2 * 500_000));
    }

    #[test]
    fn a_clock_that_began_anew_is_measured_anew() {
        let before = Offset::of(trip(1_000_000, 9_000_000, 1_001_000));
        let after = before.and(trip(2_000_000, 5_000, 2_001_000));
        assert_eq!((after.low, after.high), (5_000 - 2_001_000, 5_000 - 2_000_000));
    }

    proptest! {
        /// However the way there and back take their time, and though both clocks drift: never early, and late by no more
        /// than is said.
        #[test]
        fn an_instant_on_the_other_clock_is_never_early(
            offset in -1_000_000_000i64..1_000_000_000_000,
            parts in -400i64..400,
            trips in proptest::collection::vec((1u64..50_000_000, 0u64..5_000_000, 0u64..5_000_000), 1..6),
            lead in 0u64..200_000_000,
        ) {
            let begin = 3_000_000_000u64;
            // The other clock goes faster or slower by so many millionths.
            let there = |here: u64| {
                let gone = here.cast_signed() - begin.cast_signed();
                (here.cast_signed() + offset + gone * parts / 1_000_000).cast_unsigned()
            };
            let (mut now, mut known) = (begin, None::<Offset>);
            for (pause, out, back) in trips {
                let (sent, read) = (now + pause, now + pause + out);
                now = read + back;
                let trip = trip(sent, there(read), now);
                known = Some(known.map_or_else(|| Offset::of(trip), |known| known.and(trip)));
            }
            let (known, release) = (known.unwrap(), now + lead);
            let shown = known.latest_there(at(release)).as_nanos();
            prop_assert!(shown + 1 >= there(release), "early by {}", there(release) - shown);
            let late = shown.saturating_sub(there(release));
            let most = known.uncertainty(at(release)).as_nanos();
            prop_assert!(u128::from(late) <= most + 1, "late by {late}, said {most}");
            let back = known.here(at(there(release))).as_nanos().abs_diff(release);
            prop_assert!(u128::from(back) <= most + 1);
        }
    }
}
