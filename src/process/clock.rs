//! The only place that asks for the time.

use jiff::Timestamp;
use std::time::Instant;

/// The wall clock, for records and for people.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock, for durations and deadlines; a step of the wall clock does not move it.
pub fn monotonic() -> Instant {
    Instant::now()
}
