//! Times of the task protocol: signed microseconds, 0 for «none».

use std::time::Duration;

/// Microseconds, at most what the field holds.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The time in a field; `None` for 0 and for negative numbers.
pub(super) fn since(micros: i64) -> Option<Duration> {
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}
