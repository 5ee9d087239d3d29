//! The thread that makes the calls of a run: it connects to every task server, says what it found, and waits for the start.

use super::caller::{Caller, addresses};
use super::conduct::RunError;
use super::shared::{Kind, Link, Shared};
use crate::model::{Schedule, TaskAddress};
use crate::process::supervise::chain;
use crate::schedule::Effect;
use crate::wire::{CallError, TaskChannel, Tls};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Bound on the first connection to each task server.
const WARM_BOUND: Duration = Duration::from_secs(2);
/// A task server that has only just been started may not listen yet; for this long it is tried again.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// What is known once every task server was tried.
pub(super) struct Servers {
    /// For each task, how many tasks its server runs at once if that is a runner of ours.
    pub(super) ours: Vec<Option<u32>>,
    /// The hosts of the task servers.
    pub(super) hosts: Vec<Option<IpAddr>>,
    /// Task servers that could not be reached.
    pub(super) remarks: Vec<String>,
}

/// What the thread works with.
pub(super) struct Calls {
    pub(super) schedule: Arc<Schedule>,
    pub(super) local_runner: Option<TaskAddress>,
    pub(super) effects: mpsc::Receiver<Effect>,
    pub(super) servers: SyncSender<Result<Servers, RunError>>,
    pub(super) tls: Option<Tls>,
    pub(super) begin: oneshot::Receiver<Arc<Shared>>,
}

impl Calls {
    pub(super) fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.make()),
            // Who waits for this is gone when it cannot be sent.
            Err(error) => drop(self.servers.send(Err(RunError::Runtime(error)))),
        }
    }

    async fn make(self) {
        let (list, link_of) = addresses(&self.schedule, self.local_runner.as_ref());
        let (links, remarks) = connect(&list, self.tls.as_ref()).await;
        let ours = |link: &usize| match &links.get(*link)?.kind {
            Kind::Ours(runner) => Some(runner.parallel.get()),
            Kind::Existing | Kind::Unknown => None,
        };
        let ours = link_of.iter().map(ours).collect();
        let hosts = join_all(list.iter().map(host)).await;
        let _ = self.servers.send(Ok(Servers { ours, hosts, remarks }));
        // No run: it was refused.
        let Ok(shared) = self.begin.await else { return };
        let mut caller = Caller { shared, links, link_of, prepared: BTreeMap::new() };
        caller.prepare();
        caller.run(self.effects).await;
    }
}

/// Connects to every task server at once; one that cannot be reached is tried again when its first task is due.
async fn connect(list: &[TaskAddress], tls: Option<&Tls>) -> (Vec<Arc<Link>>, Vec<String>) {
    let links = join_all(list.iter().map(|address| async move {
        let channel = TaskChannel::new(address.clone(), None, tls.cloned());
        let patience = tokio::time::Instant::now() + PATIENCE;
        let (kind, remark) = loop {
            match channel.capabilities(WARM_BOUND).await {
                Ok(runner) => break (Kind::Ours(runner), None),
                Err(CallError::Unsupported { .. }) => {
                    break (Kind::Existing, channel.warm(WARM_BOUND).await.err());
                }
                Err(CallError::Unreachable { source, .. })
                    if source.may_pass() && tokio::time::Instant::now() < patience =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => break (Kind::Unknown, Some(error)),
            }
        };
        (Arc::new(Link { channel, kind }), remark.map(|error| chain(&error)))
    }))
    .await;
    let (links, remarks): (Vec<_>, Vec<_>) = links.into_iter().unzip();
    (links, remarks.into_iter().flatten().collect())
}

/// The address of a task server's host, by which its notices are known.
async fn host(address: &TaskAddress) -> Option<IpAddr> {
    let (TaskAddress::Tcp(host, port) | TaskAddress::Tls(host, port)) = address else { return None };
    let found = tokio::time::timeout(WARM_BOUND, tokio::net::lookup_host((host.as_str(), *port))).await.ok()?;
    found.ok()?.next().map(|found| found.ip())
}
