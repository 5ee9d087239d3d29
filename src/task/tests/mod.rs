//! Over real sockets, with the client of the protocol.

mod arming;
mod commands;
mod functions;
mod notices;

use super::*;
use crate::model::{RealTime, RtPolicy, TaskAddress, TaskId, TaskProtocol};
use crate::wire::{
    Ack, AttemptKey, CallError, EndNotice, Health, Listener, NotTaken, NoticeServer, PreparedStart, Start, TaskChannel,
    TaskResult,
};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const BOUND: Duration = Duration::from_secs(10);
const LIMIT: usize = 1 << 20;

/// A runner, and the orchestrator that hears of its ends.
struct Runs {
    channel: TaskChannel,
    notices: mpsc::Receiver<EndNotice>,
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
}

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

fn anywhere() -> TaskAddress {
    TaskAddress::Tcp("127.0.0.1".to_owned(), 0)
}

async fn orchestrator(address: &TaskAddress) -> (TaskAddress, mpsc::Receiver<EndNotice>) {
    let listener = Listener::bind(address, None).await.unwrap();
    let address = listener.address().clone();
    let (taken, notices) = mpsc::channel(64);
    let served = NoticeServer {
        notice: move |notice| taken.try_send(notice).map_err(|_| NotTaken::Full),
        health: || Health { running: true, time: Duration::ZERO },
        max_notice: 4 * LIMIT,
    };
    spawn(async move { served.serve(listener, BOUND, std::future::pending()).await.unwrap() });
    (address, notices)
}

impl Runs {
    async fn new(registry: Registry, change: impl FnOnce(&mut RunnerSettings)) -> Self {
        let (told, notices) = orchestrator(&anywhere()).await;
        let mut settings = RunnerSettings::new(anywhere());
        settings.orchestrator = Some(told);
        settings.grace = Duration::from_millis(300);
        change(&mut settings);
        let bound = Runner::new(settings, registry).bind().await.unwrap();
        let channel = TaskChannel::new(bound.address().clone(), None, None);
        let ((stop, stopped), (tell, ended)) = (oneshot::channel::<()>(), oneshot::channel());
        spawn(async move {
            bound.serve_until(async { drop(stopped.await) }).await.unwrap();
            let _ = tell.send(());
        });
        Self { channel, notices, stop: Some(stop), ended }
    }

    /// With only this kind of work.
    async fn one(name: &str) -> Self {
        let names = vec![name.to_owned()];
        Self::new(Registry::builtin(), |settings| settings.names = names).await
    }

    async fn command(words: &[&str]) -> Self {
        Self::new(Registry::new().command("program", CommandLine::new(words.to_vec()).unwrap()), |_| {}).await
    }

    async fn start(&self, task: &str, parameters: Value) -> Result<Ack, CallError> {
        self.channel.start(&PreparedStart::new(&start(task, parameters), TaskProtocol::Json), BOUND).await
    }

    async fn end(&mut self) -> EndNotice {
        tokio::time::timeout(BOUND, self.notices.recv()).await.expect("the end is told").expect("somebody tells")
    }

    /// Starts a task and waits for its end.
    async fn run(&mut self, parameters: Value) -> EndNotice {
        self.start("t", parameters).await.unwrap();
        self.end().await
    }

    /// Stops the runner and waits for that.
    async fn close(&mut self) {
        drop(self.stop.take());
        tokio::time::timeout(BOUND, &mut self.ended).await.expect("it ends in time").unwrap();
    }
}

fn key(task: &str) -> AttemptKey {
    static ATTEMPT: AtomicU32 = AtomicU32::new(1);
    let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
    AttemptKey { run_id: "run".to_owned(), task_id: TaskId::new(task), occurrence: 7, attempt }
}

/// A task of this id, of whatever run.
fn any(task: &str) -> AttemptKey {
    AttemptKey::of_task(TaskId::new(task))
}

fn start(task: &str, parameters: Value) -> Start {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    Start {
        key: key(task),
        scheduled: Duration::from_millis(1),
        deadline: None,
        priority: 50,
        real_time: RealTime { policy: RtPolicy::Other, cpu: None },
        strict: false,
        parameters,
    }
}

fn output(notice: &EndNotice) -> Value {
    notice.output(TaskProtocol::Json, 4 * LIMIT).unwrap().unwrap_or(Value::Null)
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

fn refused(answer: Result<Ack, CallError>) -> String {
    match answer {
        Err(CallError::Refused { message, .. } | CallError::Busy { message, .. }) => message,
        other => panic!("refused, not {other:?}"),
    }
}

/// Until it holds.
async fn eventually(mut holds: impl FnMut() -> bool) {
    let begin = tokio::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < BOUND, "it never held");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
