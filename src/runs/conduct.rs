//! One run from its preparations to its end.

use super::begin::Begin;
use super::calls::{Calls, Servers};
use super::calls_thread::{CALLS_STACK, below, ended};
use super::details::Details;
use super::error::RunError;
use super::exchange::Exchange;
use super::exchanges::Exchanges;
use super::flights::Flights;
use super::hand::Hand;
use super::local::LocalRunner;
use super::moments::Onlooker;
use super::orders::orders;
use super::shared::Shared;
use super::throttled;
use super::timekeeper::{Inbox, Kept, Timekeeper};
use super::wishes::remark;
use crate::model::{RealTime, RtPolicy, Schedule, Target, Task, Timestamp};
use crate::process::supervise::chain;
use crate::process::{boot, clock};
use crate::rt::{self, Anchor, Monotonic, Prepared, Running, ThreadError};
use crate::schedule::{Lane, Placed, RunVerdict, TaskIndex, Timeline, addresses};
use crate::wire::Tls;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// From the last word to a run that is late to its start, so that its threads see it coming.
const HEAD_START: Duration = Duration::from_millis(5);
/// The thread that makes the calls says what it found within this, or it does not get a CPU.
const FOUND: Duration = Duration::from_secs(10);
/// The most that a queue between the threads of a run has room for.
const ROOM: usize = 16_384;
/// How long before its instant a task is sent to our own runner. Not a round number: periods are, and what is sent ahead
/// would arrive just when an earlier task is to begin.
const LEAD: Duration = Duration::from_micros(98_300);

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
    /// For task servers whose address begins with `tls://`.
    pub tls: Option<Tls>,
}

impl Default for Settings {
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

/// A run that was conducted.
#[derive(Clone, Debug)]
pub struct Conducted {
    /// Its own id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// How it ended, and when, after its start; `None` when it broke off. What happened in it, who looks on has.
    pub ended: Option<(Duration, RunVerdict)>,
    /// What was asked of the machine and not had, and which task servers could not be reached at the beginning.
    pub remarks: Vec<String>,
}

/// An id for a run that says when, and is unique.
pub fn new_id(schedule: &Schedule, now: Timestamp) -> String {
    format!("{}-{}-{:08x}", schedule.name, now.strftime("%Y%m%d-%H%M%S"), fastrand::u32(..))
}

/// A run for which everything is ready: its threads, its connections, its memory. Dropped, it does not take place.
#[must_use = "the run waits until it is conducted"]
pub struct Ready {
    id: String,
    schedule: Arc<Schedule>,
    output_limit: usize,
    real_time: RealTime,
    /// `None` when all its task servers are ours.
    exchange: Option<Arc<Exchange>>,
    hosts: Vec<Option<IpAddr>>,
    remarks: Vec<String>,
    details: Arc<Mutex<Details>>,
    inbox: Inbox,
    // Dropped in this order: the threads end when nobody can tell them to begin any more, and are joined after that.
    begin_calls: oneshot::Sender<Arc<Shared>>,
    begin_time: SyncSender<Monotonic>,
    keeper: Running<Kept>,
    caller: Running<()>,
    local: Option<LocalRunner>,
    latency: Option<rt::DmaLatency>,
}

/// Makes everything ready that a run needs, so that nothing is connected, resolved or made when its time comes. Its task servers
/// are where `placed` says. `exchanges`
/// takes end notices, if a task server of the run has no other way to say an end; `onlooker` gets what happens. Blocks the calling thread, for seconds when a task server does not answer: call it from one that may wait.
///
/// # Errors
/// When the run cannot take place.
pub fn prepare(
    schedule: &Arc<Schedule>,
    placed: &Placed,
    id: &str,
    settings: &Settings,
    exchanges: &Exchanges,
    onlooker: Onlooker,
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
    let (sender, told) = rt::queue(room);
    let (alarm, waker) = rt::alarm();
    let inbox = Inbox { sender, waker };
    let (servers_tx, servers_rx) = sync_channel(1);
    let (begin_calls, begin_rx) = oneshot::channel();

    let local = LocalRunner::start(schedule)?;
    let calls = Calls {
        schedule: Arc::clone(schedule),
        run: id.to_owned(),
        addresses: addresses.clone(),
        local_runner: local.as_ref().map(|runner| runner.address().clone()),
        effects,
        servers: servers_tx,
        tls: settings.tls.clone(),
        begin: begin_rx,
    };
    let caller = prepared("sp-calls", CALLS_STACK, below(settings.real_time), move || calls.run(), &mut remarks);
    let caller = caller.map_err(RunError::Caller)?.start();
    let (servers, caller) = found(&servers_rx, caller)?;
    // What is declared last is dropped first: this one before the thread that waits for it is joined. A run that is refused must
    // not wait for itself.
    let begin_calls = begin_calls;
    // Our own runners tell the end of a task to whoever started it.
    let exchange = match servers.ours.iter().all(Option::is_some) {
        true => None,
        false => Some(exchanges.get()?),
    };
    remarks.extend(exchange.iter().flat_map(|exchange| exchange.remarks()).cloned());

    let lead = settings.send_ahead.then_some(LEAD);
    let lane = |at: TaskIndex, task: &Task| {
        let kind = if matches!(task.target, Target::Command(_)) { Lane::LOCAL } else { Lane::WRAPPER };
        match servers.ours.get(at.at()).copied().flatten() {
            Some(parallel) => Lane { lead, capacity: kind.capacity.max(parallel) },
            None => kind,
        }
    };
    let timeline = Timeline::placed(schedule, &addresses, lane);
    let (begin_time, begin_rx) = sync_channel(1);
    let details = Arc::clone(&onlooker.details);
    let keeper = Timekeeper { timeline, schedule: Arc::clone(schedule), alarm, inbox: told, orders, onlooker };
    let body = move || begin_rx.recv().map(|start| keeper.run(start)).unwrap_or_default();
    let keeper = prepared("sp-timeline", rt::DEFAULT_STACK, settings.real_time, body, &mut remarks)
        .map_err(RunError::Timekeeper)?;
    remarks.extend(servers.not_applied);
    if settings.send_ahead {
        remarks.extend(servers.clocks);
    }
    if schedule.strict && !remarks.is_empty() {
        return Err(RunError::Strict(remarks.join("; ")));
    }
    remarks.extend(servers.remarks);
    remarks.extend(throttled::ahead(schedule, settings.real_time));
    let latency = match (settings.real_time.policy != RtPolicy::Other).then(rt::DmaLatency::hold) {
        Some(Ok(held)) => Some(held),
        Some(Err(why)) => {
            remarks.push(chain(&why));
            None
        }
        None => None,
    };
    Ok(Ready {
        id: id.to_owned(),
        schedule: Arc::clone(schedule),
        output_limit: settings.output_limit,
        real_time: settings.real_time,
        exchange,
        hosts: servers.hosts,
        remarks,
        details,
        inbox,
        begin_calls,
        begin_time,
        keeper: keeper.start(),
        caller,
        local,
        latency,
    })
}

/// What the thread that makes the calls found.
fn found(
    servers: &Receiver<Result<Servers, RunError>>,
    caller: Running<()>,
) -> Result<(Servers, Running<()>), RunError> {
    match servers.recv_timeout(FOUND) {
        Ok(servers) => Ok((servers?, caller)),
        Err(RecvTimeoutError::Disconnected) => Err(RunError::Caller(ended(caller))),
        Err(RecvTimeoutError::Timeout) => {
            caller.leave();
            Err(RunError::Caller(ThreadError::Starved { name: "sp-calls".to_owned() }))
        }
    }
}

/// What tasks did without, each thing once.
fn remarks_of(shared: &Shared, remarks: &mut Vec<String>) {
    for (task, text) in shared.details().remarks() {
        let Some(task) = shared.schedule.tasks.get(task.at()) else { continue };
        let remark = remark(&task.id, &text);
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}

/// Both clocks, read as one. The monotonic one is read before the other and after it: were this thread to stand still in
/// between, the run would begin by that much too early or too late.
fn anchor() -> Anchor {
    /// Two readings that are no further apart are good.
    const CLOSE: Duration = Duration::from_micros(50);
    const TRIES: usize = 20;
    let read = || (Monotonic::now(), clock::now(), Monotonic::now());
    closest((0..TRIES).map(|_| read()), CLOSE).unwrap_or_else(|| {
        let (monotonic, wall, _) = read();
        Anchor { wall, monotonic }
    })
}

/// The first reading whose ends are close to each other, else the one whose ends are closest.
fn closest(readings: impl Iterator<Item = (Monotonic, Timestamp, Monotonic)>, close: Duration) -> Option<Anchor> {
    let mut best: Option<(Duration, Anchor)> = None;
    for (before, wall, after) in readings {
        let apart = after.since(before);
        if best.as_ref().is_none_or(|(least, _)| apart < *least) {
            best = Some((apart, Anchor { wall, monotonic: before + apart / 2 }));
        }
        if apart <= close {
            break;
        }
    }
    best.map(|(_, anchor)| anchor)
}

/// The start of a run on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Planned(Begin);

impl Planned {
    /// At this instant of the wall clock, or as soon as possible when that has passed.
    pub fn at(instant: Timestamp) -> Self {
        let anchor = anchor();
        let ahead = instant.duration_since(anchor.wall);
        let ahead = if ahead.is_negative() { Duration::ZERO } else { ahead.unsigned_abs() };
        Self(Begin { start: anchor.monotonic + ahead.max(HEAD_START), anchor, boot_id: boot::id() })
    }

    /// By the wall clock.
    pub fn wall(&self) -> Timestamp {
        self.0.anchor.wall(self.0.start)
    }
}

impl Ready {
    /// Conducts the run; returns when it is over. Blocks the calling thread.
    ///
    /// # Errors
    /// When one of its threads broke off. What fails within the run is in its record.
    pub fn conduct(self, planned: Planned, hand: &Hand) -> Result<Conducted, RunError> {
        let Planned(begin) = planned;
        hand.hold(&self.inbox);
        let flights = Flights::new(self.id.clone(), self.hosts);
        let shared = Arc::new(Shared {
            schedule: self.schedule,
            inbox: self.inbox,
            begin,
            output_limit: self.output_limit,
            flights: Mutex::new(flights),
            details: self.details,
        });
        let seat = self.exchange.as_ref().map(|exchange| exchange.seat(Arc::clone(&shared)));
        // Whoever is gone is found when it is joined.
        let _ = self.begin_calls.send(Arc::clone(&shared));
        let _ = self.begin_time.send(begin.start);
        let kept = self.keeper.join().map_err(RunError::Timekeeper);
        hand.let_go();
        self.caller.join().map_err(RunError::Caller)?;
        drop((seat, self.local, self.latency));
        let Kept { ended, waited } = kept?;
        let mut remarks = self.remarks;
        remarks_of(&shared, &mut remarks);
        remarks.extend(waited.and_then(|waited| throttled::after(self.real_time, waited)));
        Ok(Conducted { id: self.id, started: planned.wall(), ended, remarks })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stood_still_between_two_clocks_does_not_shift_the_run() {
        let at = |micros: u64| Monotonic::from_nanos(micros * 1_000);
        let wall = |second| Timestamp::from_second(second).unwrap();
        let readings = [(at(0), wall(1), at(90_000)), (at(90_010), wall(2), at(90_014)), (at(1), wall(3), at(1))];
        let anchor = closest(readings.into_iter(), Duration::from_micros(50)).unwrap();
        assert_eq!((anchor.wall, anchor.monotonic), (wall(2), at(90_012)), "the first that is close");
        let all_slow = [(at(0), wall(1), at(900)), (at(1_000), wall(2), at(1_400))];
        let anchor = closest(all_slow.into_iter(), Duration::from_micros(50)).unwrap();
        assert_eq!(anchor.wall, wall(2), "the closest of them");
    }
}
