//! What the thread that starts tasks leaves to others, and how it asks a server that is busy.

use super::*;
use crate::manifest;
use crate::model::{FileEntry, FileKind, FileTree, TaskId};
use crate::process::clock;
use crate::rt::{self, Alarm, Anchor};
use crate::runs::calls_in_flight::CallsInFlight;
use crate::runs::details::Details;
use crate::runs::start_time::StartTime;
use crate::runs::timekeeper::{Inbox, TimedInput};
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
struct Fixture {
    shared: Arc<RunContext>,
    server: Arc<TaskServer>,
    inbox: rt::Receiver<TimedInput>,
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

impl Fixture {
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
        let calls = CallsInFlight::new("r1".to_owned(), vec![None]);
        let shared = Arc::new(RunContext {
            schedule: Arc::clone(&schedule),
            inbox: Inbox { sender, waker },
            start_time: StartTime {
                monotonic: start,
                anchor: Anchor { wall: clock::now(), monotonic: start },
                boot_id: "b",
            },
            output_limit: 1 << 20,
            calls: Mutex::new(calls),
            details: Arc::new(Mutex::new(Details::default())),
        });
        let server = Arc::new(TaskServer::new(TaskChannel::new(address, None, None), ServerKind::Existing));
        Self { shared, server, inbox, started, _alarm: alarm, _folder: folder }
    }

    fn caller(&self) -> Caller {
        let (task_servers, server_of) = (vec![Arc::clone(&self.server)], vec![0, 0]);
        Caller { shared: Arc::clone(&self.shared), task_servers, server_of, prepared: BTreeMap::new() }
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
        let mut fixture = Fixture::new(Ok(Duration::from_secs(1))).await;
        // As long as the other thread has something else to do, nothing large is done.
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let other = tokio::task::spawn_blocking(move || wait.recv().is_ok());
        take(&fixture.shared, &fixture.server, ended(LARGE / 2));
        assert!(
            matches!(fixture.inbox.take(), Some(TimedInput { input: Input::Ended(A, _), .. })),
            "a small one is read at once"
        );
        take(&fixture.shared, &fixture.server, ended(2 * LARGE));

        let output = (Arc::new(Value::from("x".repeat(2 * LARGE))), 2 * LARGE);
        fixture.shared.details().outputs.insert(0, output);
        let mut caller = fixture.caller();
        let mut call = pin!(caller.call(Effect::Start { attempt: B, due: Duration::ZERO }).unwrap());
        let waits = tokio::time::timeout(Duration::from_millis(300), &mut call).await;
        assert!(
            waits.is_err() && fixture.started.try_recv().is_err(),
            "its start was written by the thread that sends"
        );
        assert!(fixture.inbox.take().is_none(), "a large output was read by the thread that sends");

        release.send(()).unwrap();
        assert!(other.await.unwrap());
        tokio::time::timeout(Duration::from_secs(20), call).await.unwrap();
        assert!(fixture.started.try_recv().is_ok());
        let mut told = Vec::new();
        while let Some(TimedInput { input, .. }) = fixture.inbox.take() {
            told.push(input);
        }
        assert!(told.iter().any(|input| matches!(input, Input::Ended(A, _))), "{told:?}");
        assert!(told.contains(&Input::Started(B)), "{told:?}");
    });
}

#[test]
fn a_busy_server_is_asked_soon_and_then_ever_less_often() {
    runtime().block_on(async {
        let mut fixture = Fixture::new(Err(StartRefused::Busy("one at a time".to_owned()))).await;
        let caller = fixture.caller();
        let task = fixture.shared.task(A).unwrap();
        let start = PreparedStart::new(&caller.start_of(task, A), task.protocol);
        let call = caller.register(A, task, 0);
        let begun = Monotonic::now();
        let answer = send_start(&fixture.server, &call, &start, Duration::from_secs(1)).await;
        assert!(matches!(answer, Err(CallError::Busy { .. })), "{answer:?}");
        let mut asked = Vec::new();
        while let Ok(at) = fixture.started.try_recv() {
            asked.push(at.since(begun).as_millis());
        }
        // After 1, 2, 4, 8, 16 and 32 ms, and then each 50 ms: some 25 times in a second.
        assert!((8..=28).contains(&asked.len()), "{asked:?}");
        assert!(asked.windows(2).take(3).all(|pair| pair[1] - pair[0] < 25), "it gets its turn late: {asked:?}");
    });
}
