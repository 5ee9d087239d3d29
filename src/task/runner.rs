//! Serving tasks.

use super::handle::Slots;
use super::notices;
use super::pool::{Pool, PoolError};
use super::registry::Registry;
use super::settings::RunnerSettings;
use super::table::TaskTable;
use super::worker::{Report, WorkerContext};
use crate::model::{TaskAddress, TaskProtocol};
use crate::process::boot;
use crate::rt::{Monotonic, NotApplied, lock_memory};
use crate::wire::{
    Capabilities, ListenError, Listener, OrchestratorChannel, ServeError, TaskCall, Tasks, Tls, TlsError,
};
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

/// How many calls may wait for the task table.
const CALLS: usize = 64;
/// How long the first workers may take to start.
const WORKER_START: Duration = Duration::from_secs(5);
/// Time for calls in progress when all tasks have ended.
const DRAIN: Duration = Duration::from_secs(1);

/// A task runner cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// There is nothing of that name in the registry.
    #[error("there is no kind of task `{name}`; there are {known}")]
    Name {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A setting was refused, and the runner is strict.
    #[error("{0}")]
    NotApplied(String),
    /// A worker cannot be started.
    #[error("cannot start the workers")]
    Workers(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot receive the signals that end it.
    #[error("cannot receive signals")]
    Signals(#[source] std::io::Error),
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl From<PoolError> for RunnerError {
    fn from(error: PoolError) -> Self {
        Self::Workers(Box::new(error))
    }
}

/// A task runner.
#[derive(Debug)]
pub struct Runner {
    settings: RunnerSettings,
    registry: Registry,
}

impl Runner {
    /// A runner of what the registry has.
    pub fn new(settings: RunnerSettings, registry: Registry) -> Self {
        Self { settings, registry }
    }

    /// Serves until the process is asked to end (SIGINT, SIGTERM). Best on a current-thread runtime of tokio: a start
    /// then takes half the time. It starts no task of that runtime itself.
    ///
    /// # Errors
    /// See [`RunnerError`].
    pub async fn serve(self) -> Result<(), RunnerError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunnerError::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RunnerError::Signals)?;
        let requested = async move {
            // Either signal will do; the other is no longer received.
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        };
        Box::pin(self.bind().await?.serve_until(requested)).await
    }

    /// Locks memory, makes the workers, and listens. Calls wait until it serves.
    ///
    /// # Errors
    /// See [`RunnerError`].
    pub async fn bind(self) -> Result<Bound, RunnerError> {
        let Self { settings, registry } = self;
        let known = || registry.names().collect::<Vec<_>>().join(", ");
        let missing = |name| RunnerError::Name { name, known: known() };
        let registry = registry.clone().only(&settings.names).map_err(missing)?;
        if settings.lock_memory {
            lock_memory().or_else(|refused| refuse_if_strict(&settings, &refused))?;
        }
        let slots = Arc::new(Slots::new(settings.parallel.get()));
        // No worker has more than three reports in the queue.
        let (reports, mut reported) = mpsc::channel(3 * (settings.parallel.get() + settings.max_armed + 1));
        let starts = Arc::new(Notify::new());
        let context = WorkerContext {
            slots: Arc::clone(&slots),
            reports,
            starts: Arc::clone(&starts),
            max_output: settings.max_output,
        };
        let mut pool = Pool::new(context, settings.real_time, settings.stack);
        pool.grow(settings.parallel.get() + 1)?;
        if let Some(refused) = workers_started(&mut pool, &mut reported).await?.into_iter().next() {
            if settings.strict {
                return Err(RunnerError::NotApplied(refused));
            }
            tracing::warn!(refused, "tasks run without a setting that was asked for");
        }
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        let listener = Listener::bind(&settings.address, tls.as_ref()).await?;
        Ok(Bound { settings, registry, slots, reported, starts, pool, listener, tls })
    }
}

/// Waits until all workers run; returns which of the runner's own settings they were refused.
async fn workers_started(pool: &mut Pool, reported: &mut mpsc::Receiver<Report>) -> Result<Vec<String>, RunnerError> {
    let mut refused = Vec::new();
    while pool.starting() > 0 {
        let report = tokio::time::timeout(WORKER_START, reported.recv()).await;
        let Ok(Some(Report::WorkerStarted { worker, thread })) = report else {
            let why = format!("they did not get a CPU within {}s", WORKER_START.as_secs());
            return Err(RunnerError::Workers(why.into()));
        };
        // No task waits for them yet.
        refused = pool.started(worker, thread).unwrap_or_default();
    }
    Ok(refused)
}

/// A refused setting ends a strict runner; another one logs it.
fn refuse_if_strict(settings: &RunnerSettings, refused: &NotApplied) -> Result<(), RunnerError> {
    if settings.strict {
        return Err(RunnerError::NotApplied(refused.to_string()));
    }
    tracing::warn!(refused = %refused, "it runs without a setting that was asked for");
    Ok(())
}

/// A task runner that listens.
#[derive(Debug)]
pub struct Bound {
    settings: RunnerSettings,
    registry: Registry,
    slots: Arc<Slots>,
    reported: mpsc::Receiver<Report>,
    starts: Arc<Notify>,
    pool: Pool,
    listener: Listener,
    tls: Option<Tls>,
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> &TaskAddress {
        self.listener.address()
    }

    /// Serves until `shutdown`; then withdraws what is armed, asks what runs to stop, and gives the orchestrator a
    /// moment to learn of it. A function that does not stop is left to the end of the process.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RunnerError> {
        let Self { settings, registry, slots, reported, starts, pool, listener, tls } = self;
        let (calls, queue) = mpsc::channel(CALLS);
        let (ends, ended) = mpsc::channel(notices::QUEUE);
        let delivery = settings.orchestrator.clone().map(|address| {
            let channel = OrchestratorChannel::new(address, tls);
            notices::deliver(channel, settings.patience, ended)
        });
        let ends = delivery.is_some().then_some(ends);
        let identity = Capabilities {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            functions: registry.names().map(str::to_owned).collect(),
            boot_id: boot::id().to_owned(),
            protocols: vec![TaskProtocol::Json, TaskProtocol::Map],
            instance: format!("{:016x}", fastrand::u64(..)),
            parallel: NonZeroU32::try_from(settings.parallel).unwrap_or(NonZeroU32::MAX),
            not_applied: Vec::new(),
        };
        let tasks = Tasks { calls, max_request: settings.max_request };
        let table = TaskTable::new(settings, registry, identity, pool, slots, ends);
        let (stop, stopped) = watch::channel(false);
        let (closed, table_closed) = watch::channel(false);

        let serving = async {
            // The server goes on until the tasks have ended, so that their states can be asked for.
            let served = tasks.serve(listener, DRAIN, wait(table_closed)).await;
            stop.send_replace(true);
            served
        };
        let asking = async {
            tokio::select! { () = shutdown => {}, () = wait(stopped.clone()) => {} }
            stop.send_replace(true);
        };
        let running = async {
            serve_table(table, queue, reported, &starts, wait(stopped.clone())).await;
            closed.send_replace(true);
        };
        let telling = async {
            if let Some(delivery) = delivery {
                delivery.await;
            }
        };
        let (served, (), (), ()) = tokio::join!(serving, asking, running, telling);
        Ok(served?)
    }
}

/// Waits until it is true, or its sender is gone.
async fn wait(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Serves calls and reports until the runner is stopped and its tasks have ended or are left alone. With the table, the
/// watchers' streams end, and the queue of notices is closed.
async fn serve_table(
    mut table: TaskTable,
    mut calls: mpsc::Receiver<TaskCall>,
    mut reports: mpsc::Receiver<Report>,
    starts: &Notify,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut until: Option<Monotonic> = None;
    loop {
        let now = Monotonic::now();
        if until.is_some_and(|until| now >= until || table.is_idle()) {
            return;
        }
        let next = table.next_due().into_iter().chain(until).min();
        let sleep = next.map_or(Duration::MAX, |next| next.since(now));
        // A dropped wait loses nothing: calls and reports stay in their queues, and so does one notification.
        tokio::select! {
            Some(report) = reports.recv() => table.report(report),
            () = starts.notified() => {}
            Some(call) = calls.recv() => table.call(call),
            () = tokio::time::sleep(sleep), if next.is_some() => {}
            () = &mut stop, if until.is_none() => until = Some(table.close()),
        }
        table.run_due();
    }
}
