//! The time axis: how long it is, and where its ticks stand.

use crate::schedule::units::decimal;
use std::time::Duration;

const SECOND: u128 = 1_000_000_000;

/// A unit with its length in nanoseconds.
struct Unit {
    name: &'static str,
    nanos: u128,
}

/// From the largest; what is shorter is told in nanoseconds.
const UNITS: [Unit; 6] = [
    Unit { name: "d", nanos: 86_400 * SECOND },
    Unit { name: "h", nanos: 3_600 * SECOND },
    Unit { name: "min", nanos: 60 * SECOND },
    Unit { name: "s", nanos: SECOND },
    Unit { name: "ms", nanos: 1_000_000 },
    Unit { name: "µs", nanos: 1_000 },
];

const NANOSECOND: Unit = Unit { name: "ns", nanos: 1 };

/// A place on the axis and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Time after the run's start.
    pub(super) at: Duration,
    /// Number and unit.
    pub(super) label: String,
}

/// Ticks at round times from zero to `length`, at most `most` + 1 of them, all in one unit.
pub(super) fn ticks(length: Duration, most: u32) -> Vec<Tick> {
    let nanos = length.as_nanos();
    let step = step(nanos, u128::from(most.max(1)));
    // Two of a unit at least, so that 90 s do not read as 1.5 min.
    let unit = UNITS.iter().find(|unit| nanos >= 2 * unit.nanos).unwrap_or(&NANOSECOND);
    let count = u32::try_from(nanos / step).unwrap_or(0).min(most);
    (0..=count)
        .map(|number| {
            let at = step * u128::from(number);
            let label = if at == 0 { "0".to_owned() } else { format!("{} {}", decimal(at, unit.nanos, 4), unit.name) };
            Tick { at: Duration::from_nanos_u128(at), label }
        })
        .collect()
}

/// The smallest round step that fits at most `most` times. Minutes and hours are counted in halves and quarters.
fn step(nanos: u128, most: u128) -> u128 {
    let least = nanos.div_ceil(most).max(1);
    if least > 30 * SECOND {
        let minute = 60 * SECOND;
        let round = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map(|minutes| minutes * minute);
        if let Some(step) = round.into_iter().find(|step| *step >= least) {
            return step;
        }
        return power(least, 1440 * minute);
    }
    if least > 10 * SECOND { if least > 15 * SECOND { 30 * SECOND } else { 15 * SECOND } } else { power(least, 1) }
}

/// The smallest 1, 2 or 5 times a power of ten, in units of `unit`, that is at least `least`.
fn power(least: u128, unit: u128) -> u128 {
    let mut decade = unit;
    loop {
        for factor in [1, 2, 5] {
            let step = decade.saturating_mul(factor);
            if step >= least {
                return step;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// From a time to a place between two places.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// What the axis shows.
    pub(super) length: Duration,
    /// Place of time zero.
    pub(super) left: f64,
    /// Place of `length`.
    pub(super) right: f64,
}

impl Scale {
    /// The place of a time, within the axis; time zero when the axis has no length.
    pub(super) fn place(&self, time: Duration) -> f64 {
        if self.length.is_zero() {
            return self.left;
        }
        let share = (time.as_secs_f64() / self.length.as_secs_f64()).min(1.0);
        self.left + share * (self.right - self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(length: Duration) -> Vec<String> {
        ticks(length, 8).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_share_a_unit() {
        assert_eq!(
            labels(Duration::from_micros(800)),
            ["0", "100 µs", "200 µs", "300 µs", "400 µs", "500 µs", "600 µs", "700 µs", "800 µs"]
        );
        assert_eq!(labels(Duration::from_millis(3)), ["0", "0.5 ms", "1 ms", "1.5 ms", "2 ms", "2.5 ms", "3 ms"]);
        assert_eq!(labels(Duration::from_secs(90)), ["0", "15 s", "30 s", "45 s", "60 s", "75 s", "90 s"]);
        assert_eq!(labels(Duration::from_secs(200)), ["0", "0.5 min", "1 min", "1.5 min", "2 min", "2.5 min", "3 min"]);
        assert_eq!(
            labels(Duration::from_hours(24)),
            ["0", "3 h", "6 h", "9 h", "12 h", "15 h", "18 h", "21 h", "24 h"]
        );
        assert_eq!(labels(Duration::ZERO), ["0"]);
    }

    proptest! {
        #[test]
        fn ticks_are_few_and_on_the_axis(nanos in any::<u64>(), most in 1_u32..20) {
            let length = Duration::from_nanos(nanos);
            let ticks = ticks(length, most);
            prop_assert!(ticks.len() <= most as usize + 1);
            prop_assert!(ticks.iter().all(|tick| tick.at <= length));
            let different: std::collections::BTreeSet<_> = ticks.iter().map(|tick| &tick.label).collect();
            prop_assert_eq!(different.len(), ticks.len());
        }
    }
}
