//! Makes a run ready before its start: its threads, its connections, its memory.

use super::calls::{Calls, ServerFindings};
use super::calls_thread::{CALLS_STACK, below, ended};
use super::details::Details;
use super::error::RunError;
use super::lazy_notice_router::LazyNoticeRouter;
use super::local::LocalRunner;
use super::moments::MomentSender;
use super::notice_router::NoticeRouter;
use super::orders::{Effects, orders};
use super::run_context::RunContext;
use super::throttled;
use super::timekeeper::{Inbox, Timekeeper, TimekeeperEnd};
use crate::model::{RealTime, RtPolicy, RunId, Schedule, Target, Task, TaskAddress, Timestamp};
use crate::process::error::chain;
use crate::rt::{self, Monotonic, Prepared, Running, ThreadError};
use crate::schedule::{Addresses, Lane, Placed, TaskIndex, Timeline, addresses};
use crate::wire::Tls;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// The thread that makes the calls reports what it found within this, or it does not get a CPU.
const FOUND: Duration = Duration::from_secs(10);
/// The most that a queue between the threads of a run has room for.
const ROOM: usize = 16_384;
/// How long before its start a task is sent to our own runner. Not a round number: periods are, and what is sent ahead
/// would arrive just when an earlier task is to start.
const LEAD: Duration = Duration::from_micros(98_300);

/// How the machine is used for runs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Policy and CPU of the thread that keeps the time. The one that makes the calls has the priority below it.
    pub real_time: RealTime,
    /// Keep the memory of the process from being paged out.
    pub lock_memory: bool,
    /// Bytes of output that a task may give.
    pub output_limit: usize,
    /// Tasks are sent ahead to runners that can take them.
    pub send_ahead: bool,
    /// For task servers whose address begins with `tls://`.
    pub tls: Option<Tls>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            real_time: RealTime { policy: RtPolicy::Other, cpu: None },
            lock_memory: false,
            output_limit: 1 << 20,
            send_ahead: true,
            tls: None,
        }
    }
}

/// An id for a run that says when, and is unique.
pub fn new_id(schedule: &Schedule, now: Timestamp) -> RunId {
    RunId::new(format!("{}-{}-{:08x}", schedule.name, now.strftime("%Y%m%d-%H%M%S"), fastrand::u32(..)))
}

/// A run for which everything is ready: its threads, its connections, its memory. Dropped, it does not take place.
#[must_use = "the run waits until it is conducted"]
pub struct Ready {
    pub(super) id: String,
    pub(super) schedule: Arc<Schedule>,
    pub(super) output_limit: usize,
    pub(super) real_time: RealTime,
    /// `None` when all its task servers are ours.
    pub(super) router: Option<Arc<NoticeRouter>>,
    pub(super) remarks: Vec<String>,
    pub(super) details: Arc<Mutex<Details>>,
    pub(super) inbox: Inbox,
    // Both threads end when they cannot be told to begin any more.
    pub(super) timekeeper: TimekeeperThread,
    pub(super) calls: CallsThread,
    pub(super) local: Option<LocalRunner>,
    pub(super) latency: Option<rt::DmaLatency>,
}

/// The thread that makes the calls, and what it found at the task servers.
pub(super) struct CallsThread {
    pub(super) servers: ServerFindings,
    // Dropped before the thread that waits for it is joined: a run that is refused must not wait for itself.
    pub(super) begin: oneshot::Sender<Arc<RunContext>>,
    pub(super) thread: Running<()>,
}

/// The thread that keeps the time.
pub(super) struct TimekeeperThread {
    // Dropped before the thread that waits for it is joined.
    pub(super) begin: SyncSender<Monotonic>,
    pub(super) thread: Running<TimekeeperEnd>,
}

/// Makes everything ready that a run needs, so that nothing has to be connected, resolved or created at its start. `router`
/// takes end notices, if a task server of the run has no other way to report an end; `moments` gets what happens. Its task servers
/// are where `placed` says. Blocks the
/// calling thread, for seconds when a task server does not answer: call it from one that may wait.
///
/// # Errors
/// When the run cannot take place.
pub fn prepare(
    schedule: &Arc<Schedule>,
    placed: &Placed,
    id: &str,
    settings: &RunSettings,
    router: &LazyNoticeRouter,
    moments: MomentSender,
) -> Result<Ready, RunError> {
    let addresses = addresses(schedule, placed)?;
    let mut remarks = Vec::new();
    if settings.lock_memory
        && let Err(why) = rt::lock_memory()
    {
        remarks.push(format!("memory is not locked: {}", chain(&why)));
    }
    let room = (4 * schedule.tasks.len() + 64).min(ROOM);
    let (orders, effects) = orders(room);
    let local = LocalRunner::start(schedule)?;
    let local_address = local.as_ref().map(|runner| runner.address().clone());
    let mut calls = CallsThread::start(schedule, &addresses, id, settings, local_address, effects, &mut remarks)?;
    // Our own runners report the end of a task to whoever started it.
    let router = if calls.servers.ours.iter().all(Option::is_some) { None } else { Some(router.get()?) };
    remarks.extend(router.iter().flat_map(|router| router.remarks()).cloned());

    let (sender, inputs) = rt::queue(room);
    let (alarm, waker) = rt::alarm();
    let inbox = Inbox { sender, waker };
    let details = Arc::clone(&moments.details);
    let timeline = timeline(schedule, &addresses, settings, &calls.servers);
    let timekeeper = Timekeeper { timeline, schedule: Arc::clone(schedule), alarm, inbox: inputs, orders, moments };
    let (begin, begun) = sync_channel(1);
    let body = move || begun.recv().map(|start| timekeeper.run(start)).unwrap_or_default();
    let thread = prepared("sp-timeline", rt::DEFAULT_STACK, settings.real_time, body, &mut remarks);
    let thread = thread.map_err(RunError::Timekeeper)?;
    remarks.append(&mut calls.servers.not_applied);
    if settings.send_ahead {
        remarks.append(&mut calls.servers.clocks);
    }
    if schedule.strict && !remarks.is_empty() {
        return Err(RunError::Strict(remarks.join("; ")));
    }
    remarks.append(&mut calls.servers.remarks);
    remarks.extend(throttled::ahead(schedule, settings.real_time));
    let latency = low_latency(settings.real_time, &mut remarks);
    Ok(Ready {
        id: id.to_owned(),
        schedule: Arc::clone(schedule),
        output_limit: settings.output_limit,
        real_time: settings.real_time,
        router,
        remarks,
        details,
        inbox,
        timekeeper: TimekeeperThread { begin, thread: thread.start() },
        calls,
        local,
        latency,
    })
}

/// The timeline of a run, with what its task servers can do.
fn timeline(
    schedule: &Arc<Schedule>,
    addresses: &Addresses,
    settings: &RunSettings,
    servers: &ServerFindings,
) -> Timeline {
    let lead = settings.send_ahead.then_some(LEAD);
    Timeline::placed(schedule, addresses, |at: TaskIndex, task: &Task| {
        let kind = if matches!(task.target, Target::Command(_)) { Lane::LOCAL } else { Lane::WRAPPER };
        match servers.ours.get(at.at()).copied().flatten() {
            Some(parallel) => Lane { lead, capacity: kind.capacity.max(parallel) },
            None => kind,
        }
    })
}

/// Keeps the CPUs from deep sleep during a real-time run.
fn low_latency(real_time: RealTime, remarks: &mut Vec<String>) -> Option<rt::DmaLatency> {
    match (real_time.policy != RtPolicy::Other).then(rt::DmaLatency::hold)? {
        Ok(held) => Some(held),
        Err(why) => {
            remarks.push(chain(&why));
            None
        }
    }
}

impl CallsThread {
    /// Starts the thread, and waits for what it finds.
    fn start(
        schedule: &Arc<Schedule>,
        addresses: &Addresses,
        id: &str,
        settings: &RunSettings,
        local_runner: Option<TaskAddress>,
        effects: Effects,
        remarks: &mut Vec<String>,
    ) -> Result<Self, RunError> {
        let (servers, found) = sync_channel(1);
        let (begin, begun) = oneshot::channel();
        let calls = Calls {
            schedule: Arc::clone(schedule),
            run: id.to_owned(),
            addresses: addresses.clone(),
            local_runner,
            effects,
            servers,
            tls: settings.tls.clone(),
            begin: begun,
        };
        let thread = prepared("sp-calls", CALLS_STACK, below(settings.real_time), move || calls.run(), remarks);
        let thread = thread.map_err(RunError::Caller)?.start();
        let (servers, thread) = findings(&found, thread)?;
        Ok(Self { servers, begin, thread })
    }
}

/// What the thread that makes the calls found.
fn findings(
    found: &Receiver<Result<ServerFindings, RunError>>,
    caller: Running<()>,
) -> Result<(ServerFindings, Running<()>), RunError> {
    match found.recv_timeout(FOUND) {
        Ok(servers) => Ok((servers?, caller)),
        Err(RecvTimeoutError::Disconnected) => Err(RunError::Caller(ended(caller))),
        Err(RecvTimeoutError::Timeout) => {
            caller.leave();
            Err(RunError::Caller(ThreadError::Starved { name: "sp-calls".to_owned() }))
        }
    }
}

/// A thread with its settings applied; what was refused goes into the remarks.
fn prepared<T: Send + 'static>(
    name: &str,
    stack: usize,
    real_time: RealTime,
    body: impl FnOnce() -> T + Send + 'static,
    remarks: &mut Vec<String>,
) -> Result<Prepared<T>, ThreadError> {
    let settings = rt::ThreadSettings { name: name.to_owned(), real_time, stack };
    let prepared = Prepared::new(settings, body)?;
    remarks.extend(prepared.applied().refusals().map(|refused| format!("{name}: {}", chain(refused))));
    Ok(prepared)
}
