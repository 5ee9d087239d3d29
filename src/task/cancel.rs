//! Asking a task to stop.

use crate::rt::{Monotonic, Waker};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Why a task is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A caller asks for it.
    Asked,
    /// It has run for as long as a task may.
    TimeLimit,
}

const NOT_ASKED: u8 = 0;
const ASKED: u8 = 1;
const TIME_LIMIT: u8 = 2;

/// Wakes a worker from whatever it waits in: on its alarm, or on the files of a program.
#[derive(Clone, Debug)]
pub(super) struct WakeSignal {
    waker: Waker,
    file: Arc<OwnedFd>,
}

impl WakeSignal {
    /// A signal for the worker that the waker wakes.
    pub(super) fn new(waker: Waker) -> Result<Self, Errno> {
        Ok(Self { waker, file: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?) })
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Readable when it was sent.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Forgets what was sent so far.
    pub(super) fn clear(&self) {
        // The read does not block: it fails when nothing was sent.
        let _ = rustix::io::read(&self.file, &mut [0u8; 8]);
    }

    fn send(&self) {
        self.waker.wake();
        // Fails only after 2^64 signals that nobody has read.
        let _ = rustix::io::write(&self.file, &1u64.to_ne_bytes());
    }
}

/// Whether a task was asked to stop. Clones are about the same task.
#[derive(Clone, Debug)]
pub struct Cancellation {
    request: Arc<StopRequest>,
}

#[derive(Debug)]
struct StopRequest {
    why: AtomicU8,
    /// When it is ended by force, in nanoseconds of the monotonic clock.
    force_at: AtomicU64,
    signal: WakeSignal,
}

impl Cancellation {
    pub(super) fn new(signal: WakeSignal) -> Self {
        let (why, force_at) = (AtomicU8::new(NOT_ASKED), AtomicU64::new(u64::MAX));
        Self { request: Arc::new(StopRequest { why, force_at, signal }) }
    }

    /// The task was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.request.why.load(Ordering::Acquire) != NOT_ASKED
    }

    /// Asks it to stop, by force from `force_at` on. Asked again, the first reason and the earlier force count.
    pub(super) fn request(&self, why: Why, force_at: Monotonic) {
        self.request.force_at.fetch_min(force_at.as_nanos(), Ordering::Release);
        let why = match why {
            Why::Asked => ASKED,
            Why::TimeLimit => TIME_LIMIT,
        };
        let _ = self.request.why.compare_exchange(NOT_ASKED, why, Ordering::AcqRel, Ordering::Relaxed);
        self.request.signal.send();
    }

    /// Why it was asked to stop, if it was.
    pub(super) fn why(&self) -> Option<Why> {
        match self.request.why.load(Ordering::Acquire) {
            NOT_ASKED => None,
            TIME_LIMIT => Some(Why::TimeLimit),
            _ => Some(Why::Asked),
        }
    }

    pub(super) fn force_at(&self) -> Monotonic {
        Monotonic::from_nanos(self.request.force_at.load(Ordering::Acquire))
    }

    pub(super) fn signal(&self) -> &WakeSignal {
        &self.request.signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::alarm;

    #[test]
    fn the_first_reason_and_the_earlier_force_count() {
        let (_alarm, waker) = alarm();
        let cancel = Cancellation::new(WakeSignal::new(waker).unwrap());
        assert_eq!((cancel.is_cancelled(), cancel.why()), (false, None));
        cancel.request(Why::TimeLimit, Monotonic::from_nanos(9));
        cancel.request(Why::Asked, Monotonic::from_nanos(5));
        cancel.request(Why::Asked, Monotonic::from_nanos(7));
        assert_eq!((cancel.why(), cancel.force_at()), (Some(Why::TimeLimit), Monotonic::from_nanos(5)));
    }
}
