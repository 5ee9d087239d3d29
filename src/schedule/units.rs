//! Times within a run as people read them: `250 µs`, `1.5 ms`, `2 s`, `3 min 20 s`.

use std::time::Duration;

const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;

/// Exact, so that two different times never read the same.
pub(super) fn exact(time: Duration) -> String {
    text(time.as_nanos(), |nanos, unit| decimal(nanos, unit, 9))
}

/// About three digits, for what was measured.
pub fn short(time: Duration) -> String {
    text(time.as_nanos(), |nanos, unit| {
        let places = match nanos / unit {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        decimal(nanos, unit, places)
    })
}

fn text(nanos: u128, number: impl Fn(u128, u128) -> String) -> String {
    if nanos >= 2 * MINUTE {
        let mut parts = Vec::new();
        let mut rest = nanos;
        for (unit, size) in [("d", 1440 * MINUTE), ("h", 60 * MINUTE), ("min", MINUTE)] {
            if rest >= size {
                parts.push(format!("{} {unit}", rest / size));
                rest %= size;
            }
        }
        if rest > 0 {
            parts.push(format!("{} s", number(rest, SECOND)));
        }
        return parts.join(" ");
    }
    let (unit, size) = match nanos {
        0 => ("s", SECOND),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..SECOND => ("ms", 1_000_000),
        _ => ("s", SECOND),
    };
    format!("{} {unit}", number(nanos, size))
}

/// `nanos` in units of `unit` nanoseconds, with at most `places` digits after the point.
pub(super) fn decimal(nanos: u128, unit: u128, places: u32) -> String {
    let scale = 10u128.pow(places);
    let scaled = (nanos.saturating_mul(scale) + unit / 2) / unit;
    let (whole, fraction) = (scaled / scale, scaled % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0width$}", width = places as usize);
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_unit_that_fits() {
        let of = |nanos| exact(Duration::from_nanos(nanos));
        assert_eq!(of(0), "0 s");
        assert_eq!(of(999), "999 ns");
        assert_eq!(of(250_000), "250 µs");
        assert_eq!(of(1_500_000), "1.5 ms");
        assert_eq!(of(90_000_000_000), "90 s");
        assert_eq!(of(200_000_000_000), "3 min 20 s");
        assert_eq!(of(3_600_000_000_000), "1 h");
        assert_eq!(exact(Duration::MAX), "213503982334601 d 7 h 15.999999999 s");
    }

    #[test]
    fn different_times_read_differently_and_measured_ones_short() {
        let (a, b) = (Duration::from_millis(10), Duration::from_nanos(10_000_001));
        assert_ne!(exact(a), exact(b));
        assert_eq!(short(Duration::from_nanos(3_141_592)), "3.14 ms");
        assert_eq!(short(Duration::from_nanos(31_415_926)), "31.4 ms");
        assert_eq!(short(Duration::from_nanos(314_159_265)), "314 ms");
    }
}
