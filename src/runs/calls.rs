//! The thread that makes the calls of a run: it connects to every task server, reports what it found, and waits for the start.

use super::caller::{Caller, servers_of};
use super::error::RunError;
use super::keep_warm::keep_warm;
use super::orders::Effects;
use super::real_time_requests::RealTimeRequests;
use super::run_context::RunContext;
use super::starts::first_starts;
use super::task_server::{ServerKind, TaskServer};
use crate::model::{RealTime, Release, Schedule, TaskAddress};
use crate::process::boot;
use crate::process::error::chain;
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

/// Bound on all first calls to all task servers together: shorter than the time by which a run is prepared ahead, so that a
/// server which does not answer, or whose name is not found, makes no run late.
const WARM_BOUND: Duration = Duration::from_secs(2);
/// A task server that has only just been started may not listen yet; for this long it is tried again.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);
/// To our own runners; other servers take these for abuse.
const KEEP_ALIVE: KeepAlive = KeepAlive { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };

/// What is known once every task server was tried.
pub(super) struct ServerFindings {
    /// For each task, how many tasks its server runs at the same time if that is our own runner.
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
    pub(super) servers: SyncSender<Result<ServerFindings, RunError>>,
    pub(super) tls: Option<Tls>,
    pub(super) begin: oneshot::Receiver<Arc<RunContext>>,
}

impl Calls {
    pub(super) fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(self.make());
                // A name lookup that hangs cannot be ended, and must not keep the run from ending.
                runtime.shutdown_background();
            }
            // When it cannot be sent, nobody waits for it.
            Err(error) => drop(self.servers.send(Err(RunError::Runtime(error)))),
        }
    }

    async fn make(self) {
        let (list, server_of) = servers_of(&self.schedule, &self.addresses, self.local_runner.as_ref());
        let requests = RealTimeRequests::new(&self.schedule, &server_of);
        let until = Instant::now() + WARM_BOUND;
        let connected =
            join_all((0..).zip(&list).map(|(at, address)| connect(at, address, self.tls.as_ref(), &requests, until)));
        let mut servers = ServerFindings {
            ours: Vec::new(),
            hosts: Vec::new(),
            remarks: Vec::new(),
            clocks: Vec::new(),
            not_applied: Vec::new(),
        };
        let is_timed = |at| {
            let mut tasks = self.schedule.tasks.iter().zip(&server_of).filter(|(_, of)| **of == at);
            tasks.any(|(task, _)| matches!(task.release, Release::Timed { .. }))
        };
        let mut task_servers = Vec::new();
        for (at, ConnectedServer { server, host, remark }) in connected.await.into_iter().enumerate() {
            servers.hosts.push(host);
            servers.remarks.extend(remark);
            if let ServerKind::Ours(runner) = &server.kind {
                servers.not_applied.extend(requests.not_applied(at, runner));
                servers.remarks.extend(server.wall_remark());
                servers.clocks.extend(server.unsure(Monotonic::now()).filter(|_| is_timed(at)));
            }
            task_servers.push(Arc::new(server));
        }
        let ours = |server: &usize| match &task_servers.get(*server)?.kind {
            ServerKind::Ours(runner) => Some(runner.parallel.get()),
            ServerKind::Existing | ServerKind::Unknown => None,
        };
        servers.ours = server_of.iter().map(ours).collect();
        let prepared = first_starts(&self.schedule, &self.run);
        let _ = self.servers.send(Ok(servers));
        // No run: it was refused.
        let Ok(shared) = self.begin.await else { return };
        let warm = keep_warm(Arc::clone(&shared), &task_servers, &server_of);
        let caller = Caller { shared, task_servers: task_servers.clone(), server_of: server_of.clone(), prepared };
        // A dropped `warm` loses nothing.
        tokio::select! {
            biased;
            () = caller.run(self.effects) => {}
            never = warm => match never {},
        }
    }
}

/// The result of the first connection to a task server.
struct ConnectedServer {
    server: TaskServer,
    host: Option<IpAddr>,
    /// Why it was not reached.
    remark: Option<String>,
}

/// Connects to a task server, and resolves its host; what is not known at the end of the bound stays unknown. One that
/// cannot be reached is tried again before its first task is due.
async fn connect(
    at: usize,
    address: &TaskAddress,
    tls: Option<&Tls>,
    requests: &RealTimeRequests,
    until: Instant,
) -> ConnectedServer {
    let channel = TaskChannel::new(address.clone(), None, tls.cloned());
    let (host, (kind, remark)) = tokio::join!(host(address, until), find_kind(&channel, requests.of(at), until));
    let channel = match (&kind, address) {
        // Its stream of events would not notice that the network to it is gone.
        (ServerKind::Ours(_), address) if address.place().is_some() => {
            let channel = TaskChannel::new(address.clone(), Some(KEEP_ALIVE), tls.cloned());
            // What fails is tried again before its first task is due.
            let _ = channel.warm(until.saturating_duration_since(Instant::now())).await;
            channel
        }
        _ => channel,
    };
    let server = TaskServer::new(channel, kind);
    if server.is_ours() {
        server.measure(boot::id(), until.saturating_duration_since(Instant::now())).await;
    }
    ConnectedServer { server, host, remark: remark.map(|error| chain(&error)) }
}

async fn find_kind(channel: &TaskChannel, requests: &[RealTime], until: Instant) -> (ServerKind, Option<CallError>) {
    let patience = Instant::now() + PATIENCE;
    let left = || until.saturating_duration_since(Instant::now());
    loop {
        match channel.capabilities(requests, left()).await {
            Ok(runner) => return (ServerKind::Ours(runner), None),
            Err(CallError::Unsupported { .. }) => return (ServerKind::Existing, channel.warm(left()).await.err()),
            Err(CallError::Unreachable { source, .. }) if source.may_pass() && Instant::now() < patience => {
                sleep(PAUSE).await;
            }
            Err(error) => return (ServerKind::Unknown, Some(error)),
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
