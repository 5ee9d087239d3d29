//! Whether a fetch goes on: it may take as long as it likes while something arrives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Fewer bytes than this since the last mark are not progress: a server may trickle for ever.
const BYTES: usize = 4096;

/// When something last arrived; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    last: Arc<Mutex<Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    bytes: usize,
    items: usize,
}

impl Default for Last {
    fn default() -> Self {
        Self { at: crate::process::clock::monotonic(), bytes: 0, items: 0 }
    }
}

impl Progress {
    /// A fetch begins, or the server said something that has no size.
    pub(super) fn mark(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Last::default();
    }

    /// So many bytes have arrived and so many objects were taken in, since the beginning of the transfer.
    pub(super) fn arrived(&self, bytes: usize, items: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if items != last.items || bytes.abs_diff(last.bytes) >= BYTES {
            *last = Last { bytes, items, ..Last::default() };
        }
    }

    /// How long nothing has arrived.
    pub(super) fn idle(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).at.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_arrives_counts() {
        let progress = Progress::default();
        let begin = progress.last.lock().unwrap().at;
        let moved = |progress: &Progress| progress.last.lock().unwrap().at != begin;
        for bytes in 1..BYTES {
            progress.arrived(bytes, 0);
        }
        assert!(!moved(&progress), "a byte now and then is not progress");
        progress.arrived(BYTES, 0);
        assert!(moved(&progress));
    }
}
