//! What stands before a start on the thread that keeps the time takes no memory: it was taken when the run was prepared.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test program with an allocator that counts"
)]

use setpoint::model::{FileEntry, FileKind, FileTree, Schedule};
use setpoint::rt;
use setpoint::schedule::{Effect, End, Input, Lane, Timeline};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local!(static TAKEN: Cell<u64> = const { Cell::new(0) });

// SAFETY: all is the system allocator's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCHEDULE: &str = "schedule:
  defaults: {deadline: 50ms, max_retries: 1}
  tasks:
    - {id: fast, address: \"a:1\", scheduled_time: 0, period: 10ms, count: 2000}
    - {id: slow, address: \"a:2\", scheduled_time: 5ms, period: 30ms, count: 600}
    - {id: other, address: \"a:2\", scheduled_time: 5ms, period: 30ms, count: 600}
    - {id: late, address: \"a:3\", scheduled_time: 10s}
    - {id: then, address: \"a:3\", depends_on: late}
";

fn schedule() -> Schedule {
    let content: Arc<[u8]> = SCHEDULE.as_bytes().into();
    let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
    let mut tree = FileTree::default();
    tree.files.insert("schedules/s.yaml".to_owned(), entry);
    setpoint::manifest::compile(&tree).unwrap().schedules.into_values().next().unwrap()
}

#[test]
fn from_the_instant_to_the_thread_that_sends_no_memory_is_taken() {
    let schedule = schedule();
    let mut timeline = Timeline::new(&schedule, |_, _| Lane::WRAPPER);
    let mut effects = Vec::with_capacity(2 * schedule.tasks.len() + 16);
    let (orders, mut taken) = rt::queue::<Effect>(4 * schedule.tasks.len() + 64);
    let (tell, mut inbox) = rt::queue::<Input>(64);
    let mut starts = 0;
    let before = TAKEN.get();
    while let Some(next) = timeline.next() {
        timeline.step(next, Input::Tick, &mut effects);
        while let Some(input) = inbox.take() {
            timeline.step(next, input, &mut effects);
        }
        for effect in effects.drain(..) {
            orders.send(effect).unwrap();
        }
        while let Some(effect) = taken.take() {
            if let Effect::Start { attempt, .. } = effect {
                starts += 1;
                tell.send(Input::Started(attempt)).unwrap();
                tell.send(Input::Ended(attempt, End::Success)).unwrap();
            }
        }
        // What came in since is looked at when something is due, or at the end.
        while let Some(input) = inbox.take() {
            timeline.step(next, input, &mut effects);
        }
        for effect in effects.drain(..) {
            orders.send(effect).unwrap();
        }
    }
    assert_eq!(TAKEN.get() - before, 0, "memory was taken for {starts} starts");
    assert!(starts >= 3_000, "{starts} starts");
}
