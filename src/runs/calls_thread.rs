//! The threads of a run that speak to task servers.

use crate::model::{RealTime, RtPolicy};
use crate::rt::{self, ThreadError};

/// Stack of a thread that speaks to task servers; a build without optimisation takes most of it.
pub(super) const CALLS_STACK: usize = 2 << 20;

/// Why such a thread ended too early.
pub(super) fn ended<T: Send + 'static>(thread: rt::Running<T>) -> ThreadError {
    match thread.join() {
        Ok(_) => ThreadError::Ended { name: "sp-calls".to_owned() },
        Err(error) => error,
    }
}

/// The priority below, for the thread that makes the calls: it must not delay the timekeeper.
pub(super) fn below(real_time: RealTime) -> RealTime {
    let lower = |priority: u8| priority.saturating_sub(1).max(1);
    let policy = match real_time.policy {
        RtPolicy::Fifo { priority } => RtPolicy::Fifo { priority: lower(priority) },
        RtPolicy::RoundRobin { priority } => RtPolicy::RoundRobin { priority: lower(priority) },
        // The reservation is for the timekeeper; the calls get what is left.
        RtPolicy::Deadline { .. } | RtPolicy::Other => RtPolicy::Other,
    };
    RealTime { policy, ..real_time }
}
