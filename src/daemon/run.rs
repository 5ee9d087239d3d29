//! Building a daemon from its parts and running it to its end.

use super::asked::{ApplyAsking, ApplyRequest, apply_requests};
use super::follow::{Head, SourceFollower, follow_engine};
use super::handle::Handle;
use super::look;
use super::reconcile::{Reconciler, State};
use super::status::{DaemonStatus, Status};
use super::timing::{Asking, Orchestrator, Request, Timing, requests};
use super::trigger::Triggers;
use crate::apply::load::Loader;
use crate::apply::probes::{Prober, ask};
use crate::engine::Engine;
use crate::event::{Event, Fact};
use crate::process::error::chain;
use crate::process::supervise::TaskResult;
use crate::process::{Backoff, Lost, Policy, StateFolder, StateFolderError, Supervisor, clock};
use crate::source::Source;
use crate::store::{Store, StoreError};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What a daemon is made of. All of it is ready to be used: nothing fails any more for want of a file or an address.
#[derive(Clone, Debug)]
pub struct Config {
    /// The repo it follows.
    pub source: Source,
    /// The engine it drives.
    pub engine: Engine,
    /// Folder of the store and the lock.
    pub state_dir: PathBuf,
    /// Socket of the API.
    pub socket: PathBuf,
    /// Time between two looks although nothing happened.
    pub resync: Duration,
    /// How long a stop may take.
    pub shutdown: Duration,
    /// How runs of schedules are conducted.
    pub orchestrator: Orchestrator,
    /// Take the environment over although it was last applied from another repo.
    pub adopt: bool,
    /// Version of the program, for status and events.
    pub version: String,
}

/// A daemon that is ready to run.
pub struct Daemon {
    config: Config,
    store: Store,
    folder: Arc<StateFolder>,
    status: watch::Sender<Arc<Status>>,
    view: watch::Sender<Option<Arc<crate::plan::render::View>>>,
    triggers: Triggers,
    asking: Asking,
    requests: mpsc::Receiver<Request>,
    applies: ApplyAsking,
    apply_requests: mpsc::Receiver<ApplyRequest>,
}

/// A daemon could not be built, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state folder cannot be held.
    #[error("the daemon cannot use its state folder")]
    Folder(#[from] StateFolderError),
    /// The store does not work.
    #[error("the daemon cannot use its database")]
    Store(#[from] StoreError),
    /// A task was lost or did not end in time.
    #[error("the daemon did not shut down cleanly")]
    Lost(#[from] Lost),
}

impl Daemon {
    /// Takes the state folder and opens the store. Starts nothing yet.
    ///
    /// # Errors
    /// When another daemon has the folder, or the store does not work.
    pub fn new(config: Config) -> Result<Self, DaemonError> {
        let mut folder = StateFolder::hold(&config.state_dir)?;
        let store = Store::open(&config.state_dir)?;
        folder.watch(store.path())?;
        let folder = Arc::new(folder);
        let daemon = DaemonStatus {
            version: config.version.clone(),
            pid: std::process::id(),
            started_at: clock::now(),
            installation: store.installation().to_owned(),
        };
        let status = watch::Sender::new(Arc::new(Status::new(Some(daemon), &config.source.place())));
        let (asking, requests) = requests();
        let (applies, apply_requests) = apply_requests();
        let (view, triggers) = (watch::Sender::new(None), Triggers::default());
        Ok(Self { config, store, folder, status, view, triggers, asking, requests, applies, apply_requests })
    }

    /// What an API may see and ask.
    pub fn handle(&self) -> Handle {
        Handle {
            store: self.store.clone(),
            engine: self.config.engine.clone(),
            status: self.status.subscribe(),
            view: self.view.subscribe(),
            triggers: self.triggers.clone(),
            asking: self.asking.clone(),
            applies: self.applies.clone(),
        }
    }

    /// Runs until `stop` is cancelled. `listeners` are the API's, each a task like the others; it ends when its token is cancelled.
    ///
    /// # Errors
    /// When an essential task is lost, or a task does not end within the deadline.
    pub async fn run<S, T>(
        self,
        stop: CancellationToken,
        listeners: impl IntoIterator<Item = S>,
    ) -> Result<(), DaemonError>
    where
        S: FnOnce(Handle, CancellationToken) -> T + Send + 'static,
        T: Future<Output = TaskResult> + Send + 'static,
    {
        let handle = self.handle();
        let tasks = Supervisor::new(stop.clone());
        let (head, head_seen) = watch::channel(Head::default());
        let (owner, owner_seen) = watch::channel(None);
        let (targets, targets_seen) = watch::channel(Arc::default());
        let (healths, healths_seen) = watch::channel(Arc::default());
        let (applied, applied_seen) = watch::channel(None);
        let Self { config, store, folder, status, view, triggers, asking: _, requests, applies: _, apply_requests } =
            self;
        announce(&config, store.installation());
        store.record(&Event { at: clock::now(), fact: Fact::DaemonStarted { version: config.version.clone() } })?;
        let loader = Loader { source: config.source.clone(), store: store.clone(), adopt: config.adopt };
        let installation = store.installation().to_owned();
        once(&tasks, "state folder", look::keep(Arc::clone(&folder), installation, stop.clone()));
        let mut reconciler = Reconciler {
            engine: config.engine.clone(),
            loader: loader.clone(),
            state_dir: config.state_dir.clone(),
            folder,
            resync: config.resync,
            triggers: triggers.clone(),
            requests: apply_requests,
            head: head_seen,
            owner,
            targets,
            applied,
            healths: healths_seen,
            status,
            view,
            stop: stop.clone(),
            state: State::default(),
        };
        // Before anything asks the repo's thread for the network.
        reconciler.resume().await;

        let follower = SourceFollower {
            source: config.source.clone(),
            loader,
            triggers: triggers.clone(),
            head,
            stop: stop.clone(),
        };
        once(&tasks, "source", follower.run());
        let (engine, look, ending) = (config.engine.clone(), triggers.clone(), stop.clone());
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        tasks.spawn("engine events", Policy::Restart(backoff), move || {
            follow_engine(engine.clone(), owner_seen.clone(), look.clone(), ending.clone())
        });
        let ask = ask(config.engine.clone());
        let changed = Box::new(move || triggers.look());
        let prober = Prober { targets: targets_seen, healths, changed, ask, stop: stop.clone() };
        once(&tasks, "probes", prober.run());
        let timing = Timing::new(config.orchestrator, applied_seen, requests, stop.clone(), config.shutdown);
        once(&tasks, "schedules", timing.run());
        once(&tasks, "reconcile", reconciler.run());
        for serve in listeners {
            once(&tasks, "api", serve(handle.clone(), stop.clone()));
        }

        let end = tasks.run(config.shutdown).await;
        if end.is_ok()
            && let Err(error) = store.record(&Event { at: clock::now(), fact: Fact::DaemonStopped })
        {
            tracing::warn!(error = chain(&error), "the shutdown was not recorded");
        }
        Ok(end?)
    }
}

/// Says in the log what the daemon works with.
fn announce(config: &Config, installation: &str) {
    let reference = config.source.config().reference.as_deref().unwrap_or("HEAD");
    tracing::info!(
        version = config.version,
        repo = config.source.place(),
        reference,
        engine = config.engine.endpoint(),
        state_dir = %config.state_dir.display(),
        installation,
        "daemon starting"
    );
}

/// Starts an essential task from a future that exists once. It is never started again: its end is the process's end.
fn once<T>(tasks: &Supervisor, name: &'static str, work: T)
where
    T: Future<Output = TaskResult> + Send + 'static,
{
    let work = Mutex::new(Some(work));
    tasks.spawn(name, Policy::Essential, move || {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            match work {
                Some(work) => work.await,
                None => Err("it cannot be started twice".into()),
            }
        }
    });
}
