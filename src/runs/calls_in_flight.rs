//! Attempts in flight, and which of them an end notice means.
//!
//! Our own runners name the run, the occurrence and the attempt. Existing task servers name a task, or their kind of work,
//! and may send a notice late or twice; other orchestrators may use them too. So a notice of theirs ends a task only when it says the task's id, or the
//! name that its server answers with, and nothing speaks against it.

use crate::model::TaskId;
use crate::rt::Monotonic;
use crate::schedule::Attempt;
use crate::wire::EndNotice;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A task server stamps a start twice, for its acknowledgement and for the notice of the end, no further apart than this.
const STAMPS: Duration = Duration::from_secs(1);
/// Readings that are further apart are not of one clock.
const ONE_CLOCK: Duration = Duration::from_secs(86_400);
/// Two clocks do not measure a duration alike.
const SLACK: Duration = Duration::from_millis(20);
/// How many early notices a run keeps.
const EARLY: usize = 4;

/// The progress of an attempt's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartProgress {
    /// It is on its way, or what came of it is not known.
    Pending,
    /// Our own runner holds it until its instant.
    Armed,
    /// It was refused, finally or until it is tried again: nothing of it is at the task server.
    Refused,
    /// It was acknowledged.
    Acknowledged,
}

/// An attempt in flight.
#[derive(Clone, Debug)]
pub(super) struct CallInFlight {
    pub(super) attempt: Attempt,
    pub(super) task: TaskId,
    /// Its task server.
    pub(super) server: usize,
    /// Whether that is our own runner.
    pub(super) ours: bool,
    /// What the task server calls it, when that is not its id.
    pub(super) alias: Option<String>,
    /// When its task server says that it began, by its own wall clock since 1970.
    pub(super) began: Option<Duration>,
    pub(super) sent: Arc<watch::Sender<StartProgress>>,
    /// When its start was last sent, in nanoseconds of the monotonic clock.
    tried: Arc<AtomicU64>,
    /// Cancelled when the start is not to be tried again.
    pub(super) unwanted: CancellationToken,
    /// Cancelled when a start in progress is given up.
    pub(super) withdrawn: CancellationToken,
}

impl CallInFlight {
    /// An attempt whose start is sent at `now`.
    pub(super) fn new(attempt: Attempt, task: TaskId, server: usize, ours: bool, now: Monotonic) -> Self {
        Self {
            attempt,
            task,
            server,
            ours,
            alias: None,
            began: None,
            sent: Arc::new(watch::Sender::new(StartProgress::Pending)),
            tried: Arc::new(AtomicU64::new(now.as_nanos())),
            unwanted: CancellationToken::new(),
            withdrawn: CancellationToken::new(),
        }
    }

    pub(super) fn progress(&self) -> StartProgress {
        *self.sent.borrow()
    }

    /// Its start is sent once more.
    pub(super) fn tries(&self, now: Monotonic) {
        self.tried.store(now.as_nanos(), Ordering::Relaxed);
        self.sent.send_replace(StartProgress::Pending);
    }

    /// Whether a notice says the moment at which this began, by the clock of the task server.
    pub(super) fn is_stamped(&self, notice: &EndNotice) -> bool {
        notice.start.zip(self.began).is_some_and(|(start, began)| start.abs_diff(began) <= SLACK)
    }

    /// Whether a notice is about something that began at another moment, by the clock of the task server. Both readings are of a
    /// start, so that a later step of that clock says nothing; readings of different kinds of clocks say nothing either.
    fn is_other(&self, notice: &EndNotice) -> bool {
        let Some(((start, end), began)) = notice.start.zip(notice.end).zip(self.began) else { return false };
        let apart = start.abs_diff(began);
        let is_before = start + SLACK < began && end < began;
        apart <= ONE_CLOCK && (apart > STAMPS || is_before)
    }

    fn tried(&self) -> Monotonic {
        Monotonic::from_nanos(self.tried.load(Ordering::Relaxed))
    }

    /// Whether it goes by a name: its id, or what its task server calls it.
    fn is_called(&self, name: &str) -> bool {
        self.task.as_str() == name || self.alias.as_deref() == Some(name)
    }

    /// Whether a notice that comes at `now` can be about this very attempt: it runs at an existing task server, and what the
    /// notice is about neither began at another moment, by the clock of that server, nor took longer than since its start was sent.
    fn may_end(&self, notice: &EndNotice, now: Monotonic) -> bool {
        let is_longer = notice.duration.is_some_and(|duration| duration > now.since(self.tried()) + SLACK);
        !self.ours
            && !self.is_other(notice)
            && !is_longer
            && matches!(self.progress(), StartProgress::Pending | StartProgress::Acknowledged)
    }
}

/// Everything in flight.
#[derive(Debug, Default)]
pub(super) struct CallsInFlight {
    run: String,
    list: Vec<CallInFlight>,
    /// Where each task server is, when that is known.
    hosts: Vec<Option<IpAddr>>,
    /// Notices that came before it was known whether they mean an attempt in flight, the newest first, each with when it came.
    early: VecDeque<(Monotonic, EndNotice)>,
}

impl CallsInFlight {
    /// Nothing in flight yet of a run with task servers at these hosts.
    pub(super) fn new(run: String, hosts: Vec<Option<IpAddr>>) -> Self {
        Self { run, list: Vec::new(), hosts, early: VecDeque::new() }
    }

    /// The id of the run.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn add(&mut self, call: CallInFlight) {
        self.list.retain(|other| other.attempt.task != call.attempt.task);
        self.list.push(call);
    }

    /// An attempt, if it is in flight.
    pub(super) fn of(&self, attempt: Attempt) -> Option<CallInFlight> {
        self.list.iter().find(|call| call.attempt == attempt).cloned()
    }

    /// Records that a start was answered, with what the task server calls the attempt and when it says that it began. Returns the
    /// notice that came before this, if it means that attempt.
    pub(super) fn acknowledged(
        &mut self,
        attempt: Attempt,
        name: &str,
        began: Option<Duration>,
    ) -> Option<(CallInFlight, EndNotice)> {
        self.list.iter_mut().find(|call| call.attempt == attempt)?.began = began;
        self.named_by_server(attempt, name)
    }

    /// Records what a task server calls an attempt. Returns the notice that came before this, if it means that attempt.
    pub(super) fn named_by_server(&mut self, attempt: Attempt, name: &str) -> Option<(CallInFlight, EndNotice)> {
        let call = self.list.iter_mut().find(|call| call.attempt == attempt)?;
        if call.alias.is_none() && !name.is_empty() && name != call.task.as_str() {
            call.alias = Some(name.to_owned());
        }
        let call = call.clone();
        let at = self.early.iter().position(|(came, notice)| {
            let is_since = *came >= call.tried();
            is_since && call.is_called(&notice.task_id) && self.can_mean(&call, notice, *came)
        })?;
        let (_, notice) = self.early.remove(at)?;
        Some((call, notice))
    }

    /// Keeps a notice that comes at `now`, if an answer that is still to come may say that it means an attempt in flight: that of a
    /// start that is not acknowledged, or the first name of a task server. `false` when there is none.
    pub(super) fn keep(&mut self, notice: &EndNotice, now: Monotonic) -> bool {
        let keeps = notice.run_id.is_empty()
            && self.able(notice, now).any(|call| call.alias.is_none() || call.progress() == StartProgress::Pending);
        if keeps {
            self.early.truncate(EARLY - 1);
            self.early.push_front((now, notice.clone()));
        }
        keeps
    }

    /// Sets the progress of an attempt's start.
    pub(super) fn set_progress(&self, attempt: Attempt, sent: StartProgress) {
        if let Some(call) = self.list.iter().find(|call| call.attempt == attempt) {
            call.sent.send_replace(sent);
        }
    }

    pub(super) fn remove(&mut self, attempt: Attempt) {
        self.list.retain(|call| call.attempt != attempt);
        let list = &self.list;
        self.early.retain(|(came, _)| list.iter().any(|call| *came >= call.tried()));
    }

    /// The attempts that a notice names, each with whether the notice comes from its host. With a run it is that attempt and
    /// no other. Existing task servers say the name that they acknowledged the start with, or the task's id.
    pub(super) fn named(&self, notice: &EndNotice, now: Monotonic) -> Vec<(CallInFlight, bool)> {
        let name = notice.task_id.as_str();
        if !notice.run_id.is_empty() {
            let own = |call: &&CallInFlight| {
                notice.run_id == self.run
                    && call.task.as_str() == name
                    && (call.attempt.occurrence, call.attempt.number) == (notice.occurrence, notice.attempt)
            };
            return self.list.iter().find(own).map(|call| (call.clone(), true)).into_iter().collect();
        }
        let able = || self.able(notice, now);
        let by_alias: Vec<&CallInFlight> = able().filter(|call| call.alias.as_deref() == Some(name)).collect();
        let found =
            if by_alias.is_empty() { able().filter(|call| call.task.as_str() == name).collect() } else { by_alias };
        found.into_iter().map(|call| (call.clone(), self.is_near(call, notice))).collect()
    }

    /// The attempts that a notice without a run can be about.
    fn able(&self, notice: &EndNotice, now: Monotonic) -> impl Iterator<Item = &CallInFlight> {
        self.list.iter().filter(move |call| self.can_mean(call, notice, now))
    }

    /// Whether a notice that comes at `now` can mean an attempt, apart from its name.
    fn can_mean(&self, call: &CallInFlight, notice: &EndNotice, now: Monotonic) -> bool {
        call.may_end(notice, now) && self.may_come_from(call, notice)
    }

    /// Whether a notice can come from an attempt's task server. Addresses are translated on the way, so that an unknown host
    /// says nothing; the host of another task server does.
    fn may_come_from(&self, call: &CallInFlight, notice: &EndNotice) -> bool {
        let from = notice.from.map(|from| from.ip());
        self.is_near(call, notice) || from.is_none() || !self.hosts.contains(&from)
    }

    /// Whether a notice comes from the host of an attempt's task server.
    fn is_near(&self, call: &CallInFlight, notice: &EndNotice) -> bool {
        let host = self.hosts.get(call.server).copied().flatten();
        host.is_some() && host == notice.from.map(|from| from.ip())
    }
}

/// The item of an iterator that has one.
pub(super) fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
#[path = "calls_in_flight_tests.rs"]
mod tests;
