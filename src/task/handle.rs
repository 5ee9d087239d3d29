//! What the task table and a worker share of one task: numbers that are written once and read without a lock.

use super::cancel::Cancellation;
use super::figures::{self, Figures};
use crate::model::nanos;
use crate::wire::Stamp;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const WITHDRAWN: u8 = 2;

/// One task, as both see it.
#[derive(Debug)]
pub(super) struct TaskHandle {
    /// Whether it was asked to stop.
    pub(super) cancel: Cancellation,
    phase: AtomicU8,
    /// The start, in nanoseconds of both clocks; 0 before it.
    monotonic: AtomicU64,
    realtime: AtomicU64,
    /// The worker's thread; 0 before it has the task.
    thread: AtomicI32,
    /// CPU time of that thread before the start, in nanoseconds.
    before: AtomicU64,
    /// The program's process group; 0 while there is none.
    group: AtomicI32,
}

impl TaskHandle {
    pub(super) fn new(cancel: Cancellation) -> Self {
        Self {
            cancel,
            phase: AtomicU8::new(WAITING),
            monotonic: AtomicU64::new(0),
            realtime: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            before: AtomicU64::new(0),
            group: AtomicI32::new(0),
        }
    }

    /// The worker takes it: from now on it cannot be withdrawn. `false` when it was.
    pub(super) fn claim(&self) -> bool {
        self.turn(CLAIMED)
    }

    /// Withdraws it: it will not start. `false` when it is too late.
    pub(super) fn withdraw(&self) -> bool {
        self.turn(WITHDRAWN)
    }

    fn turn(&self, to: u8) -> bool {
        self.phase.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.phase.load(Ordering::Acquire) == WITHDRAWN
    }

    /// It starts now.
    pub(super) fn set_start(&self, start: Stamp) {
        self.realtime.store(nanos(start.realtime), Ordering::Relaxed);
        self.monotonic.store(nanos(start.monotonic), Ordering::Release);
    }

    /// When it started, if it did.
    pub(super) fn start(&self) -> Option<Stamp> {
        let monotonic = Some(self.monotonic.load(Ordering::Acquire)).filter(|nanos| *nanos > 0)?;
        let realtime = Duration::from_nanos(self.realtime.load(Ordering::Relaxed));
        Some(Stamp { monotonic: Duration::from_nanos(monotonic), realtime })
    }

    /// This thread has it.
    pub(super) fn runs_on(&self, thread: i32) {
        self.thread.store(thread, Ordering::Release);
    }

    /// The worker's thread has used this much before.
    pub(super) fn used_before(&self, cpu: Duration) {
        self.before.store(nanos(cpu), Ordering::Relaxed);
    }

    /// It runs as a program.
    pub(super) fn runs_as(&self, group: i32) {
        self.group.store(group, Ordering::Release);
    }

    /// It runs as a program by now.
    pub(super) fn is_program(&self) -> bool {
        self.group.load(Ordering::Acquire) != 0
    }

    /// What it uses. Reads files.
    pub(super) fn figures(&self) -> Figures {
        match self.group.load(Ordering::Acquire) {
            0 => {
                let Figures { cpu, memory } = figures::of_thread(self.thread.load(Ordering::Acquire));
                let before = Duration::from_nanos(self.before.load(Ordering::Relaxed));
                Figures { cpu: cpu.saturating_sub(before), memory }
            }
            group => figures::of_group(group),
        }
    }
}

/// The slots of this runner: how many more tasks may run at the same time.
#[derive(Debug)]
pub(super) struct Slots {
    free: AtomicUsize,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: AtomicUsize::new(count) }
    }

    /// Takes a slot; `false` when none is free.
    pub(super) fn acquire(&self) -> bool {
        let take = |free: usize| free.checked_sub(1);
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Gives a slot back.
    pub(super) fn release(&self) {
        self.free.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::alarm;
    use crate::task::cancel::WakeSignal;

    #[test]
    fn a_task_is_claimed_or_withdrawn_and_never_both() {
        let handle = || TaskHandle::new(Cancellation::new(WakeSignal::new(alarm().1).unwrap()));
        let claimed = handle();
        assert!(claimed.claim() && !claimed.withdraw() && !claimed.is_withdrawn());
        let withdrawn = handle();
        assert!(withdrawn.withdraw() && !withdrawn.claim() && withdrawn.is_withdrawn());
        assert_eq!(withdrawn.start(), None);
    }

    #[test]
    fn there_are_as_many_slots_as_were_made() {
        let slots = Slots::new(2);
        assert!(slots.acquire() && slots.acquire() && !slots.acquire());
        slots.release();
        assert!(slots.acquire() && !slots.acquire());
    }
}
