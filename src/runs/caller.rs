//! Carries out effects: calls task servers, watches their events, and sends the results to the timekeeper.

use super::calls_in_flight::{CallInFlight, StartProgress};
use super::orders::Effects;
use super::run_context::RunContext;
use super::starting::send_start;
use super::starts::{Given, LARGE, is_known_ahead, key_of, start_of, written};
use super::stopping::{DISARM_BOUND, stop};
use super::task_server::{ServerKind, TaskServer};
use crate::model::{Schedule, Task, TaskAddress};
use crate::process::error::chain;
use crate::rt::Monotonic;
use crate::schedule::{Addresses, Attempt, Effect, Input, Seen, TaskIndex};
use crate::wire::{
    Arm, AttemptKey, CallError, Disarmed, Happened, PreparedStart, Start, TaskEvent, TaskState, WatchFrom,
};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Effects that are taken together, so that those which are due together are sent together.
const BATCH: usize = 256;
/// Bound on a call for the state of a task.
const POLL_BOUND: Duration = Duration::from_secs(2);
/// How much later than its instant a task that was sent ahead may begin, unless it has a deadline.
const LATE_LIMIT: Duration = Duration::from_secs(1);
/// Bound on the calls that are in progress at the end of a run.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// Pause before a broken stream of events is asked for again.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// Carries out the effects of one run.
pub(super) struct Caller {
    pub(super) shared: Arc<RunContext>,
    pub(super) task_servers: Vec<Arc<TaskServer>>,
    /// The task server of each task.
    pub(super) server_of: Vec<usize>,
    /// Starts whose bytes are ready.
    pub(super) prepared: BTreeMap<u32, (Attempt, PreparedStart)>,
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
        key_of(self.shared.calls().run(), task, attempt)
    }

    fn start_of(&self, task: &Task, attempt: Attempt) -> Start {
        let given = self.given(task);
        start_of(&self.shared.schedule, self.shared.calls().run(), attempt, task, |id| given.get(id))
    }

    /// The outputs that a task is given.
    fn given(&self, task: &Task) -> Given {
        let details = self.shared.details();
        let outputs = task.needs.iter().filter_map(|need| {
            let at = self.shared.schedule.tasks.iter().position(|task| task.id == need.task)?;
            let (output, bytes) = details.outputs.get(&(at as u32))?;
            Some((need.task.clone(), (Arc::clone(output), *bytes)))
        });
        Given(outputs.collect())
    }

    /// Carries out effects until there are no more, then waits for the calls in progress.
    pub(super) async fn run(mut self, mut orders: Effects) {
        let mut calls: FuturesUnordered<Call> = FuturesUnordered::new();
        let watched = self.task_servers.iter().filter(|server| !matches!(server.kind, ServerKind::Existing));
        let mut watches: FuturesUnordered<_> =
            watched.map(|server| watch(Arc::clone(&self.shared), Arc::clone(server))).collect();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // Orders first: what is due is sent before answers are read. Every arm may be dropped while it waits.
                biased;
                taken = orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        // The last of them may be the forced end of a task that was given up.
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

    fn server(&self, attempt: Attempt) -> Option<(usize, Arc<TaskServer>)> {
        let at = *self.server_of.get(attempt.task.at())?;
        Some((at, Arc::clone(self.task_servers.get(at)?)))
    }

    fn register(&self, attempt: Attempt, task: &Task, server: usize) -> CallInFlight {
        let ours = self.task_servers.get(server).is_some_and(|server| server.is_ours());
        let call = CallInFlight::new(attempt, task.id.clone(), server, ours, Monotonic::now());
        self.shared.calls().add(call.clone());
        call
    }

    fn start(&mut self, attempt: Attempt) -> Option<Call> {
        let (at, server) = self.server(attempt)?;
        let shared = Arc::clone(&self.shared);
        let task = shared.task(attempt)?;
        let ready = self.prepared.remove(&attempt.task.0).filter(|(prepared, _)| *prepared == attempt);
        let given = self.given(task);
        let start = match ready {
            Some((_, start)) => Ok(start),
            None if given.is_large() => Err(given),
            None => Ok(PreparedStart::new(&self.start_of(task, attempt), task.protocol)),
        };
        let call = self.register(attempt, task, at);
        let bound = task.start_timeout;
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // A start that is still on its way when the task is given up must not arrive later.
            let begun = async {
                let start = match start {
                    Ok(start) => start,
                    Err(given) => written(Arc::clone(&shared), attempt, given).await?,
                };
                Some(send_start(&server, &call, &start, bound).await)
            };
            let begun = tokio::select! {
                biased;
                () = call.withdrawn.cancelled() => return attempt,
                begun = begun => begun,
            };
            // The run ends.
            let Some(begun) = begun else { return attempt };
            match begun {
                Ok(ack) => {
                    let early = shared.calls().acknowledged(attempt, &ack.task_id, ack.started);
                    shared.inbox.send(Input::Started(attempt));
                    if let Some((call, notice)) = early {
                        shared.notice(&call, &notice);
                    }
                }
                Err(error) => {
                    let is_unclear = matches!(error, CallError::UnknownOutcome { .. });
                    // Not within `match`: the lock would be held in its arms, which take it again.
                    let ended = shared.calls().acknowledged(attempt, "", None).filter(|_| is_unclear);
                    match ended {
                        // It was started, as its end shows.
                        Some((call, notice)) => shared.notice(&call, &notice),
                        None => shared.start_failed(attempt, &error),
                    }
                }
            }
            attempt
        }))
    }

    fn arm(&mut self, attempt: Attempt, at: Duration) -> Option<Call> {
        let (place, server) = self.server(attempt)?;
        let shared = Arc::clone(&self.shared);
        let task = shared.task(attempt)?;
        if self.given(task).is_large() {
            // It starts at its instant like any other.
            shared.over(attempt, Input::Refused(attempt));
            return None;
        }
        let start = self.start_of(task, attempt);
        let late_limit = task.deadline.map_or(LATE_LIMIT, |deadline| deadline.after);
        let call = self.register(attempt, task, place);
        let (bound, protocol) = (task.start_timeout, task.protocol);
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // That it has started is reported by the runner's events.
            let armed = async {
                let release = shared.start_time.monotonic + at;
                let (instance, release) = match server.agree(shared.start_time.boot_id, release).await {
                    Ok(agreed) => agreed,
                    Err(why) => return shared.not_sent_ahead(attempt, why),
                };
                let arm = Arm { start, instance, release, late_limit };
                match server.channel.arm(&arm, protocol, bound).await {
                    Ok(()) => drop(call.sent.send_if_modified(|sent| {
                        // Its events may have said more by now.
                        let is_first = *sent == StartProgress::Pending;
                        *sent = if is_first { StartProgress::Armed } else { *sent };
                        is_first
                    })),
                    Err(error) => {
                        if !matches!(error, CallError::UnknownOutcome { .. }) {
                            call.sent.send_replace(StartProgress::Refused);
                        }
                        shared.start_failed(attempt, &error);
                    }
                }
            };
            tokio::select! {
                biased;
                () = call.withdrawn.cancelled() => {}
                () = armed => {}
            }
            attempt
        }))
    }

    fn disarm(&mut self, attempt: Attempt) -> Option<Call> {
        let (_, server) = self.server(attempt)?;
        let shared = Arc::clone(&self.shared);
        let key = self.key(shared.task(attempt)?, attempt);
        Some(Box::pin(async move {
            match server.channel.disarm(&key, DISARM_BOUND).await {
                Ok(Disarmed::Disarmed | Disarmed::NotArmed) => shared.over(attempt, Input::Disarmed(attempt)),
                // That it has started is reported by the runner's events.
                Ok(Disarmed::Started) => {}
                // The timeline has a bound for what comes next.
                Err(error) => shared.details().message(attempt, &chain(&error)),
            }
            attempt
        }))
    }

    fn poll(&mut self, attempt: Attempt) -> Option<Call> {
        let (_, server) = self.server(attempt)?;
        let shared = Arc::clone(&self.shared);
        let key = self.key(shared.task(attempt)?, attempt);
        Some(Box::pin(async move {
            let status = server.channel.status(&key, POLL_BOUND).await;
            let name = status.as_ref().ok().filter(|_| !server.is_ours()).map(|status| status.task_id.as_str());
            let early = name.and_then(|name| shared.calls().named_by_server(attempt, name));
            if let Some((call, notice)) = early {
                shared.notice(&call, &notice);
                return attempt;
            }
            let seen = seen(&status.map(|status| status.state), server.is_ours());
            shared.inbox.send(Input::Seen(attempt, seen));
            attempt
        }))
    }

    fn stop(&mut self, attempt: Attempt, grace: Duration) -> Option<Call> {
        let (_, server) = self.server(attempt)?;
        let shared = Arc::clone(&self.shared);
        let key = self.key(shared.task(attempt)?, attempt);
        let call = shared.calls().of(attempt);
        Some(Box::pin(async move {
            stop(&shared, &server, call, attempt, &key, grace).await;
            attempt
        }))
    }
}

/// What an answer about the state of a task means. A server that answers is alive: one that does not serve the call, or does not
/// know the task, says nothing about the task, and the bounds of the task end it. Our own runner does know.
fn seen(answer: &Result<TaskState, CallError>, ours: bool) -> Seen {
    match answer {
        Ok(TaskState::Unknown) if ours => Seen::NotRunning,
        Ok(TaskState::Starting | TaskState::Running | TaskState::Unknown)
        | Err(CallError::Unsupported { .. } | CallError::Refused { .. } | CallError::Busy { .. }) => Seen::Running,
        Ok(_) => Seen::NotRunning,
        Err(CallError::Unreachable { .. } | CallError::UnknownOutcome { .. }) => Seen::Unreachable,
    }
}

/// Whether an event has an output that takes long to read.
fn is_large(event: &TaskEvent) -> bool {
    matches!(&event.what, Happened::Ended(ended) if ended.output_json.len() > LARGE)
}

/// Handles an event of our own runner.
fn take(shared: &Arc<RunContext>, server: &Arc<TaskServer>, event: TaskEvent) {
    if is_large(&event) {
        // Reading it takes milliseconds, in which a task may be due. It is not waited for.
        let (shared, server) = (Arc::clone(shared), Arc::clone(server));
        drop(tokio::task::spawn_blocking(move || shared.event(&server, &event)));
    } else {
        shared.event(server, &event);
    }
}

/// Follows the events of our own runner, for as long as the run goes on.
async fn watch(shared: Arc<RunContext>, server: Arc<TaskServer>) {
    let run = shared.calls().run().to_owned();
    let mut from = WatchFrom { run: run.clone(), ..WatchFrom::default() };
    loop {
        match server.channel.watch(&from, POLL_BOUND).await {
            Ok(mut events) => {
                while let Ok(Some(event)) = events.next().await {
                    from = WatchFrom { instance: event.instance.clone(), after: event.sequence, run: run.clone() };
                    take(&shared, &server, event);
                }
            }
            // Not ours after all.
            Err(CallError::Unsupported { .. }) => return,
            Err(_) => {}
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

/// The distinct task servers of a schedule, and the server of each task. Programs run at `local`.
pub(super) fn servers_of(
    schedule: &Schedule,
    addresses: &Addresses,
    local: Option<&TaskAddress>,
) -> (Vec<TaskAddress>, Vec<usize>) {
    let mut list: Vec<TaskAddress> = Vec::new();
    let mut index: BTreeMap<TaskAddress, usize> = BTreeMap::new();
    let of = (0..).zip(&schedule.tasks).map(|(at, _)| {
        let Some(address) = addresses.of(TaskIndex(at)).or(local) else { return usize::MAX };
        *index.entry(address.clone()).or_insert_with(|| {
            list.push(address.clone());
            list.len() - 1
        })
    });
    let of = of.collect();
    (list, of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ConnectError, NoAnswer};

    #[test]
    fn a_server_that_does_not_tell_states_is_not_taken_for_dead() {
        let peer = || TaskAddress::Tcp("h".to_owned(), 1);
        let unsupported = || Err(CallError::Unsupported { method: "GetTaskStatus", peer: peer() });
        assert_eq!(seen(&unsupported(), false), Seen::Running);
        let busy = Err(CallError::Busy { method: "GetTaskStatus", peer: peer(), message: String::new() });
        assert_eq!(seen(&busy, true), Seen::Running);
        assert_eq!(seen(&Ok(TaskState::Unknown), false), Seen::Running, "the state that is said by saying nothing");
        assert_eq!(seen(&Ok(TaskState::Unknown), true), Seen::NotRunning, "a runner of ours knows what it has");
        assert_eq!(seen(&Ok(TaskState::Idle), false), Seen::NotRunning);
        let source = NoAnswer::TimedOut(POLL_BOUND);
        let silent = Err(CallError::UnknownOutcome { method: "GetTaskStatus", peer: peer(), source });
        assert_eq!(seen(&silent, false), Seen::Unreachable);
        let source = ConnectError::TimedOut(POLL_BOUND);
        let gone = Err(CallError::Unreachable { method: "GetTaskStatus", peer: peer(), source });
        assert_eq!(seen(&gone, false), Seen::Unreachable);
    }
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod calls;
