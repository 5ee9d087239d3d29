//! What stands before a start on the thread that keeps the time takes no memory: it was taken when the run was prepared. The
//! thread that sends takes small pieces.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test program with an allocator that counts"
)]

use setpoint::model::{FileEntry, FileKind, FileTree, RealTime, RtPolicy, Schedule, TaskAddress, TaskId, TaskProtocol};
use setpoint::rt;
use setpoint::schedule::{Effect, End, Input, Lane, Timeline};
use setpoint::wire::{AttemptKey, Listener, PreparedStart, Start, TaskCall, TaskChannel, Tasks};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is the system allocator's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        LARGEST.set(LARGEST.get().max(layout.size()));
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

/// Bytes of the largest piece that a start may take on the thread that sends: what that thread's cache keeps, as
/// [`setpoint::process::ALLOCATOR_SETTINGS`] say.
const SMALL: usize = 2 << 10;

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

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// Serves tasks on a thread of its own, whose memory does not count.
fn task_server(address: &TaskAddress) {
    let (address, (ready, is_ready)) = (address.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::bind(&address, None).await.unwrap();
            let (calls, mut queue) = tokio::sync::mpsc::channel(64);
            spawn(async move {
                while let Some(call) = queue.recv().await {
                    if let TaskCall::Start(_, reply) = call {
                        let _ = reply.send(Ok(Duration::from_secs(1)));
                    }
                }
            });
            ready.send(()).unwrap();
            let tasks = Tasks { calls, max_request: 1 << 20 };
            tasks.serve(listener, Duration::ZERO, std::future::pending()).await.unwrap();
        });
    });
    is_ready.recv().unwrap();
}

#[test]
fn an_ordinary_start_is_sent_without_taking_a_large_piece_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let address = TaskAddress::Unix(folder.path().join("task.sock").display().to_string());
    task_server(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let channel = TaskChannel::new(address, None, None);
    let start = |occurrence| {
        let start = Start {
            key: AttemptKey { run_id: "r".to_owned(), task_id: TaskId::new("t"), occurrence, attempt: 1 },
            scheduled: Duration::ZERO,
            deadline: None,
            priority: 50,
            real_time: RealTime { policy: RtPolicy::Other, cpu: None },
            strict: false,
            parameters: serde_json::Map::from_iter([("text".to_owned(), "x".repeat(200).into())]),
        };
        PreparedStart::new(&start, TaskProtocol::Json)
    };
    let bound = Duration::from_secs(5);
    runtime.block_on(async {
        // The connection and its buffers are made when the run is prepared.
        channel.warm(bound).await.unwrap();
        channel.start(&start(0), bound).await.unwrap();
        for occurrence in 1..20 {
            let start = start(occurrence);
            LARGEST.set(0);
            let before = TAKEN.get();
            channel.start(&start, bound).await.unwrap();
            let taken = TAKEN.get() - before;
            assert!(LARGEST.get() <= SMALL, "a piece of {} bytes is taken for a start", LARGEST.get());
            assert!(taken <= 100, "{taken} pieces are taken for a start");
        }
    });
}
