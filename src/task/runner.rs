//! Serving tasks.

use super::clock;
use super::desk::Desk;
use super::handle::Gate;
use super::notices;
use super::pool::{Pool, PoolError};
use super::registry::Registry;
use super::settings::Settings;
use super::worker::{Report, Shared};
use crate::model::{TaskAddress, TaskProtocol};
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

/// How many calls may wait for the desk.
const CALLS: usize = 64;
/// For how long the first workers may not come to run.
const RISE: Duration = Duration::from_secs(5);
/// Time for calls under way when all tasks are over.
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
    /// A worker could not be made.
    #[error("the workers could not be made")]
    Workers(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot take note of the signals by which it is ended.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// Serving ended with a mistake.
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
    settings: Settings,
    registry: Registry,
}

impl Runner {
    /// A runner of what the registry has.
    pub fn new(settings: Settings, registry: Registry) -> Self {
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
        let asked = async move {
            // Either will do, and the other is not looked at any more.
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        };
        Box::pin(self.bind().await?.serve_until(asked)).await
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
            lock_memory().or_else(|refused| weigh(&settings, &refused))?;
        }
        let gate = Arc::new(Gate::new(settings.parallel.get()));
        // No worker has more than three reports under way.
        let (reports, mut reported) = mpsc::channel(3 * (settings.parallel.get() + settings.max_armed + 1));
        let starts = Arc::new(Notify::new());
        let shared =
            Shared { gate: Arc::clone(&gate), reports, starts: Arc::clone(&starts), max_output: settings.max_output };
        let mut pool = Pool::new(shared, settings.real_time, settings.stack);
        pool.grow(settings.parallel.get() + 1)?;
        if let Some(refused) = risen(&mut pool, &mut reported).await?.into_iter().next() {
            if settings.strict {
                return Err(RunnerError::NotApplied(refused));
            }
            tracing::warn!(refused, "tasks run without a setting that was asked for");
        }
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        let listener = Listener::bind(&settings.address, tls.as_ref()).await?;
        Ok(Bound { settings, registry, gate, reported, starts, pool, listener, tls })
    }
}

/// Waits until all workers have come to run; says what of the runner's own settings they were refused.
async fn risen(pool: &mut Pool, reported: &mut mpsc::Receiver<Report>) -> Result<Vec<String>, RunnerError> {
    let mut refused = Vec::new();
    while pool.rising() > 0 {
        let report = tokio::time::timeout(RISE, reported.recv()).await;
        let Ok(Some(Report::Up { worker, thread })) = report else {
            let why = format!("they did not get a CPU within {}s", RISE.as_secs());
            return Err(RunnerError::Workers(why.into()));
        };
        // No task waits for them yet.
        refused = pool.up(worker, thread).unwrap_or_default();
    }
    Ok(refused)
}

/// Whether a refused setting ends it.
fn weigh(settings: &Settings, refused: &NotApplied) -> Result<(), RunnerError> {
    if settings.strict {
        return Err(RunnerError::NotApplied(refused.to_string()));
    }
    tracing::warn!(refused = %refused, "it runs without a setting that was asked for");
    Ok(())
}

/// A task runner that listens.
#[derive(Debug)]
pub struct Bound {
    settings: Settings,
    registry: Registry,
    gate: Arc<Gate>,
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

    /// Serves until `shutdown`; then takes back what is armed, asks what runs to stop, and gives the orchestrator a
    /// moment to hear of it. A function that does not stop is left to the end of the process.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RunnerError> {
        let Self { settings, registry, gate, reported, starts, pool, listener, tls } = self;
        let (calls, queue) = mpsc::channel(CALLS);
        let (ends, told) = mpsc::channel(notices::QUEUE);
        let tell = settings.orchestrator.clone().map(|address| {
            let channel = OrchestratorChannel::new(address, tls);
            notices::tell(channel, settings.patience, told)
        });
        let ends = tell.is_some().then_some(ends);
        let identity = Capabilities {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            functions: registry.names().map(str::to_owned).collect(),
            boot_id: clock::boot_id(),
            protocols: vec![TaskProtocol::Json, TaskProtocol::Map],
            instance: format!("{:016x}", fastrand::u64(..)),
            parallel: NonZeroU32::try_from(settings.parallel).unwrap_or(NonZeroU32::MAX),
            not_applied: Vec::new(),
        };
        let tasks = Tasks { calls, max_request: settings.max_request };
        let desk = Desk::new(settings, registry, identity, pool, gate, ends);
        let (stop, stopped) = watch::channel(false);
        let (closed, desk_closed) = watch::channel(false);

        let serving = async {
            // The server goes on until the tasks are over, so that their states can be asked for.
            let served = tasks.serve(listener, DRAIN, wait(desk_closed)).await;
            stop.send_replace(true);
            served
        };
        let asking = async {
            tokio::select! { () = shutdown => {}, () = wait(stopped.clone()) => {} }
            stop.send_replace(true);
        };
        let running = async {
            attend(desk, queue, reported, &starts, wait(stopped.clone())).await;
            closed.send_replace(true);
        };
        let telling = async {
            if let Some(tell) = tell {
                tell.await;
            }
        };
        let (served, (), (), ()) = tokio::join!(serving, asking, running, telling);
        Ok(served?)
    }
}

/// Until it is true, or nobody can say so any more.
async fn wait(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Lets the desk do its work until it is stopped and its tasks are over or left alone. With the desk go the watchers'
/// streams, and the queue of notices is closed.
async fn attend(
    mut desk: Desk,
    mut calls: mpsc::Receiver<TaskCall>,
    mut reports: mpsc::Receiver<Report>,
    starts: &Notify,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut until: Option<Monotonic> = None;
    loop {
        let now = Monotonic::now();
        if until.is_some_and(|until| now >= until || desk.is_idle()) {
            return;
        }
        let next = desk.next().into_iter().chain(until).min();
        let sleep = next.map_or(Duration::MAX, |next| next.since(now));
        // A dropped wait loses nothing: calls and reports stay in their queues, and so does one notification.
        tokio::select! {
            Some(report) = reports.recv() => desk.report(report),
            () = starts.notified() => {}
            Some(call) = calls.recv() => desk.call(call),
            () = tokio::time::sleep(sleep), if next.is_some() => {}
            () = &mut stop, if until.is_none() => until = Some(desk.close()),
        }
        desk.look();
    }
}
