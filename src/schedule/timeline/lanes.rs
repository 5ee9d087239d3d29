//! Task servers and how much each takes at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What a task server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// How many tasks it runs at once; an unmodified wrapper runs one.
    pub capacity: u32,
    /// How long before its instant a task may be sent ahead; `None` when the server only starts at once.
    pub lead: Option<Duration>,
}

impl Lane {
    /// A task server of which nothing else is known.
    pub const WRAPPER: Self = Self { capacity: 1, lead: None };
    /// The daemon's own runner.
    pub const LOCAL: Self = Self { capacity: u32::MAX, lead: None };
}

/// Who waits for a place: more priority first, then who was due first, then the place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    priority: Reverse<u8>,
    due: u64,
    task: u32,
    stamp: u32,
}

/// A task server in use.
#[derive(Debug)]
pub(super) struct LaneState {
    /// Below zero while a task runs that began by itself before an earlier end was known here.
    free: i64,
    queue: BinaryHeap<Reverse<Waiting>>,
}

impl LaneState {
    pub(super) fn new(lane: Lane) -> Self {
        Self { free: lane.capacity.max(1).into(), queue: BinaryHeap::new() }
    }

    /// Takes a place; false when there is none.
    pub(super) fn take(&mut self) -> bool {
        let there = self.free > 0;
        self.free -= i64::from(there);
        there
    }

    /// Takes a place, free or not.
    pub(super) fn occupy(&mut self) {
        self.free -= 1;
    }

    /// Gives a place back.
    pub(super) fn release(&mut self) {
        self.free += 1;
    }

    /// Makes room for so many tasks that wait.
    pub(super) fn reserve(&mut self, tasks: usize) {
        self.queue.reserve(tasks);
    }

    /// Whether a place is free.
    pub(super) fn is_free(&self) -> bool {
        self.free > 0
    }

    pub(super) fn queue(&mut self, task: u32, priority: u8, due: u64, stamp: u32) {
        self.queue.push(Reverse(Waiting { priority: Reverse(priority), due, task, stamp }));
    }

    /// Who is next, and its stamp when it began to wait.
    pub(super) fn next(&mut self) -> Option<(u32, u32)> {
        self.queue.pop().map(|Reverse(waiting)| (waiting.task, waiting.stamp))
    }
}
