//! Carries out effects: calls task servers, takes their end notices, and tells the timekeeper what came of it.

use super::flights::Flight;
use super::orders::Effects;
use super::parameters::parameters;
use super::shared::{Kind, Link, Shared};
use crate::model::{Schedule, Task, TaskAddress, TaskId};
use crate::process::supervise::chain;
use crate::schedule::{Attempt, Effect, Input, Seen, TaskIndex};
use crate::wire::{Ack, Arm, AttemptKey, CallError, Disarmed, PreparedStart, Start, TaskState, WatchFrom};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Effects that are taken at once, so that several that are due together leave together.
const BATCH: usize = 256;
/// Bound on a question about the state of a task.
const POLL_BOUND: Duration = Duration::from_secs(2);
/// What the answer to a request to stop may take beyond the grace itself.
const STOP_MARGIN: Duration = Duration::from_millis(400);
/// How much later than its instant a task that was sent ahead may begin, unless it has a deadline.
const LATE_LIMIT: Duration = Duration::from_secs(1);
/// Bound on the answer to a request to take a task back.
const DISARM_BOUND: Duration = Duration::from_secs(2);
/// A task server may be busy with what this run does not know: an existing one tells an end before it is ready for the next
/// start, and other runs use it too. A start that it refuses for that is tried again after this, for as long as a start may
/// take; later on after the longer pause.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
const BUSY_PAUSE_LATER: Duration = Duration::from_millis(20);
/// From here on it is another run.
const BUSY_LATER: Duration = Duration::from_millis(500);
/// Bound on the calls that are under way at the end of a run.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// Pause before a broken stream of events is asked for again.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// Carries out the effects of one run.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) links: Vec<Arc<Link>>,
    /// The task server of each task.
    pub(super) link_of: Vec<usize>,
    /// Starts whose bytes are ready.
    pub(super) prepared: BTreeMap<u32, (Attempt, PreparedStart)>,
}

/// The starts of a run that are known before it begins, ready to be sent.
pub(super) fn first_starts(schedule: &Schedule, run: &str) -> BTreeMap<u32, (Attempt, PreparedStart)> {
    let tasks = (0u32..).zip(&schedule.tasks).filter(|(_, task)| is_known_ahead(task));
    let starts = tasks.map(|(at, task)| {
        let attempt = Attempt { task: TaskIndex(at), occurrence: 0, number: 1 };
        let start = start_of(schedule, run, attempt, task, |_| None);
        (at, (attempt, PreparedStart::new(&start, task.protocol)))
    });
    starts.collect()
}

/// Whether what a task is given does not depend on how another one ends.
fn is_known_ahead(task: &Task) -> bool {
    task.needs.iter().all(|need| need.implied)
}

fn key_of(run: &str, task: &Task, attempt: Attempt) -> AttemptKey {
    AttemptKey {
        run_id: run.to_owned(),
        task_id: task.id.clone(),
        occurrence: attempt.occurrence,
        attempt: attempt.number,
    }
}

fn start_of<'o>(
    schedule: &Schedule,
    run: &str,
    attempt: Attempt,
    task: &Task,
    output: impl Fn(&TaskId) -> Option<&'o Value>,
) -> Start {
    Start {
        key: key_of(run, task, attempt),
        scheduled: task.release.due(attempt.occurrence).unwrap_or_default(),
        deadline: task.deadline.map(|deadline| deadline.after),
        priority: task.priority,
        real_time: task.real_time,
        strict: schedule.strict,
        parameters: parameters(task, output),
    }
}

type Call = LocalBoxFuture<'static, Attempt>;

impl Caller {
    /// Encodes a start ahead of its instant, unless it needs what is not known yet.
    fn prepare_one(&mut self, attempt: Attempt) {
        let Some(task) = self.shared.task(attempt) else { return };
        if is_known_ahead(task) && attempt.occurrence < task.release.occurrences() {
            let start = PreparedStart::new(&self.start_of(task, attempt), task.protocol);
            self.prepared.insert(attempt.task.0, (attempt, start));
        }
    }

    fn key(&self, task: &Task, attempt: Attempt) -> AttemptKey {
        key_of(self.shared.flights().run(), task, attempt)
    }

    fn start_of(&self, task: &Task, attempt: Attempt) -> Start {
        let details = self.shared.details();
        let output = |id: &TaskId| {
            let at = self.shared.schedule.tasks.iter().position(|task| task.id == *id)?;
            details.outputs.get(&(at as u32))
        };
        start_of(&self.shared.schedule, self.shared.flights().run(), attempt, task, output)
    }

    /// Carries out effects until there are no more, then lets the calls under way go.
    pub(super) async fn run(mut self, mut orders: Effects) {
        let mut calls: FuturesUnordered<Call> = FuturesUnordered::new();
        let watched = self.links.iter().filter(|link| !matches!(link.kind, Kind::Existing));
        let mut watches: FuturesUnordered<_> =
            watched.map(|link| watch(Arc::clone(&self.shared), Arc::clone(link))).collect();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // Orders first: what is due leaves before answers are looked at. Every arm may be dropped while it waits.
                biased;
                taken = orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        // The last of them may be the force that ends a task which was given up.
                        let rest = async { while calls.next().await.is_some() {} };
                        let _ = tokio::time::timeout(LAST_CALLS, rest).await;
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
            Effect::Disarm(attempt) => self.disarm(attempt),
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

    fn flies(&self, attempt: Attempt, task: &Task, link: usize) -> CancellationToken {
        let withdrawn = CancellationToken::new();
        let flight =
            Flight { attempt, task: task.id.clone(), link, alias: None, refused: false, withdrawn: withdrawn.clone() };
        self.shared.flights().add(flight);
        withdrawn
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
        let withdrawn = self.flies(attempt, task, at);
        let bound = task.start_timeout;
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // A start that is still on its way when the task is stopped must not arrive later. Dropped, it is not sent, or
            // it was sent and the request to stop follows it.
            let begun = tokio::select! {
                biased;
                () = withdrawn.cancelled() => return attempt,
                begun = begin(&shared, &link, attempt, &start, bound) => begun,
            };
            match begun {
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
        let withdrawn = self.flies(attempt, task, place);
        let (bound, protocol) = (task.start_timeout, task.protocol);
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // That it has begun is told by the runner's events.
            let armed = tokio::select! {
                biased;
                () = withdrawn.cancelled() => return attempt,
                armed = link.channel.arm(&arm, protocol, bound) => armed,
            };
            if let Err(error) = armed {
                shared.start_failed(attempt, &error);
            }
            attempt
        }))
    }

    fn disarm(&mut self, attempt: Attempt) -> Option<Call> {
        let (_, link) = self.link(attempt)?;
        let shared = Arc::clone(&self.shared);
        let key = self.key(shared.task(attempt)?, attempt);
        Some(Box::pin(async move {
            match link.channel.disarm(&key, DISARM_BOUND).await {
                Ok(Disarmed::Disarmed | Disarmed::NotArmed) => shared.over(attempt, Input::Disarmed(attempt)),
                // That it has begun is told by the runner's events.
                Ok(Disarmed::Started) => {}
                // The timeline has a bound for what comes next.
                Err(error) => shared.details().message(attempt, &chain(&error)),
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
        self.shared.flights().withdraw(attempt);
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
async fn begin(
    shared: &Shared,
    link: &Link,
    attempt: Attempt,
    start: &PreparedStart,
    bound: Duration,
) -> Result<Ack, CallError> {
    let since = tokio::time::Instant::now();
    loop {
        match link.channel.start(start, bound).await {
            Err(CallError::Refused { message, .. }) if message.contains("IDLE") && since.elapsed() < bound => {
                shared.flights().refused(attempt, true);
                let pause = if since.elapsed() < BUSY_LATER { BUSY_PAUSE } else { BUSY_PAUSE_LATER };
                tokio::time::sleep(pause.min(bound.saturating_sub(since.elapsed()))).await;
                shared.flights().refused(attempt, false);
            }
            answer => return answer,
        }
    }
}

/// Follows the events of our own runner, for as long as the run goes on.
async fn watch(shared: Arc<Shared>, link: Arc<Link>) {
    let mut from = WatchFrom::default();
    loop {
        match link.channel.watch(&from, POLL_BOUND).await {
            Ok(mut events) => {
                while let Ok(Some(event)) = events.next().await {
                    shared.event(&link, &event);
                    from = WatchFrom { instance: event.instance, after: event.sequence };
                }
            }
            // Not ours after all.
            Err(CallError::Unsupported { .. }) => return,
            Err(_) => {}
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
