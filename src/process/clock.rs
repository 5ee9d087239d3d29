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

/// Whether the kernel says that the wall clock is kept in step with others (`adjtimex`, as NTP daemons set it); `None`
/// when it does not say.
#[expect(unsafe_code, reason = "no library of ours wraps adjtimex")]
pub fn synchronised() -> Option<bool> {
    // SAFETY: `timex` is plain numbers, for which all zeroes is valid; `modes` 0 makes the call read only.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable `timex`.
    match unsafe { libc::adjtimex(&raw mut state) } {
        -1 => None,
        libc::TIME_ERROR => Some(false),
        _ => Some(true),
    }
}
