//! What the thread that starts tasks leaves to others, and how it asks a server that is busy.

use super::*;
use crate::manifest;
use crate::model::{FileEntry, FileKind, FileTree, TaskId};
use crate::process::clock;
use crate::rt::{self, Alarm, Anchor};
use crate::runs::begin::Begin;
use crate::runs::details::Details;
use crate::runs::flights::Flights;
use crate::runs::timekeeper::{Inbox, Told};
use crate::schedule::TaskIndex;
use crate::wire::{Ended, Listener, Stamp, StartRefused, TaskCall, TaskChannel, TaskResult, Tasks};
use serde_json::Value;
use std::pin::pin;
use std::sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

const A: Attempt = Attempt { task: TaskIndex(0), occurrence: 0, number: 1 };
const B: Attempt = Attempt { task: TaskIndex(1), occurrence: 0, number: 1 };

/// A run that has begun, with a task server of the test's.
struct World {
    shared: Arc<Shared>,
    link: Arc<Link>,
    inbox: rt::Receiver<Told>,
    /// When each start was asked for.
    started: mpsc::Receiver<Monotonic>,
    _alarm: Alarm,
    _folder: tempfile::TempDir,
}

fn schedule() -> Schedule {
    let text = "schedule: {name: s, tasks: [{id: a, address: \"h:1\"}, {id: b, address: \"h:1\", depends_on: a}]}";
    let content: Arc<[u8]> = text.as_bytes().into();
    let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
    let mut tree = FileTree::default();
    tree.files.insert("schedules/s.yaml".to_owned(), entry);
    manifest::compile(&tree).unwrap().schedules.into_values().next().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

impl World {
    /// The server answers every start like this.
    async fn new(answer: Result<Duration, StartRefused>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TaskAddress::Unix(folder.path().join("task.sock").display().to_string());
        let listener = Listener::bind(&address, None).await.unwrap();
        let (calls, mut queue) = mpsc::channel(64);
        let (tell, started) = mpsc::channel(4_096);
        spawn(async move {
            while let Some(call) = queue.recv().await {
                if let TaskCall::Start(_, reply) = call {
                    let _ = tell.try_send(Monotonic::now());
                    let _ = reply.send(answer.clone());
                }
            }
        });
        spawn(async move {
            let tasks = Tasks { calls, max_request: 4 << 20 };
            tasks.serve(listener, Duration::from_millis(100), std::future::pending()).await.unwrap();
        });
        let (sender, inbox) = rt::queue(64);
        let (alarm, waker) = rt::alarm();
        let (start, schedule) = (Monotonic::now(), Arc::new(schedule()));
        let flights = Flights::new("r1".to_owned(), vec![None]);
        let shared = Arc::new(Shared {
            schedule: Arc::clone(&schedule),
            inbox: Inbox { sender, waker },
            begin: Begin { start, anchor: Anchor { wall: clock::now(), monotonic: start }, boot_id: "b" },
            output_limit: 1 << 20,
            flights: Mutex::new(flights),
            details: Arc::new(Mutex::new(Details::default())),
        });
        let link = Arc::new(Link::new(TaskChannel::new(address, None, None), Kind::Existing));
        Self { shared, link, inbox, started, _alarm: alarm, _folder: folder }
    }

    fn caller(&self) -> Caller {
        let (links, link_of) = (vec![Arc::clone(&self.link)], vec![0, 0]);
        Caller { shared: Arc::clone(&self.shared), links, link_of, prepared: BTreeMap::new() }
    }
}

/// The end of `a` with an output of so many bytes.
fn ended(bytes: usize) -> TaskEvent {
    let ended = Ended {
        result: TaskResult::Success,
        start: Stamp::default(),
        end: Stamp::default(),
        error_message: String::new(),
        output_json: Value::from("x".repeat(bytes)).to_string(),
        cpu_user: Duration::ZERO,
        cpu_system: Duration::ZERO,
        memory_peak: 0,
        remarks: Vec::new(),
        stdout: String::new(),
        stderr: String::new(),
    };
    let key = AttemptKey { run_id: "r1".to_owned(), task_id: TaskId::new("a"), occurrence: 0, attempt: 1 };
    TaskEvent { instance: "i".to_owned(), sequence: 1, key, what: Happened::Ended(ended) }
}

/// A runtime like the one of the thread that starts tasks, with one other thread.
fn runtime() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap()
}

#[test]
fn large_outputs_are_read_and_written_by_threads_that_start_nothing() {
    runtime().block_on(async {
        let mut world = World::new(Ok(Duration::from_secs(1))).await;
        // As long as the other thread has something else to do, nothing large is done.
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let other = tokio::task::spawn_blocking(move || wait.recv().is_ok());
        take(&world.shared, &world.link, ended(LARGE / 2));
        assert!(
            matches!(world.inbox.take(), Some(Told { input: Input::Ended(A, _), .. })),
            "a small one is read at once"
        );
        take(&world.shared, &world.link, ended(2 * LARGE));

        let output = (Arc::new(Value::from("x".repeat(2 * LARGE))), 2 * LARGE);
        world.shared.details().outputs.insert(0, output);
        let mut caller = world.caller();
        let mut call = pin!(caller.call(Effect::Start { attempt: B, due: Duration::ZERO }).unwrap());
        let waits = tokio::time::timeout(Duration::from_millis(300), &mut call).await;
        assert!(waits.is_err() && world.started.try_recv().is_err(), "its start was written by the thread that sends");
        assert!(world.inbox.take().is_none(), "a large output was read by the thread that sends");

        release.send(()).unwrap();
        assert!(other.await.unwrap());
        tokio::time::timeout(Duration::from_secs(20), call).await.unwrap();
        assert!(world.started.try_recv().is_ok());
        let mut told = Vec::new();
        while let Some(Told { input, .. }) = world.inbox.take() {
            told.push(input);
        }
        assert!(told.iter().any(|input| matches!(input, Input::Ended(A, _))), "{told:?}");
        assert!(told.contains(&Input::Started(B)), "{told:?}");
    });
}

#[test]
fn a_busy_server_is_asked_soon_and_then_ever_less_often() {
    runtime().block_on(async {
        let mut world = World::new(Err(StartRefused::Busy("one at a time".to_owned()))).await;
        let caller = world.caller();
        let task = world.shared.task(A).unwrap();
        let start = PreparedStart::new(&caller.start_of(task, A), task.protocol);
        let flight = caller.flies(A, task, 0);
        let begun = Monotonic::now();
        let answer = begin(&world.link, &flight, &start, Duration::from_secs(1)).await;
        assert!(matches!(answer, Err(CallError::Busy { .. })), "{answer:?}");
        let mut asked = Vec::new();
        while let Ok(at) = world.started.try_recv() {
            asked.push(at.since(begun).as_millis());
        }
        // After 1, 2, 4, 8, 16 and 32 ms, and then each 50 ms: some 25 times in a second.
        assert!((8..=28).contains(&asked.len()), "{asked:?}");
        assert!(asked.windows(2).take(3).all(|pair| pair[1] - pair[0] < 25), "it gets its turn late: {asked:?}");
    });
}
