//! The task that waits for due times and carries out what the desk orders.

use super::Orchestrator;
use super::desk::{AHEAD, Begin, Desk, Order};
use super::ended::EndedRun;
use super::launch::Launch;
use super::requests::Request;
use crate::apply::load::Loaded;
use crate::model::RunId;
use crate::process::supervise::TaskResult;
use crate::process::{boot, clock};
use crate::runs::{LazyNoticeRouter, RunHandle, RunSettings};
use crate::schedule::agenda;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The wall clock is looked at this often at least: it may be put forward while nothing else happens.
const LOOK: Duration = Duration::from_secs(1);
/// Likewise when no due time is known.
const IDLE: Duration = Duration::from_secs(60);
/// What the daemon needs beside the runs under way when it ends.
const FAREWELL_MARGIN: Duration = Duration::from_secs(3);

/// What the task works with.
pub(in crate::daemon) struct Timing {
    orchestrator: Orchestrator,
    loaded: watch::Receiver<Option<Loaded>>,
    requests: mpsc::Receiver<Request>,
    stop: CancellationToken,
    /// How long the runs under way may take to end when the daemon does.
    farewell: Duration,
    desk: Desk,
    router: Arc<LazyNoticeRouter>,
    /// What stops each run under way.
    handles: BTreeMap<RunId, RunHandle>,
    /// What stops what each interrupted run left.
    leftovers: BTreeMap<RunId, CancellationToken>,
    ends: FuturesUnordered<BoxFuture<'static, EndedRun>>,
    /// Old runs that are being removed.
    removals: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Timing {
    pub(in crate::daemon) fn new(
        orchestrator: Orchestrator,
        loaded: watch::Receiver<Option<Loaded>>,
        requests: mpsc::Receiver<Request>,
        stop: CancellationToken,
        shutdown: Duration,
    ) -> Self {
        let Orchestrator { listen, real_time, tls, .. } = &orchestrator;
        let output_limit = RunSettings::default().output_limit;
        let router = LazyNoticeRouter::new(listen.clone(), *real_time, output_limit, tls.clone());
        Self {
            orchestrator,
            loaded,
            requests,
            stop,
            farewell: shutdown.saturating_sub(FAREWELL_MARGIN),
            desk: Desk::new(boot::id()),
            router: Arc::new(router),
            handles: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            ends: FuturesUnordered::new(),
            removals: FuturesUnordered::new(),
        }
    }

    /// Runs until it is asked to stop; then the runs under way are stopped as well.
    ///
    /// # Errors
    /// When the task that applies commits is gone.
    pub(in crate::daemon) async fn run(mut self) -> TaskResult {
        loop {
            let wait = self.wait();
            // Every arm is cancel-safe: a run that ended stays in the set until it is taken out.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                changed = self.loaded.changed() => {
                    changed?;
                    let loaded = self.loaded.borrow_and_update().clone();
                    if let Some(loaded) = loaded {
                        self.desk.commit(loaded, clock::now());
                    }
                }
                Some(launched) = self.ends.next(), if !self.ends.is_empty() => {
                    self.handles.remove(&launched.id);
                    self.leftovers.remove(&launched.id);
                    self.desk.ended(&launched.schedule, &launched.id, clock::now());
                    self.removals.push(Box::pin(launched.prune()));
                }
                Some(Request { schedule, reply }) = self.requests.recv() => {
                    // Who asked may have gone; the run takes place all the same.
                    let _ = reply.send(self.desk.ask(&schedule, clock::now()));
                }
                Some(()) = self.removals.next(), if !self.removals.is_empty() => continue,
                () = tokio::time::sleep(wait) => {}
            }
            for order in self.desk.turn(clock::now()) {
                match order {
                    Order::Begin(begin) => self.launch(begin),
                    Order::Cancel(run) => {
                        if let Some(handle) = self.handles.get(&run) {
                            handle.cancel();
                        }
                        if let Some(stop) = self.leftovers.get(&run) {
                            stop.cancel();
                        }
                    }
                    Order::Follow(left) => {
                        let stop = CancellationToken::new();
                        self.leftovers.insert(left.id.clone(), stop.clone());
                        self.ends.push(Box::pin(left.run(self.orchestrator.tls.clone(), stop)));
                    }
                }
            }
        }
        self.farewell().await;
        Ok(())
    }

    fn wait(&self) -> Duration {
        let until = self.desk.next().map(|at| at.duration_since(clock::now()));
        until.map_or(IDLE, |until| if until.is_negative() { Duration::ZERO } else { until.unsigned_abs().min(LOOK) })
    }

    fn launch(&mut self, begin: Begin) {
        let handle = RunHandle::default();
        self.handles.insert(begin.id.clone(), handle.clone());
        let settings = RunSettings {
            real_time: self.orchestrator.real_time,
            lock_memory: self.orchestrator.lock_memory,
            tls: self.orchestrator.tls.clone(),
            ..RunSettings::default()
        };
        let router = Arc::clone(&self.router);
        let launch = Launch { begin, handle, settings, router, stop: self.stop.clone() };
        self.ends.push(Box::pin(launch.run()));
    }

    /// Stops what runs, and waits for that within a bound.
    async fn farewell(&mut self) {
        self.handles.values().for_each(RunHandle::cancel);
        // What earlier runs left is left again; the next start of the daemon does not follow it.
        let all = async {
            while !self.handles.is_empty()
                && let Some(launched) = self.ends.next().await
            {
                self.handles.remove(&launched.id);
            }
        };
        if tokio::time::timeout(self.farewell, all).await.is_err() {
            tracing::warn!("runs in progress did not end in time; the next daemon marks them as interrupted");
        }
    }
}

// A look that comes late must neither make a due time a missed one nor leave a run without its preparations.
const _: () = assert!(LOOK.as_secs() < agenda::ON_TIME.as_secs());
const _: () = assert!((LOOK.as_secs() as i64) < AHEAD.as_secs());
