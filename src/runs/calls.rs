//! The thread that makes the calls of a run: it connects to every task server, says what it found, and waits for the start.

use super::caller::{Caller, servers_of};
use super::error::RunError;
use super::link::{Kind, Link};
use super::orders::Effects;
use super::shared::Shared;
use super::starts::first_starts;
use super::warmth::keep_warm;
use super::wishes::Wishes;
use crate::model::{RealTime, Release, Schedule, TaskAddress};
use crate::process::boot;
use crate::process::supervise::chain;
use crate::rt::Monotonic;
use crate::schedule::Addresses;
use crate::wire::{CallError, KeepAlive, TaskChannel, Tls};
use futures_util::future::join_all;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

/// Bound on all that is done at first for all task servers together: shorter than the time by which a run is prepared ahead,
/// so that one which does not answer, or whose name is not found, makes no run late.
const WARM_BOUND: Duration = Duration::from_secs(2);
/// A task server that has only just been started may not listen yet; for this long it is tried again.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);
/// To a runner of ours; others take these for abuse.
const KEEP_ALIVE: KeepAlive = KeepAlive { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };

/// What is known once every task server was tried.
pub(super) struct Servers {
    /// For each task, how many tasks its server runs at once if that is a runner of ours.
    pub(super) ours: Vec<Option<u32>>,
    /// Their hosts.
    pub(super) hosts: Vec<Option<IpAddr>>,
    /// Task servers that could not be reached.
    pub(super) remarks: Vec<String>,
    /// Runners to which no task is sent ahead because their clocks are not known well enough, and what helps.
    pub(super) clocks: Vec<String>,
    /// Real-time settings of tasks that their runners cannot give, and why.
    pub(super) not_applied: Vec<String>,
}

/// What the thread works with.
pub(super) struct Calls {
    pub(super) schedule: Arc<Schedule>,
    pub(super) run: String,
    pub(super) addresses: Addresses,
    pub(super) local_runner: Option<TaskAddress>,
    pub(super) effects: Effects,
    pub(super) servers: SyncSender<Result<Servers, RunError>>,
    pub(super) tls: Option<Tls>,
    pub(super) begin: oneshot::Receiver<Arc<Shared>>,
}

impl Calls {
    pub(super) fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(self.make());
                // A look-up of a name that hangs cannot be ended, and must not keep the run from ending.
                runtime.shutdown_background();
            }
            // Who waits for this is gone when it cannot be sent.
            Err(error) => drop(self.servers.send(Err(RunError::Runtime(error)))),
        }
    }

    async fn make(self) {
        let (list, link_of) = servers_of(&self.schedule, &self.addresses, self.local_runner.as_ref());
        let wishes = Wishes::new(&self.schedule, &link_of);
        let until = Instant::now() + WARM_BOUND;
        let met = join_all((0..).zip(&list).map(|(at, address)| meet(at, address, self.tls.as_ref(), &wishes, until)));
        let mut servers = Servers {
            ours: Vec::new(),
            hosts: Vec::new(),
            remarks: Vec::new(),
            clocks: Vec::new(),
            not_applied: Vec::new(),
        };
        let is_timed = |at| {
            let mut tasks = self.schedule.tasks.iter().zip(&link_of).filter(|(_, of)| **of == at);
            tasks.any(|(task, _)| matches!(task.release, Release::Timed { .. }))
        };
        let mut links = Vec::new();
        for (at, Met { link, host, remark }) in met.await.into_iter().enumerate() {
            servers.hosts.push(host);
            servers.remarks.extend(remark);
            if let Kind::Ours(runner) = &link.kind {
                servers.not_applied.extend(wishes.not_applied(at, runner));
                servers.remarks.extend(link.wall_remark());
                servers.clocks.extend(link.unsure(Monotonic::now()).filter(|_| is_timed(at)));
            }
            links.push(Arc::new(link));
        }
        let ours = |link: &usize| match &links.get(*link)?.kind {
            Kind::Ours(runner) => Some(runner.parallel.get()),
            Kind::Existing | Kind::Unknown => None,
        };
        servers.ours = link_of.iter().map(ours).collect();
        let prepared = first_starts(&self.schedule, &self.run);
        let _ = self.servers.send(Ok(servers));
        // No run: it was refused.
        let Ok(shared) = self.begin.await else { return };
        let warm = keep_warm(Arc::clone(&shared), &links, &link_of);
        let caller = Caller { shared, links: links.clone(), link_of: link_of.clone(), prepared };
        // What keeps connections warm has nothing to lose.
        tokio::select! {
            biased;
            () = caller.run(self.effects) => {}
            never = warm => match never {},
        }
    }
}

/// What became of the first look at a task server.
struct Met {
    link: Link,
    host: Option<IpAddr>,
    /// Why it was not reached.
    remark: Option<String>,
}

/// Connects to a task server, and looks its host up; what is not known at the end of the bound stays unknown. One that
/// cannot be reached is tried again before its first task is due.
async fn meet(at: usize, address: &TaskAddress, tls: Option<&Tls>, wishes: &Wishes, until: Instant) -> Met {
    let channel = TaskChannel::new(address.clone(), None, tls.cloned());
    let (host, (kind, remark)) = tokio::join!(host(address, until), greet(&channel, wishes.of(at), until));
    let channel = match (&kind, address) {
        // Its stream of events would not notice that the way to it is gone.
        (Kind::Ours(_), address) if address.place().is_some() => {
            let channel = TaskChannel::new(address.clone(), Some(KEEP_ALIVE), tls.cloned());
            // What fails is tried again before its first task is due.
            let _ = channel.warm(until.saturating_duration_since(Instant::now())).await;
            channel
        }
        _ => channel,
    };
    let link = Link::new(channel, kind);
    if link.is_ours() {
        link.measure(boot::id(), until.saturating_duration_since(Instant::now())).await;
    }
    Met { link, host, remark: remark.map(|error| chain(&error)) }
}

async fn greet(channel: &TaskChannel, wishes: &[RealTime], until: Instant) -> (Kind, Option<CallError>) {
    let patience = Instant::now() + PATIENCE;
    let left = || until.saturating_duration_since(Instant::now());
    loop {
        match channel.capabilities(wishes, left()).await {
            Ok(runner) => return (Kind::Ours(runner), None),
            Err(CallError::Unsupported { .. }) => return (Kind::Existing, channel.warm(left()).await.err()),
            Err(CallError::Unreachable { source, .. }) if source.may_pass() && Instant::now() < patience => {
                sleep(PAUSE).await;
            }
            Err(error) => return (Kind::Unknown, Some(error)),
        }
    }
}

/// The address of a task server's host, by which its notices are known.
async fn host(address: &TaskAddress, until: Instant) -> Option<IpAddr> {
    let place = address.place()?;
    let found = timeout_at(until, tokio::net::lookup_host(place)).await.ok()?;
    found.ok()?.next().map(|found| found.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileEntry, FileKind, FileTree};

    fn schedule() -> Schedule {
        let text = "schedule:\n  tasks:\n    - {id: a, address: \"h:1\", scheduled_time: 0}\n    \
                    - {id: b, address: \"h:1\", scheduled_time: 5ms, period: 10ms, count: 3}\n    \
                    - {id: c, address: \"h:2\", depends_on: a}\n    - {id: d, address: \"h:3\"}\n";
        let content: Arc<[u8]> = text.as_bytes().into();
        let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
        let mut tree = FileTree::default();
        tree.files.insert("schedules/s.yaml".to_owned(), entry);
        crate::manifest::compile(&tree).unwrap().schedules.into_values().next().unwrap()
    }

    /// Writing one of a megabyte takes milliseconds, which must not pass between the instant and the start. What depends on an output
    /// can only be written once that is there.
    #[test]
    fn every_start_that_depends_on_no_output_is_written_before_the_run_begins() {
        let starts = first_starts(&schedule(), "run-1");
        assert_eq!(starts.keys().collect::<Vec<_>>(), [&0, &1, &3]);
        for (at, (attempt, start)) in &starts {
            assert_eq!((attempt.task.0, attempt.occurrence, attempt.number), (*at, 0, 1));
            assert!(!start.bytes().is_empty(), "its bytes are ready");
        }
        assert_ne!(starts, first_starts(&schedule(), "run-2"), "they are of this run");
    }
}
