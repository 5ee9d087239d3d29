//! The thread that makes the calls of a run: it connects to every task server, says what it found, and waits for the start.

use super::caller::{Caller, addresses, first_starts};
use super::conduct::RunError;
use super::orders::Effects;
use super::shared::{Kind, Link, Shared};
use super::warmth::keep_warm;
use super::wishes::Wishes;
use crate::model::{RealTime, Schedule, TaskAddress};
use crate::process::supervise::chain;
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
    /// The hosts of the task servers.
    pub(super) hosts: Vec<Option<IpAddr>>,
    /// Task servers that could not be reached.
    pub(super) remarks: Vec<String>,
    /// Real-time settings of tasks that their runners cannot give, and why.
    pub(super) not_applied: Vec<String>,
}

/// What the thread works with.
pub(super) struct Calls {
    pub(super) schedule: Arc<Schedule>,
    pub(super) run: String,
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
        let (list, link_of) = addresses(&self.schedule, self.local_runner.as_ref());
        let wishes = Wishes::new(&self.schedule, &link_of);
        let until = Instant::now() + WARM_BOUND;
        let met = join_all((0..).zip(&list).map(|(at, address)| meet(at, address, self.tls.as_ref(), &wishes, until)));
        let mut servers = Servers { ours: Vec::new(), hosts: Vec::new(), remarks: Vec::new(), not_applied: Vec::new() };
        let mut links = Vec::new();
        for (at, Met { link, host, remark }) in met.await.into_iter().enumerate() {
            servers.hosts.push(host);
            servers.remarks.extend(remark);
            if let Kind::Ours(runner) = &link.kind {
                servers.not_applied.extend(wishes.not_applied(at, runner));
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
        (Kind::Ours(_), TaskAddress::Tcp(..) | TaskAddress::Tls(..)) => {
            let channel = TaskChannel::new(address.clone(), Some(KEEP_ALIVE), tls.cloned());
            // What fails is tried again before its first task is due.
            let _ = channel.warm(until.saturating_duration_since(Instant::now())).await;
            channel
        }
        _ => channel,
    };
    Met { link: Link { channel, kind }, host, remark: remark.map(|error| chain(&error)) }
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
    let (TaskAddress::Tcp(host, port) | TaskAddress::Tls(host, port)) = address else { return None };
    let found = timeout_at(until, tokio::net::lookup_host((host.as_str(), *port))).await.ok()?;
    found.ok()?.next().map(|found| found.ip())
}
