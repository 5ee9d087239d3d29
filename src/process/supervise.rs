//! The only place that starts tasks. Each has a name and a policy for its end; a panic is caught and counts as an error.

use super::Backoff;
use super::error::chain;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch::error::RecvError;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the end of a task whose counterpart is gone waits for the end of that counterpart, which has the cause.
const CAUSE: Duration = Duration::from_secs(1);

/// What a task ends with: `Ok` when its work is done or it was asked to stop.
pub type TaskResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// What the end of a task leads to.
#[derive(Clone, Debug)]
pub enum Policy {
    /// The process cannot do without it: when it ends before it was asked to, everything ends.
    Essential,
    /// It is started again after an error or an early end, with backoff.
    Restart(Backoff),
    /// It may end; an error is logged.
    Finish,
}

/// An essential task ended, or tasks did not end in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// An essential task is gone.
    #[error("the task `{task}` ended: {error}")]
    Essential {
        /// Its name.
        task: String,
        /// Why, with all causes.
        error: String,
    },
    /// The deadline of the shutdown passed.
    #[error("did not stop within {}s: {}", .deadline.as_secs(), .tasks.join(", "))]
    Deadline {
        /// How long was waited.
        deadline: Duration,
        /// Names of the tasks that were cut off.
        tasks: Vec<String>,
    },
}

/// Starts tasks and ends them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Running tasks, by their number.
    running: Mutex<BTreeMap<u64, (String, Option<AbortHandle>)>>,
    next: Mutex<u64>,
    lost: Mutex<Option<Lost>>,
}

impl Supervisor {
    /// A supervisor whose tasks are asked to stop when `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self { inner: Arc::new(Inner { stop, ..Inner::default() }) }
    }

    /// The token that every task watches.
    pub fn stop_token(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// Starts a task. `make` is called once, and again for each restart.
    pub fn spawn<F, T>(&self, name: impl Into<String>, policy: Policy, mut make: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = TaskResult> + Send + 'static,
    {
        let name = name.into();
        let id = self.register(&name);
        let inner = Arc::clone(&self.inner);
        let work = async move {
            let done = Unregister { inner: Arc::clone(&inner), id };
            let mut policy = policy;
            loop {
                let end = caught(make()).await;
                if inner.stop.is_cancelled() {
                    if let Err(failed) = end {
                        tracing::warn!(task = name, error = failed.error, "task failed while stopping");
                    }
                    break;
                }
                match (&mut policy, end) {
                    (Policy::Finish, Ok(())) => break,
                    (Policy::Finish, Err(failed)) => {
                        tracing::warn!(task = name, error = failed.error, "task failed");
                        break;
                    }
                    (Policy::Essential, end) => {
                        let is_consequence = end.as_ref().is_err_and(|failed| failed.is_consequence);
                        if is_consequence && tokio::time::timeout(CAUSE, inner.stop.cancelled()).await.is_ok() {
                            break;
                        }
                        let error = end
                            .map_or_else(|failed| failed.error, |()| "it returned before it was asked to".to_owned());
                        tracing::error!(task = name, error, "essential task lost; the process ends");
                        inner.lose(Lost::Essential { task: name.clone(), error });
                        break;
                    }
                    (Policy::Restart(backoff), end) => {
                        let wait = backoff.fail(fastrand::f64());
                        let error = end.map_or_else(|failed| failed.error, |()| "it returned early".to_owned());
                        tracing::warn!(task = name, error, wait_ms = wait.as_millis(), "task is started again");
                        // Both arms are cancel-safe.
                        tokio::select! {
                            () = tokio::time::sleep(wait) => {}
                            () = inner.stop.cancelled() => break,
                        }
                    }
                }
            }
            drop(done);
        };
        #[expect(clippy::disallowed_methods, reason = "this is the one place that may start a task")]
        let handle = tokio::spawn(self.inner.tracker.track_future(work));
        if let Some(entry) = lock(&self.inner.running).get_mut(&id) {
            entry.1 = Some(handle.abort_handle());
        }
    }

    /// Waits until a stop is asked for or an essential task is lost, then gives every task `deadline` to end.
    ///
    /// # Errors
    /// When an essential task was lost, or tasks had to be cut off at the deadline.
    pub async fn run(&self, deadline: Duration) -> Result<(), Lost> {
        self.inner.stop.cancelled().await;
        self.drain(deadline).await
    }

    /// Asks every task to stop and gives them `deadline` to end.
    ///
    /// # Errors
    /// As [`Supervisor::run`].
    pub async fn drain(&self, deadline: Duration) -> Result<(), Lost> {
        self.inner.stop.cancel();
        self.inner.tracker.close();
        let late = tokio::time::timeout(deadline, self.inner.tracker.wait()).await.is_err();
        if late {
            let running = std::mem::take(&mut *lock(&self.inner.running));
            let tasks = running.values().map(|(name, _)| name.clone()).collect();
            for handle in running.into_values().filter_map(|(_, handle)| handle) {
                handle.abort();
            }
            self.inner.lose(Lost::Deadline { deadline, tasks });
        }
        lock(&self.inner.lost).clone().map_or(Ok(()), Err)
    }

    fn register(&self, name: &str) -> u64 {
        let id = {
            let mut next = lock(&self.inner.next);
            *next += 1;
            *next
        };
        lock(&self.inner.running).insert(id, (name.to_owned(), None));
        id
    }
}

impl Inner {
    /// Records the first loss and asks everything to stop.
    fn lose(&self, lost: Lost) {
        lock(&self.lost).get_or_insert(lost);
        self.stop.cancel();
    }
}

/// Removes a task from the list, also when it is aborted.
struct Unregister {
    inner: Arc<Inner>,
    id: u64,
}

impl Drop for Unregister {
    fn drop(&mut self) {
        lock(&self.inner.running).remove(&self.id);
    }
}

/// A panic of another task does not make the list of tasks unusable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a task ended.
struct Failed {
    /// One line with all causes.
    error: String,
    /// The other end of a channel is gone: the task that held it ended first, and has the cause.
    is_consequence: bool,
}

/// Runs `work`; a panic becomes an error.
async fn caught(work: impl Future<Output = TaskResult>) -> Result<(), Failed> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failed { error: chain(error.as_ref()), is_consequence: error.is::<RecvError>() }),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err(Failed { error: format!("it panicked: {text}"), is_consequence: false })
        }
    }
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
