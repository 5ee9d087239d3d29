//! The clocks of this host, as the task protocol carries them.

use crate::rt::Monotonic;
use crate::wire::Stamp;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Both clocks, read one right after the other.
pub(super) fn stamp() -> Stamp {
    let monotonic = Duration::from_nanos(Monotonic::now().as_nanos());
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(wall.tv_sec).unwrap_or(0);
    Stamp { monotonic, realtime: Duration::new(seconds, u32::try_from(wall.tv_nsec).unwrap_or(0)) }
}

/// Time since the machine started, as an instant.
pub(super) fn instant(monotonic: Duration) -> Monotonic {
    Monotonic::from_nanos(u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on() {
        let (first, second) = (stamp(), stamp());
        assert!(second.monotonic >= first.monotonic && first.realtime > Duration::from_secs(1_600_000_000));
    }
}
