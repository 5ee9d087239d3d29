//! The task protocol with peers built on another implementation of gRPC, in both forms and both directions.
//!
//! Needs a Python with `grpcio` and `grpcio-tools`: `SETPOINT_INTEROP_PYTHON`, else a virtual environment in the target
//! folder that is made at the first run. Without one it is skipped, and says so; with `SETPOINT_REQUIRE_ALL` it fails.

use serde_json::{Map, Value, json};
use setpoint::model::{RealTime, RtPolicy, TaskAddress, TaskId, TaskProtocol};
use setpoint::wire::{
    AttemptKey, CallError, EndNotice, Health, KeepAlive, Listener, NotTaken, NoticeServer, OrchestratorChannel,
    Payload, PreparedStart, Start, Stopped, TaskCall, TaskChannel, TaskResult, TaskState, TaskStatus, Tasks,
};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::sync::mpsc;

const BOUND: Duration = Duration::from_secs(10);
const LIMIT: usize = 1 << 20;
const FORMS: [(&str, TaskProtocol); 2] = [("json", TaskProtocol::Json), ("map", TaskProtocol::Map)];

pub(crate) fn python() -> Option<PathBuf> {
    // Several tests ask at once, and one of them installs.
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let named = std::env::var_os("SETPOINT_INTEROP_PYTHON").map(PathBuf::from);
        let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
        let python = named.unwrap_or_else(|| own.join("bin/python"));
        if !runs(Command::new(&python).args(["-c", "import grpc_tools, grpc"])) {
            let packages = ["-q", "--disable-pip-version-check", "grpcio", "grpcio-tools"];
            let made = runs(Command::new("python3").args(["-m", "venv"]).arg(&own))
                && runs(Command::new(own.join("bin/pip")).arg("install").args(packages));
            if !made {
                assert!(
                    !required(),
                    "no Python with grpcio and grpcio-tools, and no package index to install them from"
                );
                // Past the capture of the test runner.
                drop(writeln!(std::io::stderr(), "skipped: no Python with grpcio and grpcio-tools"));
                return None;
            }
        }
        Some(python)
    });
    found.clone()
}

fn required() -> bool {
    ["CI", "SETPOINT_REQUIRE_ALL"].iter().any(|name| std::env::var_os(name).is_some())
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// A program of `interop/`; ended with its value.
pub(crate) struct Peer {
    child: Child,
    lines: Receiver<String>,
}

impl Peer {
    pub(crate) fn run(python: &Path, script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/interop").join(script);
        let mut child =
            Command::new(python).arg(script).args(arguments).stdout(Stdio::piped()).spawn().expect("it runs");
        let (said, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, lines }
    }

    /// The next thing it says.
    pub(crate) fn says(&mut self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(BOUND).expect("it says something in time")).unwrap()
    }

    /// Ends it by force.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The next of a queue; a peer that is silent fails the test instead of holding it up.
async fn next<T>(queue: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(BOUND, queue.recv()).await.expect("it comes in time").expect("the queue is open")
}

fn loopback(port: u16) -> TaskAddress {
    TaskAddress::Tcp("127.0.0.1".to_owned(), port)
}

fn start(parameters: Value) -> Start {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    Start {
        key: AttemptKey { run_id: "run".to_owned(), task_id: TaskId::new("critical"), occurrence: 1, attempt: 1 },
        scheduled: Duration::from_millis(1),
        deadline: Some(Duration::from_millis(2)),
        priority: 60,
        real_time: RealTime { policy: RtPolicy::Fifo { priority: 80 }, cpu: None },
        strict: false,
        parameters,
    }
}

async fn orchestrator() -> (TaskAddress, mpsc::Receiver<EndNotice>) {
    let listener = Listener::bind(&loopback(0), None).await.unwrap();
    let address = listener.address().clone();
    let (taken, notices) = mpsc::channel(4);
    let served = NoticeServer {
        notice: move |notice| taken.try_send(notice).map_err(|_| NotTaken::Full),
        health: || Health { running: true, time: Duration::ZERO },
        max_notice: LIMIT,
    };
    spawn(async move { served.serve(listener, BOUND, std::future::pending()).await.unwrap() });
    (address, notices)
}

/// A wrapper that listens on TCP or on a Unix socket in `folder`, its channel, and the notices of the orchestrator it
/// knows. Its own calls go over TCP: see `Listener::bind`.
async fn wrapper(
    python: &Path,
    form: &str,
    folder: Option<&Path>,
    keep_alive: Option<KeepAlive>,
) -> (Peer, TaskChannel, mpsc::Receiver<EndNotice>) {
    let (orchestrator, notices) = orchestrator().await;
    let socket = |folder: &Path| TaskAddress::Unix(folder.join(format!("{form}-task")).display().to_string());
    let address = folder.map_or_else(|| loopback(0), socket);
    let (here, there) = (address.to_string(), orchestrator.to_string());
    let arguments = ["--form", form, "--name", "task_1", "--address", &here, "--orchestrator", &there];
    let mut peer = Peer::run(python, "wrapper.py", &arguments);
    let port = u16::try_from(peer.says()["port"].as_u64().unwrap()).unwrap();
    let address = if folder.is_some() { address } else { loopback(port) };
    (peer, TaskChannel::new(address, keep_alive, None), notices)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_task_server_is_started_and_tells_its_end() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (form, protocol) in FORMS {
        for folder in [None, Some(folder.path())] {
            let (mut peer, channel, mut notices) = wrapper(&python, form, folder, None).await;
            channel.warm(BOUND).await.unwrap();
            assert_eq!(channel.status(&critical(), BOUND).await.unwrap().state, TaskState::Idle);
            let error = channel.capabilities(&[], BOUND).await.unwrap_err();
            assert!(matches!(error, CallError::Unsupported { .. }), "{error:?}");

            let sent = start(json!({"n": 1, "nested": {"a": [1, "x"]}, "sleep_ms": 300}));
            let sent = PreparedStart::new(&sent, protocol);
            let ack = channel.start(&sent, BOUND).await.unwrap();
            assert_eq!((ack.task_id.as_str(), ack.message.as_str()), ("task_1", "started"));
            assert!(ack.started.is_some());
            let parameters = match protocol {
                TaskProtocol::Json => {
                    json!({"n": 1, "nested": {"a": [1, "x"]}, "sleep_ms": 300, "task_id": "critical"})
                }
                TaskProtocol::Map => {
                    json!({"n": "1", "nested": "{\"a\":[1,\"x\"]}", "sleep_ms": "300", "task_id": "critical"})
                }
            };
            let priority = if protocol == TaskProtocol::Map { json!(60) } else { Value::Null };
            assert_eq!(
                peer.says(),
                json!({
                    "start": "critical", "parameters": parameters, "scheduled_time_us": 1000, "deadline_us": 2000,
                    "rt": ["fifo", 80, -1], "priority": priority,
                })
            );
            let error = channel.start(&sent, BOUND).await.unwrap_err();
            assert!(matches!(&error, CallError::Busy { message, .. } if message == "not in IDLE"), "{error:?}");
            let notice = next(&mut notices).await;
            assert_eq!((notice.task_id.as_str(), notice.result), ("task_1", TaskResult::Success));
            assert_eq!(notice.output(protocol, LIMIT).unwrap(), Some(parameters));
            assert!(notice.duration.unwrap() >= Duration::from_millis(300));
            assert_eq!(peer.says(), json!({"acknowledged": true, "message": ""}));

            let failing = PreparedStart::new(&start(json!({"fail": "no luck"})), protocol);
            channel.start(&failing, BOUND).await.unwrap();
            let notice = next(&mut notices).await;
            assert_eq!((notice.result, notice.error_message.as_str()), (TaskResult::Failure, "no luck"));
            assert_eq!(notice.output(protocol, LIMIT).unwrap(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_make_an_existing_task_server_hang_up() {
    let Some(python) = python() else { return };
    let often = KeepAlive { interval: Duration::from_millis(100), timeout: BOUND };
    for keep_alive in [None, Some(often)] {
        let (_peer, channel, mut notices) = wrapper(&python, "json", None, keep_alive).await;
        let sent = PreparedStart::new(&start(json!({"sleep_ms": 1500})), TaskProtocol::Json);
        channel.start(&sent, BOUND).await.unwrap();
        // This server answers a stop when the work has ended.
        let stopped = channel.stop(&critical(), Duration::ZERO, BOUND).await;
        if keep_alive.is_none() {
            assert_eq!(stopped.unwrap().message, "stopped");
        } else {
            let error = stopped.unwrap_err();
            assert!(matches!(error, CallError::UnknownOutcome { .. }), "{error:?}");
            assert!(format!("{error:?}").contains("Too many pings"), "{error:?}");
        }
        assert_eq!(next(&mut notices).await.result, TaskResult::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_orchestrator_starts_a_task_here_and_hears_its_end() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (form, protocol) in FORMS {
        for folder in [None, Some(folder.path())] {
            let socket = |name: &str| {
                folder.map(|folder| TaskAddress::Unix(folder.join(format!("{form}-{name}")).display().to_string()))
            };
            let listener = Listener::bind(&socket("task").unwrap_or_else(|| loopback(0)), None).await.unwrap();
            let here = listener.address().to_string();
            let (calls, mut queue) = mpsc::channel(4);
            let tasks = Tasks { calls, max_request: LIMIT };
            spawn(async move { tasks.serve(listener, BOUND, std::future::pending()).await.unwrap() });

            let there = socket("orchestrator").unwrap_or_else(|| loopback(0));
            let listens = there.to_string();
            let mut arguments = vec!["--form", form, "--address", &listens, "--task", &here];
            arguments.extend(["--parameters", "{\"k\": \"v\"}"]);
            if folder.is_some() {
                arguments.extend(["--authority", "localhost"]);
            }
            let mut peer = Peer::run(&python, "orchestrator.py", &arguments);
            let port = u16::try_from(peer.says()["port"].as_u64().unwrap()).unwrap();
            let there = if folder.is_some() { there } else { loopback(port) };

            let TaskCall::Start(call, reply) = next(&mut queue).await else { panic!("a start comes first") };
            let expected: Map<String, Value> = [("k".to_owned(), json!("v"))].into_iter().collect();
            assert_eq!(call.parameters(protocol, LIMIT).unwrap(), expected);
            assert_eq!(call.key.task_id.as_str(), "critical");
            assert_eq!((call.key.run_id.as_str(), call.key.attempt), ("", 0), "it does not say");
            let times = (call.scheduled, call.deadline);
            assert_eq!(times, (Duration::from_millis(1), Some(Duration::from_millis(2))));
            assert_eq!(call.real_time, RealTime { policy: RtPolicy::RoundRobin { priority: 7 }, cpu: None });
            assert_eq!(call.priority, (protocol == TaskProtocol::Map).then_some(60));
            reply.send(Ok(Duration::from_micros(42))).unwrap();
            assert_eq!(peer.says(), json!({"success": true, "message": "", "started": 42, "task": "critical"}));

            let channel = OrchestratorChannel::new(there, None);
            assert!(channel.health("setpoint", BOUND).await.unwrap().running);
            let output = json!({"answer": "42"});
            let notice = EndNotice {
                task_id: "critical".to_owned(),
                run_id: call.key.run_id,
                occurrence: call.key.occurrence,
                attempt: call.key.attempt,
                result: TaskResult::Timeout,
                start: Some(Duration::from_micros(42)),
                end: Some(Duration::from_micros(45)),
                duration: Some(Duration::from_micros(3)),
                error_message: "too long".to_owned(),
                raw_metrics: Payload::encode(&json!({"rss": "1"}), protocol),
                raw_output: Payload::encode(&output, protocol),
                from: None,
            };
            channel.notify(&notice, BOUND).await.unwrap();
            assert_eq!(
                peer.says(),
                json!({
                    "end": "critical", "result": "TIMEOUT", "duration_us": 3, "error": "too long", "output": output
                })
            );
            let TaskCall::Status(task, reply) = next(&mut queue).await else { panic!("then the status") };
            assert_eq!(task, AttemptKey::of_task(TaskId::new("critical")), "it does not say the run");
            reply.send(status(&task.task_id)).unwrap();
            let TaskCall::Stop { grace, reply, .. } = next(&mut queue).await else { panic!("then a stop") };
            assert_eq!(grace, Duration::from_millis(1500));
            reply.send(Ok(Stopped { at: None, message: "it had ended".to_owned() })).unwrap();
            assert_eq!(
                peer.says(),
                json!({"state": "COMPLETED", "memory": 9, "stopped": true, "message": "it had ended"})
            );
        }
    }
}

/// As a run of ours names it.
fn critical() -> AttemptKey {
    AttemptKey { run_id: "r".to_owned(), task_id: TaskId::new("critical"), occurrence: 0, attempt: 1 }
}

fn status(task: &TaskId) -> TaskStatus {
    TaskStatus {
        task_id: task.as_str().to_owned(),
        state: TaskState::Completed,
        started: None,
        elapsed: None,
        cpu_percent: 0.0,
        memory_bytes: 9,
    }
}
