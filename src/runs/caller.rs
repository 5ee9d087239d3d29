//! Carries out effects: calls task servers, takes their end notices, and tells the timekeeper what came of it.

use super::details::Details;
use super::flights::{Flight, Flights};
use super::parameters::parameters;
use super::timekeeper::Inbox;
use crate::model::{Schedule, Task, TaskAddress};
use crate::process::supervise::chain;
use crate::rt::{Anchor, Monotonic};
use crate::schedule::{Attempt, Effect, End, Input, Seen};
use crate::wire::{
    Ack, Arm, AttemptKey, CallError, Capabilities, EndNotice, Ended, Happened, NotTaken, PreparedStart, Stamp, Start,
    TaskChannel, TaskEvent, TaskResult, TaskState, WatchFrom,
};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Effects that are taken at once, so that several that are due together leave together.
const BATCH: usize = 256;
/// Bound on a question about the state of a task.
const POLL_BOUND: Duration = Duration::from_secs(2);
/// What the answer to a request to stop may take beyond the grace itself.
const STOP_MARGIN: Duration = Duration::from_millis(400);
/// How much later than its instant a task that was sent ahead may begin, unless it has a deadline.
const LATE_LIMIT: Duration = Duration::from_secs(1);
/// An existing task server tells an end before it is ready for the next start; for this long a start that it refuses for
/// being busy is tried again.
const BUSY_BOUND: Duration = Duration::from_millis(500);
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// Pause before a broken stream of events is asked for again.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// A task server of a run.
pub(super) struct Link {
    pub(super) channel: TaskChannel,
    /// What it can do; `None` for one that is not our own runner.
    pub(super) runner: Option<Capabilities>,
}

/// When a run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) start: Monotonic,
    pub(super) anchor: Anchor,
    pub(super) boot_id: &'static str,
}

impl Begin {
    /// A time of the run on both clocks.
    fn stamp(&self, at: Duration) -> Stamp {
        let monotonic = self.start + at;
        let realtime = self.anchor.wall(monotonic).duration_since(crate::model::Timestamp::UNIX_EPOCH);
        Stamp { monotonic: Duration::from_nanos(monotonic.as_nanos()), realtime: realtime.unsigned_abs() }
    }

    /// The time of the run at a stamp of a host with these clocks.
    fn since(&self, stamp: Stamp, same_host: bool) -> Duration {
        if same_host {
            return stamp.monotonic.saturating_sub(Duration::from_nanos(self.start.as_nanos()));
        }
        stamp.realtime.saturating_sub(self.stamp(Duration::ZERO).realtime)
    }
}

/// What the calls and the notices of a run share.
pub(super) struct Shared {
    pub(super) schedule: Arc<Schedule>,
    pub(super) inbox: Inbox,
    pub(super) begin: Begin,
    /// Bytes of output that a task may give.
    pub(super) output_limit: usize,
    pub(super) flights: Mutex<Flights>,
    pub(super) details: Mutex<Details>,
}

impl Shared {
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self, attempt: Attempt) -> Option<&Task> {
        self.schedule.tasks.get(attempt.task.at())
    }

    /// Takes an end notice that names an attempt of this run; `None` when it names none.
    pub(super) fn known(&self, notice: &EndNotice) -> Option<Result<(), NotTaken>> {
        let flight = self.flights().named(notice)?;
        self.notice(flight.attempt, notice);
        Some(Ok(()))
    }

    /// The attempt that a notice under an unknown name must mean, if it is for this run.
    pub(super) fn guess(&self, notice: &EndNotice) -> Option<Attempt> {
        self.flights().guess(notice).map(|flight| flight.attempt)
    }

    /// Takes an end notice under an unknown name.
    pub(super) fn guessed(&self, notice: &EndNotice) -> Option<()> {
        let attempt = {
            let mut flights = self.flights();
            let flight = flights.guess(notice)?;
            flights.learn(&notice.task_id, &flight);
            flight.attempt
        };
        self.notice(attempt, notice);
        Some(())
    }

    fn notice(&self, attempt: Attempt, notice: &EndNotice) {
        let mut end = end(notice.result);
        let output = self.task(attempt).map(|task| notice.output(task.protocol, self.output_limit));
        let mut details = self.details();
        details.message(attempt, &notice.error_message);
        match output {
            Some(Ok(Some(output))) => details.output(attempt, output),
            Some(Err(fault)) => {
                details.message(attempt, &format!("its output cannot be used: {}", chain(&fault)));
                end = End::Failure;
            }
            Some(Ok(None)) | None => {}
        }
        drop(details);
        self.over(attempt, Input::Ended(attempt, end));
    }

    /// Tells that an attempt is over.
    fn over(&self, attempt: Attempt, input: Input) {
        self.flights().remove(attempt);
        self.inbox.tell(input);
    }

    /// Takes an event of our own runner.
    fn event(&self, link: &Link, event: &TaskEvent) {
        let same_host = link.runner.as_ref().is_some_and(|runner| runner.boot_id == self.begin.boot_id);
        let key = &event.key;
        let Some(task) = self.schedule.tasks.iter().position(|task| task.id == key.task_id) else { return };
        if key.run_id != self.flights().run() {
            return;
        }
        let attempt =
            Attempt { task: crate::schedule::TaskIndex(task as u32), occurrence: key.occurrence, number: key.attempt };
        match &event.what {
            Happened::Started { start } => {
                self.details().of(attempt).true_start = Some(self.begin.since(*start, same_host));
                self.inbox.tell(Input::Started(attempt));
            }
            Happened::Ended(ended) => self.ended(attempt, ended, same_host),
            Happened::Missed { late } => {
                self.details().message(attempt, &format!("it was {} ms late and was not begun", late.as_millis()));
                self.over(attempt, Input::Refused(attempt));
            }
        }
    }

    fn ended(&self, attempt: Attempt, ended: &Ended, same_host: bool) {
        let mut end = end(ended.result);
        let mut details = self.details();
        details.message(attempt, &ended.error_message);
        if !ended.output_json.is_empty() {
            match serde_json::from_str(&ended.output_json) {
                Ok(output) => details.output(attempt, output),
                Err(error) => {
                    details.message(attempt, &format!("its output is not JSON: {error}"));
                    end = End::Failure;
                }
            }
        }
        let detail = details.of(attempt);
        detail.true_start = Some(self.begin.since(ended.start, same_host));
        detail.true_end = Some(self.begin.since(ended.end, same_host));
        detail.cpu = Some(ended.cpu_user + ended.cpu_system);
        detail.memory_peak = Some(ended.memory_peak);
        drop(details);
        self.over(attempt, Input::Ended(attempt, end));
    }

    /// A call failed: what that means for the start, and why.
    fn start_failed(&self, attempt: Attempt, error: &CallError) {
        self.details().message(attempt, &chain(error));
        match error {
            CallError::UnknownOutcome { .. } => self.inbox.tell(Input::Unclear(attempt)),
            _ => self.over(attempt, Input::Refused(attempt)),
        }
    }
}

fn end(result: TaskResult) -> End {
    match result {
        // Existing task servers turn «unknown» into success themselves.
        TaskResult::Success | TaskResult::Unknown => End::Success,
        TaskResult::Failure => End::Failure,
        TaskResult::Timeout => End::Timeout,
        TaskResult::Cancelled => End::Cancelled,
    }
}

/// Carries out the effects of one run.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) links: Vec<Arc<Link>>,
    /// The task server of each task.
    pub(super) link_of: Vec<usize>,
    /// Starts whose bytes are ready.
    pub(super) prepared: BTreeMap<u32, (Attempt, PreparedStart)>,
}

type Call = LocalBoxFuture<'static, Attempt>;

impl Caller {
    /// Makes everything ready that can be before the first instant.
    pub(super) fn prepare(&mut self) {
        for task in 0..self.shared.schedule.tasks.len() {
            let attempt = Attempt { task: crate::schedule::TaskIndex(task as u32), occurrence: 0, number: 1 };
            self.prepare_one(attempt);
        }
    }

    /// Encodes a start ahead of its instant, unless it needs what is not known yet.
    fn prepare_one(&mut self, attempt: Attempt) {
        let Some(task) = self.shared.task(attempt) else { return };
        let later = task.needs.iter().any(|need| !need.implied);
        if !later && attempt.occurrence < task.release.occurrences() {
            let start = PreparedStart::new(&self.start_of(task, attempt), task.protocol);
            self.prepared.insert(attempt.task.0, (attempt, start));
        }
    }

    fn start_of(&self, task: &Task, attempt: Attempt) -> Start {
        let details = self.shared.details();
        let output = |id: &crate::model::TaskId| {
            let at = self.shared.schedule.tasks.iter().position(|task| task.id == *id)?;
            details.outputs.get(&(at as u32))
        };
        Start {
            key: AttemptKey {
                run_id: self.shared.flights().run().to_owned(),
                task_id: task.id.clone(),
                occurrence: attempt.occurrence,
                attempt: attempt.number,
            },
            scheduled: task.release.due(attempt.occurrence).unwrap_or_default(),
            deadline: task.deadline.map(|deadline| deadline.after),
            priority: task.priority,
            real_time: task.real_time,
            parameters: parameters(task, output),
        }
    }

    /// Carries out effects until there are no more, then lets the calls under way go.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Effect>) {
        let mut calls: FuturesUnordered<Call> = FuturesUnordered::new();
        let watched = self.links.iter().filter(|link| link.runner.is_some());
        let mut watches: FuturesUnordered<_> =
            watched.map(|link| watch(Arc::clone(&self.shared), Arc::clone(link))).collect();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // Orders first: what is due leaves before answers are looked at. Every arm may be dropped while it waits.
                biased;
                taken = orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    for effect in batch.drain(..) {
                        calls.extend(self.call(effect));
                    }
                }
                Some(attempt) = calls.next(), if !calls.is_empty() => {
                    if !self.prepared.contains_key(&attempt.task.0) {
                        self.prepare_one(Attempt { occurrence: attempt.occurrence + 1, number: 1, ..attempt });
                    }
                }
                Some(()) = watches.next(), if !watches.is_empty() => {}
            }
        }
    }

    /// The call that an effect asks for.
    fn call(&mut self, effect: Effect) -> Option<Call> {
        match effect {
            Effect::Start { attempt, .. } => self.start(attempt),
            Effect::Arm { attempt, at } => self.arm(attempt, at),
            Effect::Poll(attempt) => self.poll(attempt),
            Effect::Stop { attempt, grace } => self.stop(attempt, grace),
            Effect::Kill(attempt) => self.stop(attempt, Duration::ZERO),
            Effect::Settled { .. } | Effect::Ended(_) => None,
        }
    }

    fn link(&self, attempt: Attempt) -> Option<(usize, Arc<Link>)> {
        let at = *self.link_of.get(attempt.task.at())?;
        Some((at, Arc::clone(self.links.get(at)?)))
    }

    fn flies(&self, attempt: Attempt, task: &Task, link: usize) {
        self.shared.flights().add(Flight { attempt, task: task.id.clone(), link, alias: None });
    }

    fn start(&mut self, attempt: Attempt) -> Option<Call> {
        let (at, link) = self.link(attempt)?;
        let shared = Arc::clone(&self.shared);
        let task = shared.task(attempt)?;
        let ready = self.prepared.remove(&attempt.task.0).filter(|(prepared, _)| *prepared == attempt);
        let start = match ready {
            Some((_, start)) => start,
            None => PreparedStart::new(&self.start_of(task, attempt), task.protocol),
        };
        self.flies(attempt, task, at);
        let bound = task.start_timeout;
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            match begin(&link, &start, bound).await {
                Ok(ack) => {
                    shared.flights().alias(attempt, &ack.task_id);
                    shared.inbox.tell(Input::Started(attempt));
                }
                Err(error) => shared.start_failed(attempt, &error),
            }
            attempt
        }))
    }

    fn arm(&mut self, attempt: Attempt, at: Duration) -> Option<Call> {
        let (place, link) = self.link(attempt)?;
        let shared = Arc::clone(&self.shared);
        let task = shared.task(attempt)?;
        let arm = Arm {
            start: self.start_of(task, attempt),
            release: shared.begin.stamp(at),
            boot_id: shared.begin.boot_id.to_owned(),
            late_limit: task.deadline.map_or(LATE_LIMIT, |deadline| deadline.after),
        };
        self.flies(attempt, task, place);
        let (bound, protocol) = (task.start_timeout, task.protocol);
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // That it has begun is told by the runner's events.
            if let Err(error) = link.channel.arm(&arm, protocol, bound).await {
                shared.start_failed(attempt, &error);
            }
            attempt
        }))
    }

    fn poll(&mut self, attempt: Attempt) -> Option<Call> {
        let (_, link) = self.link(attempt)?;
        let shared = Arc::clone(&self.shared);
        let id = shared.task(attempt)?.id.clone();
        Some(Box::pin(async move {
            let seen = match link.channel.status(&id, POLL_BOUND).await {
                Ok(status) => match status.state {
                    TaskState::Starting | TaskState::Running => Seen::Running,
                    _ => Seen::NotRunning,
                },
                Err(_) => Seen::Unreachable,
            };
            shared.inbox.tell(Input::Seen(attempt, seen));
            attempt
        }))
    }

    fn stop(&mut self, attempt: Attempt, grace: Duration) -> Option<Call> {
        let (_, link) = self.link(attempt)?;
        let shared = Arc::clone(&self.shared);
        let id = shared.task(attempt)?.id.clone();
        Some(Box::pin(async move {
            match link.channel.stop(&id, grace, grace.saturating_add(STOP_MARGIN)).await {
                // Refused: it says that nothing of that name runs there.
                Ok(_) | Err(CallError::Refused { .. }) => shared.over(attempt, Input::Stopped(attempt)),
                // The timeline has a bound for what comes next.
                Err(error) => shared.details().message(attempt, &chain(&error)),
            }
            attempt
        }))
    }
}

/// Starts a task.
async fn begin(link: &Link, start: &PreparedStart, bound: Duration) -> Result<Ack, CallError> {
    let patience = tokio::time::Instant::now() + BUSY_BOUND.min(bound);
    loop {
        match link.channel.start(start, bound).await {
            Err(CallError::Refused { message, .. })
                if link.runner.is_none() && message.contains("IDLE") && tokio::time::Instant::now() < patience =>
            {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Follows the events of our own runner, for as long as the run goes on.
async fn watch(shared: Arc<Shared>, link: Arc<Link>) {
    let mut from = WatchFrom::default();
    loop {
        if let Ok(mut events) = link.channel.watch(&from, POLL_BOUND).await {
            while let Ok(Some(event)) = events.next().await {
                shared.event(&link, &event);
                from = WatchFrom { instance: event.instance, after: event.sequence };
            }
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

/// The distinct task servers of a schedule, and which is whose. Programs run at `local`.
pub(super) fn addresses(schedule: &Schedule, local: Option<&TaskAddress>) -> (Vec<TaskAddress>, Vec<usize>) {
    let mut list: Vec<TaskAddress> = Vec::new();
    let mut index: BTreeMap<TaskAddress, usize> = BTreeMap::new();
    let of = schedule.tasks.iter().map(|task| {
        let Some(address) = task.target.address().or(local) else { return usize::MAX };
        *index.entry(address.clone()).or_insert_with(|| {
            list.push(address.clone());
            list.len() - 1
        })
    });
    let of = of.collect();
    (list, of)
}
