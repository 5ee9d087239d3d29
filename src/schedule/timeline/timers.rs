//! What is to be looked at again, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds after the start of the run.
pub(super) type Nanos = u64;

/// A bound that is not set.
pub(super) const NEVER: Nanos = Nanos::MAX;

/// Why a task is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKind {
    /// One of its bounds.
    Bound,
    /// Its request may travel ahead.
    Arm,
    /// An occurrence is due.
    Due,
    /// What it needs has ended.
    Ready,
}

impl TimerKind {
    /// What comes first at one instant: bounds, so that nothing starts after its deadline; then what may start; then what is
    /// for later.
    fn rank(self) -> u8 {
        match self {
            Self::Bound => 0,
            Self::Due | Self::Ready => 1,
            Self::Arm => 2,
        }
    }
}

/// A time to look at a task. Of one instant and rank those with more priority come first, then those that stand first in
/// the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Nanos,
    rank: u8,
    priority: Reverse<u8>,
    pub(super) task: u32,
    pub(super) kind: TimerKind,
    pub(super) occurrence: u32,
}

impl Timer {
    pub(super) fn new(at: Nanos, kind: TimerKind, priority: u8, task: u32, occurrence: u32) -> Self {
        Self { at, rank: kind.rank(), priority: Reverse(priority), task, kind, occurrence }
    }
}

/// All timers, the earliest first.
#[derive(Debug)]
pub(super) struct Timers(BinaryHeap<Reverse<Timer>>);

impl Timers {
    /// With room for those of so many tasks: each has one bound, and what comes next of it with the time to send that ahead.
    pub(super) fn new(tasks: usize) -> Self {
        Self(BinaryHeap::with_capacity(tasks.saturating_mul(3)))
    }

    pub(super) fn set(&mut self, timer: Timer) {
        self.0.push(Reverse(timer));
    }

    /// When the next one is; it may turn out to mean nothing.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.0.peek().map(|Reverse(timer)| timer.at)
    }

    /// The earliest one that has come.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Timer> {
        match self.0.peek() {
            Some(Reverse(timer)) if timer.at <= now => self.0.pop().map(|Reverse(timer)| timer),
            _ => None,
        }
    }
}
