//! Receives the end notices of task servers for every run of this process, and routes each to its run.

use super::calls_in_flight::{CallsInFlight, StartProgress};
use super::calls_thread::{CALLS_STACK, below, ended};
use super::error::RunError;
use super::notice_matcher::NoticeMatcher;
use super::run_context::RunContext;
use crate::model::{RealTime, RtPolicy, TaskAddress, Timestamp};
use crate::process::clock;
use crate::process::error::chain;
use crate::rt::{self, Monotonic, Prepared, Running};
use crate::wire::{EndNotice, Health, Listener, NotTaken, NoticeServer, Tls};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Time for notices in progress when the router closes.
const DRAIN: Duration = Duration::from_millis(200);
/// How many ended runs are remembered, for ends that are reported once more.
const ENDED: usize = 256;
/// End notices that match nothing are logged this often at most.
const STRAY: Duration = Duration::from_secs(1);
/// A notice is read up to so many times the limit of an output, so that one that is too large is reported as that with its task.
const LARGER: usize = 4;
/// Bytes of an end notice beside its output.
const NOTICE_FRAME: usize = 64 << 10;

/// An open router; closes when it is dropped.
#[derive(Debug)]
pub struct NoticeRouter {
    runs: Runs,
    addresses: Vec<TaskAddress>,
    remarks: Vec<String>,
    close: Option<oneshot::Sender<()>>,
    /// Joined when it is dropped, after the request to close.
    thread: Option<Running<()>>,
}

#[derive(Clone, Default)]
struct Runs(Arc<Mutex<RoutedRuns>>);

#[derive(Default)]
struct RoutedRuns {
    open: Vec<Arc<RunContext>>,
    /// The ids of the last runs that ended.
    ended: VecDeque<String>,
    matcher: NoticeMatcher,
    /// When a notice that matches nothing was last logged, and how many more have come since.
    stray: (Option<Monotonic>, u64),
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").field("count", &self.all().open.len()).finish()
    }
}

impl Runs {
    fn all(&self) -> MutexGuard<'_, RoutedRuns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes a notice to the attempt that it means. Any other is answered and logged, and changes nothing.
    fn route(&self, notice: &EndNotice) -> Result<(), NotTaken> {
        let (mut routed, now) = (self.all(), Monotonic::now());
        if routed.matcher.is_repeated(notice) {
            return Ok(());
        }
        let found = {
            let calls: Vec<MutexGuard<'_, CallsInFlight>> = routed.open.iter().map(|run| run.calls()).collect();
            let each: Vec<&CallsInFlight> = calls.iter().map(|calls| &**calls).collect();
            routed.matcher.find(&each, notice, now)
        };
        let Some((at, call)) = found else {
            // Our own runner may report an end in two ways; this is the second one.
            return if routed.knows(&notice.run_id) || routed.keep(notice, now) {
                Ok(())
            } else {
                Err(routed.unknown(notice))
            };
        };
        routed.matcher.remember(notice);
        let run = routed.open.get(at).map(Arc::clone);
        drop(routed);
        if let Some(run) = run {
            // Only its acknowledgement shows whether this can be its end.
            let waits = {
                let mut calls = run.calls();
                call.progress() == StartProgress::Pending && calls.keep(notice, now)
            };
            if !waits {
                run.notice(&call, notice);
            }
        }
        Ok(())
    }
}

impl RoutedRuns {
    /// A notice means no task in flight.
    fn unknown(&mut self, notice: &EndNotice) -> NotTaken {
        self.log(notice, "it changes nothing");
        NotTaken::Unknown
    }

    /// Keeps a notice with an unknown name in the runs whose task servers may still answer with that name.
    fn keep(&mut self, notice: &EndNotice, now: Monotonic) -> bool {
        // Every run keeps it: it is not known yet whose task server uses the name.
        let mut keeps = false;
        for run in &self.open {
            keeps |= run.calls().keep(notice, now);
        }
        if keeps {
            self.log(notice, "it changes nothing unless the task server of one in flight answers with that name");
        }
        keeps
    }

    /// Logs, now and then, that a notice names no task in flight: anybody who reaches the port can send one.
    fn log(&mut self, notice: &EndNotice, so: &str) {
        let now = Monotonic::now();
        let (logged, more) = &mut self.stray;
        if logged.is_some_and(|logged| now.since(logged) < STRAY) {
            *more += 1;
        } else {
            let from = notice.from.map(tracing::field::display);
            let (task, run) = (notice.task_id.as_str(), notice.run_id.as_str());
            tracing::info!(task, run, from, more_before = *more, "an end notice names no task in flight; {so}");
            (*logged, *more) = (Some(now), 0);
        }
    }

    /// Whether a run goes on here, or has ended not long ago.
    fn knows(&self, run: &str) -> bool {
        !run.is_empty()
            && (self.open.iter().any(|open| open.calls().run() == run) || self.ended.iter().any(|ended| ended == run))
    }
}

/// A run to which notices are routed, until this is dropped.
pub(super) struct RoutedRun {
    runs: Runs,
    run: Arc<RunContext>,
}

impl Drop for RoutedRun {
    fn drop(&mut self) {
        let mut routed = self.runs.all();
        routed.open.retain(|run| !Arc::ptr_eq(run, &self.run));
        routed.ended.truncate(ENDED - 1);
        routed.ended.push_front(self.run.calls().run().to_owned());
    }
}

impl NoticeRouter {
    /// Listens at the addresses, which need `tls` when they begin with `tls://`; `output_limit` is what a task may give as its
    /// output, in bytes. The first address must be had; others that cannot be are left out, and logged.
    ///
    /// # Errors
    /// When the first address cannot be listened at.
    pub fn open(
        addresses: &[TaskAddress],
        real_time: RealTime,
        output_limit: usize,
        tls: Option<Tls>,
    ) -> Result<Self, RunError> {
        let (bound_tx, bound_rx) = sync_channel(1);
        let (close, closed) = oneshot::channel();
        let runs = Runs::default();
        let addresses = addresses.to_vec();
        let serving = Serving { addresses, runs: runs.clone(), output_limit, tls, bound: bound_tx, closed };
        let settings =
            rt::ThreadSettings { name: "sp-notices".to_owned(), real_time: lowest(real_time), stack: CALLS_STACK };
        let prepared = Prepared::new(settings, move || serving.run()).map_err(RunError::Caller)?;
        let remarks = prepared.applied().refusals().map(|refused| format!("sp-notices: {}", chain(refused))).collect();
        let thread = prepared.start();
        match bound_rx.recv() {
            Ok(Ok(addresses)) => Ok(Self { runs, addresses, remarks, close: Some(close), thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RunError::Caller(ended(thread))),
        }
    }

    /// Where it listens, with commas in between; a port 0 that was asked for is the one that was found.
    pub fn addresses(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Whether notices are still received.
    pub fn is_open(&self) -> bool {
        self.close.as_ref().is_some_and(|close| !close.is_closed())
    }

    /// What was asked of the machine and could not be had.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Routes notices to a run from now on.
    pub(super) fn register(&self, run: Arc<RunContext>) -> RoutedRun {
        self.runs.all().open.push(Arc::clone(&run));
        RoutedRun { runs: self.runs.clone(), run }
    }
}

impl Drop for NoticeRouter {
    fn drop(&mut self) {
        drop(self.close.take());
        drop(self.thread.take());
    }
}

/// The settings of the thread that receives notices: a lower priority than the threads that start tasks, whatever comes in
/// from outside.
fn lowest(real_time: RealTime) -> RealTime {
    let calls = below(real_time);
    let policy = match calls.policy {
        RtPolicy::Fifo { priority } if priority > 1 => RtPolicy::Fifo { priority: priority - 1 },
        RtPolicy::RoundRobin { priority } if priority > 1 => RtPolicy::RoundRobin { priority: priority - 1 },
        _ => RtPolicy::Other,
    };
    RealTime { policy, ..calls }
}

/// What the thread works with.
struct Serving {
    addresses: Vec<TaskAddress>,
    runs: Runs,
    output_limit: usize,
    tls: Option<Tls>,
    bound: SyncSender<Result<Vec<TaskAddress>, RunError>>,
    /// Closed with the router.
    closed: oneshot::Receiver<()>,
}

impl Serving {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            // When it cannot be sent, nobody waits for it.
            Err(error) => return drop(self.bound.send(Err(RunError::Runtime(error)))),
        };
        runtime.block_on(self.serve());
    }

    async fn serve(self) {
        let mut listeners = Vec::new();
        for (at, address) in self.addresses.iter().enumerate() {
            match Listener::bind(address, self.tls.as_ref()).await {
                Ok(listener) => listeners.push(listener),
                Err(error) if at == 0 => return drop(self.bound.send(Err(RunError::Listen(error)))),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "cannot listen for end notices of containers there");
                }
            }
        }
        // When it cannot be sent, nobody waits for it, and the router closes.
        let _ = self.bound.send(Ok(listeners.iter().map(|listener| listener.address().clone()).collect()));
        let closed = async { drop(self.closed.await) }.shared();
        let each = listeners.into_iter().map(|listener| {
            let runs = self.runs.clone();
            let orchestrator = NoticeServer {
                notice: move |notice: EndNotice| runs.route(&notice),
                health: || Health {
                    running: true,
                    time: clock::now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs(),
                },
                max_notice: self.output_limit.saturating_mul(LARGER).saturating_add(NOTICE_FRAME),
            };
            orchestrator.serve(listener, DRAIN, closed.clone())
        });
        for served in join_all(each).await {
            if let Err(error) = served {
                tracing::error!(error = chain(&error), "end notices are no longer received");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskProtocol;
    use crate::wire::{CallError, OrchestratorChannel, OutputFault, Payload, TaskResult};

    #[tokio::test]
    async fn a_notice_with_too_large_an_output_is_read_so_that_it_can_be_reported() {
        let limit = 1 << 12;
        let addresses = [TaskAddress::Tcp("127.0.0.1".to_owned(), 0)];
        let plain = RealTime { policy: RtPolicy::Other, cpu: None };
        let router = NoticeRouter::open(&addresses, plain, limit, None).unwrap();
        let channel = OrchestratorChannel::new(router.addresses.first().unwrap().clone(), None);
        let notice = EndNotice {
            raw_output: Payload::encode(&"x".repeat(3 * limit).into(), TaskProtocol::Json),
            ..EndNotice::new("t", TaskResult::Success)
        };
        assert!(matches!(notice.output(TaskProtocol::Json, limit), Err(OutputFault::TooLarge { .. })));
        let error = channel.notify(&notice, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(&error, CallError::Refused { message, .. } if message == "unknown task"), "{error:?}");
    }

    #[test]
    fn what_comes_from_outside_never_stands_in_the_way_of_a_start() {
        let fifo = |priority| RtPolicy::Fifo { priority };
        for (keeper, expected) in [(80, fifo(78)), (3, fifo(1)), (2, RtPolicy::Other), (1, RtPolicy::Other)] {
            let real_time = RealTime { policy: fifo(keeper), cpu: Some(1) };
            assert_eq!(lowest(real_time), RealTime { policy: expected, cpu: Some(1) });
            assert_ne!(lowest(real_time).policy, below(real_time).policy);
        }
        let plain = RealTime { policy: RtPolicy::Other, cpu: None };
        assert_eq!(lowest(plain), plain);
    }
}
