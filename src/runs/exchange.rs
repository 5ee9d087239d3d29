//! Takes the end notices of task servers for every run of this process, and finds the run that each is for.

use super::conduct::{CALLS_STACK, RunError, below};
use super::flights::{Flight, only};
use super::shared::Shared;
use crate::model::{RealTime, TaskAddress, Timestamp};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::rt::{self, Prepared, Running};
use crate::wire::{EndNotice, Health, Listener, NotTaken, Orchestrator, Tls};
use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the notices under way may still take when the exchange closes.
const DRAIN: Duration = Duration::from_millis(200);
/// How many runs that have ended are remembered, for ends that are told once more.
const ENDED: usize = 256;
/// Bytes of an end notice beside its output.
const NOTICE_FRAME: usize = 64 << 10;

/// An open exchange; closes when it is dropped.
#[derive(Debug)]
pub struct Exchange {
    runs: Runs,
    address: TaskAddress,
    remarks: Vec<String>,
    close: Option<oneshot::Sender<()>>,
    /// Joined when it is dropped, after the request to close.
    thread: Option<Running<()>>,
}

#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Seats>>);

#[derive(Default)]
struct Seats {
    open: Vec<Arc<Shared>>,
    /// The ids of the last runs that ended.
    ended: VecDeque<String>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").field("count", &self.all().open.len()).finish()
    }
}

impl Runs {
    fn all(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a notice to the attempt that it means. Of several that go by its name the one at the sender's host is meant,
    /// and none when that leaves more than one: a task server that is asked for its state later tells the truth.
    fn take(&self, notice: &EndNotice) -> Result<(), NotTaken> {
        let runs = self.all();
        let of = |each: &dyn Fn(&Shared) -> Vec<(Flight, bool)>| -> Option<(Arc<Shared>, Flight)> {
            let all: Vec<(&Arc<Shared>, Flight, bool)> = runs
                .open
                .iter()
                .flat_map(|run| each(run).into_iter().map(move |(flight, near)| (run, flight, near)))
                .collect();
            let near = only(all.iter().filter(|(.., near)| *near));
            only(all.iter()).or(near).map(|(run, flight, _)| (Arc::clone(run), flight.clone()))
        };
        let named = of(&|run| run.named(notice));
        let Some((run, flight)) = named.or_else(|| of(&|run| run.guess(notice))) else {
            // Our own runner tells an end in two ways; this is the second one.
            return if runs.knows(&notice.run_id) { Ok(()) } else { Err(NotTaken::Unknown) };
        };
        drop(runs);
        run.notice(&flight, notice);
        Ok(())
    }
}

impl Seats {
    /// Whether a run goes on here, or has ended not long ago.
    fn knows(&self, run: &str) -> bool {
        !run.is_empty()
            && (self.open.iter().any(|open| open.flights().run() == run) || self.ended.iter().any(|ended| ended == run))
    }
}

/// A run that notices are taken for, until this is dropped.
pub(super) struct Seat {
    runs: Runs,
    run: Arc<Shared>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.runs.all();
        seats.open.retain(|run| !Arc::ptr_eq(run, &self.run));
        seats.ended.truncate(ENDED - 1);
        seats.ended.push_front(self.run.flights().run().to_owned());
    }
}

impl Exchange {
    /// Listens at `address`, which needs `tls` when it begins with `tls://`; `output_limit` is what a task may give as its
    /// output, in bytes.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn open(
        address: &TaskAddress,
        real_time: RealTime,
        output_limit: usize,
        tls: Option<Tls>,
    ) -> Result<Self, RunError> {
        let (bound_tx, bound_rx) = sync_channel(1);
        let (close, closed) = oneshot::channel();
        let runs = Runs::default();
        let serving =
            Serving { address: address.clone(), runs: runs.clone(), output_limit, tls, bound: bound_tx, closed };
        let real_time = below(real_time);
        let settings = rt::Settings { name: "sp-notices".to_owned(), real_time, stack: CALLS_STACK };
        let prepared = Prepared::new(settings, move || serving.run()).map_err(RunError::Caller)?;
        let remarks = prepared.applied().refusals().map(|refused| format!("sp-notices: {}", chain(refused))).collect();
        let thread = prepared.start();
        match bound_rx.recv() {
            Ok(Ok(address)) => Ok(Self { runs, address, remarks, close: Some(close), thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RunError::Caller(super::conduct::ended(thread))),
        }
    }

    /// Where it listens; a port 0 that was asked for is the one that was found.
    pub fn address(&self) -> &TaskAddress {
        &self.address
    }

    /// Whether notices are still taken.
    pub fn is_open(&self) -> bool {
        self.close.as_ref().is_some_and(|close| !close.is_closed())
    }

    /// What was asked of the machine and not had.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Takes notices for a run from now on.
    pub(super) fn seat(&self, run: Arc<Shared>) -> Seat {
        self.runs.all().open.push(Arc::clone(&run));
        Seat { runs: self.runs.clone(), run }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        drop(self.close.take());
        drop(self.thread.take());
    }
}

/// What the thread works with.
struct Serving {
    address: TaskAddress,
    runs: Runs,
    output_limit: usize,
    tls: Option<Tls>,
    bound: SyncSender<Result<TaskAddress, RunError>>,
    /// Closed with the exchange.
    closed: oneshot::Receiver<()>,
}

impl Serving {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(RunError::Runtime(error)),
        };
        runtime.block_on(async {
            let listener = match Listener::bind(&self.address, self.tls.as_ref()).await {
                Ok(listener) => listener,
                Err(error) => return self.fail(RunError::Listen(error)),
            };
            // Who waits for this is gone when it cannot be sent, and then the exchange closes.
            let _ = self.bound.send(Ok(listener.address().clone()));
            let runs = self.runs.clone();
            let orchestrator = Orchestrator {
                notice: move |notice: EndNotice| runs.take(&notice),
                health: || Health {
                    running: true,
                    time: clock::now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs(),
                },
                max_notice: self.output_limit.saturating_add(NOTICE_FRAME),
            };
            let closed = async { drop(self.closed.await) };
            if let Err(error) = orchestrator.serve(listener, DRAIN, closed).await {
                tracing::error!(error = chain(&error), "end notices are not taken any more");
            }
        });
    }

    fn fail(&self, error: RunError) {
        let _ = self.bound.send(Err(error));
    }
}
