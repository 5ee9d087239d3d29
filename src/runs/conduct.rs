//! One run from its beginning to its end.

use super::caller::{Caller, addresses};
use super::details::{Detail, Details};
use super::exchange::Exchange;
use super::flights::Flights;
use super::local::LocalRunner;
use super::shared::{Begin, Kind, Link, Shared};
use super::timekeeper::{Inbox, Moment, Timekeeper};
use crate::model::{RealTime, RtPolicy, Schedule, Target, Task, TaskAddress, Timestamp};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::rt::{self, Anchor, Monotonic, Prepared, ThreadError};
use crate::schedule::{Attempt, Effect, Input, Lane, Record, TaskIndex, Timeline};
use crate::task::RunnerError;
use crate::wire::{CallError, ListenError, TaskChannel};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Bound on the first connection to each task server.
const WARM_BOUND: Duration = Duration::from_secs(2);
/// A task server that has only just been started may not listen yet; for this long it is tried again.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);
/// From the end of the preparations to the start of the run.
const HEAD_START: Duration = Duration::from_millis(5);
/// Stack of a thread that speaks to task servers; a build without optimisation takes most of it.
pub(super) const CALLS_STACK: usize = 2 << 20;
/// How long before its instant a task is sent to our own runner.
const LEAD: Duration = Duration::from_millis(250);

/// How the machine is used for runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Policy and CPU of the thread that keeps the time. The one that makes the calls has the priority below it.
    pub real_time: RealTime,
    /// Keep the memory of the process from being paged out.
    pub lock_memory: bool,
    /// Bytes of output that a task may give.
    pub output_limit: usize,
    /// Tasks are sent ahead to runners that can take them.
    pub send_ahead: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            real_time: RealTime { policy: RtPolicy::Other, cpu: None },
            lock_memory: false,
            output_limit: 1 << 20,
            send_ahead: true,
        }
    }
}

/// A run that was conducted.
#[derive(Clone, Debug)]
pub struct Conducted {
    /// Its own id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// What happened.
    pub record: Record,
    /// What task servers told beyond that.
    pub details: BTreeMap<Attempt, Detail>,
    /// What was asked of the machine and not had, and which task servers could not be reached at the beginning.
    pub remarks: Vec<String>,
}

/// Why a run did not take place.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nobody could tell the end of a task.
    #[error("end notices cannot be taken")]
    Listen(#[source] ListenError),
    /// The thread that keeps the time.
    #[error("the thread that keeps the time")]
    Timekeeper(#[source] ThreadError),
    /// The thread that makes the calls.
    #[error("the thread that makes the calls")]
    Caller(#[source] ThreadError),
    /// The runtime of a thread, or the folder of its socket.
    #[error("a thread of the run")]
    Runtime(#[source] std::io::Error),
    /// The programs of inline commands.
    #[error("the runner of inline commands")]
    Runner(#[source] RunnerError),
    /// The schedule is strict, and something it needs cannot be had.
    #[error("the schedule is strict: {0}")]
    Strict(String),
}

/// An id for a run that says when, and is unique.
pub fn new_id(schedule: &Schedule, now: Timestamp) -> String {
    format!("{}-{}-{:08x}", schedule.name, now.strftime("%Y%m%d-%H%M%S"), fastrand::u32(..))
}

/// Ends a run, also one that is about to begin. Cheap to clone; each run has one of its own.
#[derive(Clone, Debug, Default)]
pub struct Hand(Arc<Mutex<Grip>>);

#[derive(Debug, Default)]
struct Grip {
    cancelled: bool,
    /// There from the begin of the run to its end.
    inbox: Option<Inbox>,
}

impl Hand {
    /// Stops what runs and starts nothing more. Does nothing after the end of the run.
    pub fn cancel(&self) {
        let mut grip = self.grip();
        grip.cancelled = true;
        let inbox = grip.inbox.clone();
        drop(grip);
        if let Some(inbox) = inbox {
            inbox.tell(Input::Cancel);
        }
    }

    fn hold(&self, inbox: &Inbox) {
        let mut grip = self.grip();
        let cancelled = grip.cancelled;
        grip.inbox = Some(inbox.clone());
        drop(grip);
        if cancelled {
            inbox.tell(Input::Cancel);
        }
    }

    fn let_go(&self) {
        self.grip().inbox = None;
    }

    fn grip(&self) -> MutexGuard<'_, Grip> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the calling thread says once every task server was tried.
struct Ready {
    /// For each task whether it runs at a runner of ours.
    ours: Vec<bool>,
    /// The hosts of the task servers.
    hosts: Vec<Option<IpAddr>>,
    /// Task servers that could not be reached.
    remarks: Vec<String>,
}

/// Conducts a run; returns when it is over. Blocks the calling thread: call it from one that may wait.
///
/// # Errors
/// When the run could not begin. What fails within it is in its record.
pub fn conduct(
    schedule: &Arc<Schedule>,
    id: &str,
    settings: &Settings,
    exchange: &Exchange,
    hand: &Hand,
    onlooker: Option<SyncSender<Moment>>,
) -> Result<Conducted, RunError> {
    let mut refused = Vec::new();
    if settings.lock_memory
        && let Err(why) = rt::lock_memory()
    {
        refused.push(format!("memory is not locked: {}", chain(&why)));
    }
    let real_time = settings.real_time.policy != RtPolicy::Other;
    let latency = if real_time { Some(rt::DmaLatency::hold()) } else { None };
    let room = 4 * schedule.tasks.len() + 64;
    let (orders, effects) = mpsc::channel::<Effect>(room);
    let (sender, told) = sync_channel(room);
    let (alarm, waker) = rt::alarm();
    let inbox = Inbox { sender, waker };
    let (ready_tx, ready_rx) = sync_channel(1);
    let (begin_tx, begin_rx) = oneshot::channel();

    let local = LocalRunner::start(schedule)?;
    let calls = Calls {
        schedule: Arc::clone(schedule),
        local_runner: local.as_ref().map(|runner| runner.address().clone()),
        effects,
        ready: ready_tx,
        begin: begin_rx,
    };
    let caller = prepared("sp-calls", CALLS_STACK, below(settings.real_time), move || calls.run(), &mut refused);
    let caller = caller.map_err(RunError::Caller)?.start();
    // Dropped before the thread that waits for it is joined: a run that is refused must not wait for itself.
    let begin_tx = begin_tx;
    let ready = match ready_rx.recv() {
        Ok(ready) => ready?,
        Err(_) => return Err(RunError::Caller(ended(caller))),
    };
    refused.extend(exchange.remarks().iter().cloned());

    let lead = settings.send_ahead.then_some(LEAD);
    let lane = |at: TaskIndex, task: &Task| {
        let ours = ready.ours.get(at.at()).copied().unwrap_or(false);
        let kind = if matches!(task.target, Target::Command(_)) { Lane::LOCAL } else { Lane::WRAPPER };
        Lane { lead: lead.filter(|_| ours), ..kind }
    };
    let timeline = Timeline::new(schedule, lane);
    let (start_tx, start_rx) = sync_channel(1);
    let keeper = Timekeeper { timeline, schedule: Arc::clone(schedule), alarm, inbox: told, orders, onlooker };
    let body = move || start_rx.recv().map(|start| keeper.run(start)).unwrap_or_default();
    let keeper = prepared("sp-timeline", rt::DEFAULT_STACK, settings.real_time, body, &mut refused)
        .map_err(RunError::Timekeeper)?;
    if schedule.strict && !refused.is_empty() {
        return Err(RunError::Strict(refused.join("; ")));
    }
    let mut remarks = [refused, ready.remarks].concat();
    remarks.extend(latency.as_ref().and_then(|held| held.as_ref().err()).map(|why| chain(why)));
    let keeper = keeper.start();
    let anchor = Anchor { wall: clock::now(), monotonic: Monotonic::now() };
    let begin = Begin { start: anchor.monotonic + HEAD_START, anchor, boot_id: boot_id() };
    hand.hold(&inbox);
    let shared = Arc::new(Shared {
        schedule: Arc::clone(schedule),
        inbox,
        begin,
        output_limit: settings.output_limit,
        flights: Mutex::new(Flights::new(id.to_owned(), ready.hosts)),
        details: Mutex::new(Details::default()),
    });
    let seat = exchange.seat(Arc::clone(&shared));
    // Whoever is gone is found when it is joined.
    let _ = begin_tx.send(Arc::clone(&shared));
    let _ = start_tx.send(begin.start);
    let record = keeper.join().map_err(RunError::Timekeeper);
    hand.let_go();
    caller.join().map_err(RunError::Caller)?;
    drop((seat, local, latency));
    let details = std::mem::take(&mut shared.details().attempts);
    Ok(Conducted { id: id.to_owned(), started: anchor.wall(begin.start), record: record?, details, remarks })
}

/// A thread with its settings applied; what was refused is remarked.
fn prepared<T: Send + 'static>(
    name: &str,
    stack: usize,
    real_time: RealTime,
    body: impl FnOnce() -> T + Send + 'static,
    remarks: &mut Vec<String>,
) -> Result<Prepared<T>, ThreadError> {
    let settings = rt::Settings { name: name.to_owned(), real_time, stack };
    let prepared = Prepared::new(settings, body)?;
    remarks.extend(prepared.applied().refusals().map(|refused| format!("{name}: {}", chain(refused))));
    Ok(prepared)
}

pub(super) fn ended<T: Send + 'static>(thread: rt::Running<T>) -> ThreadError {
    match thread.join() {
        Ok(_) => ThreadError::Ended { name: "sp-calls".to_owned() },
        Err(error) => error,
    }
}

/// The priority below, for the thread that makes the calls: it must not keep the time from being kept.
pub(super) fn below(real_time: RealTime) -> RealTime {
    let lower = |priority: u8| priority.saturating_sub(1).max(1);
    let policy = match real_time.policy {
        RtPolicy::Fifo { priority } => RtPolicy::Fifo { priority: lower(priority) },
        RtPolicy::RoundRobin { priority } => RtPolicy::RoundRobin { priority: lower(priority) },
        // A reservation is for the one thread; the calls take what is left.
        RtPolicy::Deadline { .. } | RtPolicy::Other => RtPolicy::Other,
    };
    RealTime { policy, ..real_time }
}

/// The thread that makes the calls.
struct Calls {
    schedule: Arc<Schedule>,
    local_runner: Option<TaskAddress>,
    effects: mpsc::Receiver<Effect>,
    ready: SyncSender<Result<Ready, RunError>>,
    begin: oneshot::Receiver<Arc<Shared>>,
}

impl Calls {
    fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.make()),
            // Who waits for this is gone when it cannot be sent.
            Err(error) => drop(self.ready.send(Err(RunError::Runtime(error)))),
        }
    }

    async fn make(self) {
        let (list, link_of) = addresses(&self.schedule, self.local_runner.as_ref());
        let (links, remarks) = connect(&list).await;
        let ours = |link: &usize| links.get(*link).is_some_and(|link| matches!(link.kind, Kind::Ours(_)));
        let ours = link_of.iter().map(ours).collect();
        let hosts = join_all(list.iter().map(host)).await;
        let _ = self.ready.send(Ok(Ready { ours, hosts, remarks }));
        // No run: it was refused.
        let Ok(shared) = self.begin.await else { return };
        let mut caller = Caller { shared, links, link_of, prepared: BTreeMap::new() };
        caller.prepare();
        caller.run(self.effects).await;
    }
}

/// Connects to every task server at once; one that cannot be reached is tried again when its first task is due.
async fn connect(list: &[TaskAddress]) -> (Vec<Arc<Link>>, Vec<String>) {
    let links = join_all(list.iter().map(|address| async move {
        let channel = TaskChannel::new(address.clone(), None);
        let patience = tokio::time::Instant::now() + PATIENCE;
        let (kind, remark) = loop {
            match channel.capabilities(WARM_BOUND).await {
                Ok(runner) => break (Kind::Ours(runner), None),
                Err(CallError::Unsupported { .. }) => {
                    break (Kind::Existing, channel.warm(WARM_BOUND).await.err());
                }
                Err(CallError::Unreachable { .. }) if tokio::time::Instant::now() < patience => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => break (Kind::Unknown, Some(error)),
            }
        };
        (Arc::new(Link { channel, kind }), remark.map(|error| chain(&error)))
    }))
    .await;
    let (links, remarks): (Vec<_>, Vec<_>) = links.into_iter().unzip();
    (links, remarks.into_iter().flatten().collect())
}

/// The address of a task server's host, by which its notices are known.
async fn host(address: &TaskAddress) -> Option<IpAddr> {
    let TaskAddress::Tcp(host, port) = address else { return None };
    let found = tokio::time::timeout(WARM_BOUND, tokio::net::lookup_host((host.as_str(), *port))).await.ok()?;
    found.ok()?.next().map(|found| found.ip())
}

/// Tells this boot of this machine from others.
fn boot_id() -> &'static str {
    static ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ID.get_or_init(|| {
        let text = std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        text.trim().to_owned()
    })
}
