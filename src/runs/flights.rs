//! Attempts in flight, and which of them an end notice means.
//!
//! Our own runners name the run, the occurrence and the try. Existing task servers name a task, or their kind of work, and may
//! say it late or twice; other people may use them too. So a notice of theirs ends a task only when nothing speaks against it.

use crate::model::{TaskAddress, TaskId};
use crate::rt::Monotonic;
use crate::schedule::Attempt;
use crate::wire::EndNotice;
use std::collections::BTreeSet;
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
    /// A notice that came before its start was acknowledged.
    early: Option<EndNotice>,
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
            early: None,
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

    /// Whether a notice that comes at `now` can be about this very attempt: it runs at an existing task server, and what the
    /// notice is about neither began at another moment, by the clock of that server, nor took longer than since its start was sent.
    fn may_end(&self, notice: &EndNotice, now: Monotonic) -> bool {
        let tried = Monotonic::from_nanos(self.tried.load(Ordering::Relaxed));
        let is_longer = notice.duration.is_some_and(|duration| duration > now.since(tried) + SLACK);
        !self.ours && !self.is_other(notice) && !is_longer && matches!(self.has_come(), Sent::UnderWay | Sent::Begun)
    }
}

/// Everything in flight.
#[derive(Debug, Default)]
pub(super) struct Flights {
    run: String,
    list: Vec<Flight>,
    /// The names of all tasks of the run.
    tasks: BTreeSet<TaskId>,
    /// The task servers.
    servers: Vec<TaskAddress>,
    /// Where each of them is, when that is known.
    hosts: Vec<Option<IpAddr>>,
}

impl Flights {
    /// Nothing in flight yet of a run with these tasks and task servers.
    pub(super) fn new(
        run: String,
        tasks: impl IntoIterator<Item = TaskId>,
        servers: Vec<TaskAddress>,
        hosts: Vec<Option<IpAddr>>,
    ) -> Self {
        Self { run, list: Vec::new(), tasks: tasks.into_iter().collect(), servers, hosts }
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

    /// Notes what a task server calls an attempt, and when it says that it began. Returns the notice that came before this,
    /// if it is about that attempt.
    pub(super) fn acknowledged(
        &mut self,
        attempt: Attempt,
        name: &str,
        began: Option<Duration>,
    ) -> Option<(Flight, EndNotice)> {
        let flight = self.list.iter_mut().find(|flight| flight.attempt == attempt)?;
        flight.began = began;
        if !name.is_empty() && name != flight.task.as_str() {
            flight.alias = Some(name.to_owned());
        }
        let early = flight.early.take().filter(|notice| !flight.is_other(notice))?;
        Some((flight.clone(), early))
    }

    /// Holds a notice of an attempt whose start is not acknowledged yet: only then is it known whether it can be its end. `false`
    /// when it is acknowledged.
    pub(super) fn hold(&mut self, attempt: Attempt, notice: &EndNotice) -> bool {
        let Some(flight) = self.list.iter_mut().find(|flight| flight.attempt == attempt) else { return false };
        let holds = notice.run_id.is_empty() && flight.has_come() == Sent::UnderWay;
        if holds {
            flight.early = Some(notice.clone());
        }
        holds
    }

    /// Notes how far the start of an attempt has come.
    pub(super) fn sent(&self, attempt: Attempt, sent: Sent) {
        if let Some(flight) = self.list.iter().find(|flight| flight.attempt == attempt) {
            flight.sent.send_replace(sent);
        }
    }

    pub(super) fn remove(&mut self, attempt: Attempt) {
        self.list.retain(|flight| flight.attempt != attempt);
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

    /// The attempt that a notice under a name which nobody knows must mean: of those whose task servers have said no name of
    /// their own, the one in flight at `server` when that is known to use the name; else the one at the sender's host, or the
    /// only one there is.
    pub(super) fn guess(
        &self,
        notice: &EndNotice,
        server: Option<&TaskAddress>,
        now: Monotonic,
    ) -> Vec<(Flight, bool)> {
        if !notice.run_id.is_empty() {
            return Vec::new();
        }
        let able = || self.able(notice, now).filter(|flight| flight.alias.is_none());
        let flight = match server {
            Some(server) => only(able().filter(|flight| self.servers.get(flight.link) == Some(server))),
            None => only(able().filter(|flight| self.is_near(flight, notice))).or_else(|| only(able())),
        };
        flight.map(|flight| (flight.clone(), self.is_near(flight, notice))).into_iter().collect()
    }

    /// Whether a name is that of a task of this run, or what the task server of one in flight calls it.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.tasks.contains(&TaskId::new(name)) || self.list.iter().any(|flight| flight.alias.as_deref() == Some(name))
    }

    /// The task server of an attempt.
    pub(super) fn server(&self, flight: &Flight) -> Option<&TaskAddress> {
        self.servers.get(flight.link)
    }

    /// The attempts that a notice without a run can be about.
    fn able(&self, notice: &EndNotice, now: Monotonic) -> impl Iterator<Item = &Flight> {
        self.list.iter().filter(move |flight| flight.may_end(notice, now) && self.may_come_from(flight, notice))
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
