//! Attempts in flight, and which of them an end notice means.
//!
//! Our own runners name the run, the occurrence and the try. Existing task servers name a task, or their kind of work, and may
//! say it late or twice; other people may use them too. So a notice of theirs ends a task only when it says the task's id, or the
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

/// How far the start of an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way, or what came of it is not known.
    UnderWay,
    /// A runner of ours holds it for its instant.
    Armed,
    /// It was refused, for good or until it is tried again: nothing of it is at the task server.
    Refused,
    /// It was acknowledged.
    Begun,
}

/// An attempt in flight.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) attempt: Attempt,
    pub(super) task: TaskId,
    /// Its task server.
    pub(super) link: usize,
    /// That is a runner of ours.
    pub(super) ours: bool,
    /// What the task server calls it, when that is not its id.
    pub(super) alias: Option<String>,
    /// When its task server says that it began, by its own wall clock since 1970.
    pub(super) began: Option<Duration>,
    pub(super) sent: Arc<watch::Sender<Sent>>,
    /// When its start was last sent, in nanoseconds of the monotonic clock.
    tried: Arc<AtomicU64>,
    /// Cancelled when the start is not to be tried again.
    pub(super) unwanted: CancellationToken,
    /// Cancelled when what is under way of it is given up.
    pub(super) withdrawn: CancellationToken,
}

impl Flight {
    /// An attempt whose start is sent at `now`.
    pub(super) fn new(attempt: Attempt, task: TaskId, link: usize, ours: bool, now: Monotonic) -> Self {
        Self {
            attempt,
            task,
            link,
            ours,
            alias: None,
            began: None,
            sent: Arc::new(watch::Sender::new(Sent::UnderWay)),
            tried: Arc::new(AtomicU64::new(now.as_nanos())),
            unwanted: CancellationToken::new(),
            withdrawn: CancellationToken::new(),
        }
    }

    pub(super) fn has_come(&self) -> Sent {
        *self.sent.borrow()
    }

    /// Its start is sent once more.
    pub(super) fn tries(&self, now: Monotonic) {
        self.tried.store(now.as_nanos(), Ordering::Relaxed);
        self.sent.send_replace(Sent::UnderWay);
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
        !self.ours && !self.is_other(notice) && !is_longer && matches!(self.has_come(), Sent::UnderWay | Sent::Begun)
    }
}

/// Everything in flight.
#[derive(Debug, Default)]
pub(super) struct Flights {
    run: String,
    list: Vec<Flight>,
    /// Where each task server is, when that is known.
    hosts: Vec<Option<IpAddr>>,
    /// Notices that came before it was known whether they mean an attempt in flight, the newest first, each with when it came.
    early: VecDeque<(Monotonic, EndNotice)>,
}

impl Flights {
    /// Nothing in flight yet of a run with task servers at these hosts.
    pub(super) fn new(run: String, hosts: Vec<Option<IpAddr>>) -> Self {
        Self { run, list: Vec::new(), hosts, early: VecDeque::new() }
    }

    /// The id of the run.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn add(&mut self, flight: Flight) {
        self.list.retain(|other| other.attempt.task != flight.attempt.task);
        self.list.push(flight);
    }

    /// An attempt, if it is in flight.
    pub(super) fn of(&self, attempt: Attempt) -> Option<Flight> {
        self.list.iter().find(|flight| flight.attempt == attempt).cloned()
    }

    /// Notes that a start was answered, with what the task server calls the attempt and when it says that it began. Returns the
    /// notice that came before this, if it means that attempt.
    pub(super) fn acknowledged(
        &mut self,
        attempt: Attempt,
        name: &str,
        began: Option<Duration>,
    ) -> Option<(Flight, EndNotice)> {
        self.list.iter_mut().find(|flight| flight.attempt == attempt)?.began = began;
        self.named_by_server(attempt, name)
    }

    /// Notes what a task server calls an attempt. Returns the notice that came before this, if it means that attempt.
    pub(super) fn named_by_server(&mut self, attempt: Attempt, name: &str) -> Option<(Flight, EndNotice)> {
        let flight = self.list.iter_mut().find(|flight| flight.attempt == attempt)?;
        if flight.alias.is_none() && !name.is_empty() && name != flight.task.as_str() {
            flight.alias = Some(name.to_owned());
        }
        let flight = flight.clone();
        let at = self.early.iter().position(|(came, notice)| {
            let is_since = *came >= flight.tried();
            is_since && flight.is_called(&notice.task_id) && self.can_mean(&flight, notice, *came)
        })?;
        let (_, notice) = self.early.remove(at)?;
        Some((flight, notice))
    }

    /// Keeps a notice that comes at `now`, if an answer that is still to come may say that it means an attempt in flight: that of a
    /// start that is not acknowledged, or the first name of a task server. `false` when there is none.
    pub(super) fn keep(&mut self, notice: &EndNotice, now: Monotonic) -> bool {
        let keeps = notice.run_id.is_empty()
            && self.able(notice, now).any(|flight| flight.alias.is_none() || flight.has_come() == Sent::UnderWay);
        if keeps {
            self.early.truncate(EARLY - 1);
            self.early.push_front((now, notice.clone()));
        }
        keeps
    }

    /// Notes how far the start of an attempt has come.
    pub(super) fn sent(&self, attempt: Attempt, sent: Sent) {
        if let Some(flight) = self.list.iter().find(|flight| flight.attempt == attempt) {
            flight.sent.send_replace(sent);
        }
    }

    pub(super) fn remove(&mut self, attempt: Attempt) {
        self.list.retain(|flight| flight.attempt != attempt);
        let list = &self.list;
        self.early.retain(|(came, _)| list.iter().any(|flight| *came >= flight.tried()));
    }

    /// The attempts that a notice names, each with whether the notice comes from its host. With a run it is that attempt and
    /// no other. Existing task servers say the name that they acknowledged the start with, or the task's id.
    pub(super) fn named(&self, notice: &EndNotice, now: Monotonic) -> Vec<(Flight, bool)> {
        let name = notice.task_id.as_str();
        if !notice.run_id.is_empty() {
            let own = |flight: &&Flight| {
                notice.run_id == self.run
                    && flight.task.as_str() == name
                    && (flight.attempt.occurrence, flight.attempt.number) == (notice.occurrence, notice.attempt)
            };
            return self.list.iter().find(own).map(|flight| (flight.clone(), true)).into_iter().collect();
        }
        let able = || self.able(notice, now);
        let by_alias: Vec<&Flight> = able().filter(|flight| flight.alias.as_deref() == Some(name)).collect();
        let found =
            if by_alias.is_empty() { able().filter(|flight| flight.task.as_str() == name).collect() } else { by_alias };
        found.into_iter().map(|flight| (flight.clone(), self.is_near(flight, notice))).collect()
    }

    /// The attempts that a notice without a run can be about.
    fn able(&self, notice: &EndNotice, now: Monotonic) -> impl Iterator<Item = &Flight> {
        self.list.iter().filter(move |flight| self.can_mean(flight, notice, now))
    }

    /// Whether nothing but its name speaks against it that a notice which comes at `now` means an attempt.
    fn can_mean(&self, flight: &Flight, notice: &EndNotice, now: Monotonic) -> bool {
        flight.may_end(notice, now) && self.may_come_from(flight, notice)
    }

    /// Whether a notice can come from an attempt's task server. Addresses are translated on the way, so that an unknown host
    /// says nothing; the host of another task server does.
    fn may_come_from(&self, flight: &Flight, notice: &EndNotice) -> bool {
        let from = notice.from.map(|from| from.ip());
        self.is_near(flight, notice) || from.is_none() || !self.hosts.contains(&from)
    }

    /// Whether a notice comes from the host of an attempt's task server.
    fn is_near(&self, flight: &Flight, notice: &EndNotice) -> bool {
        let host = self.hosts.get(flight.link).copied().flatten();
        host.is_some() && host == notice.from.map(|from| from.ip())
    }
}

/// The item of an iterator that has one.
pub(super) fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
#[path = "flights_tests.rs"]
mod tests;
