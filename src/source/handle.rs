//! The handle on a repository's threads.

use super::cache::RepositoryCache;
use super::progress::Progress;
use super::watch::WatchSettings;
use super::{Blobs, ChangedFile, SourceConfig, SourceError};
use crate::model::{CommitId, ContextFile, FileTree, Revision};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that may wait for the thread.
const QUEUE: usize = 32;
/// How much longer than its own bound a fetch without progress is waited for.
const GRACE: Duration = Duration::from_secs(2);

type RepositoryTask = Box<dyn FnOnce(&RepositoryCache) + Send>;

/// A repository that only its own OS threads touch; cheap to clone. One thread fetches and one reads, so that a server that
/// does not answer does not delay reading what is already here. They end with the last handle.
#[derive(Clone)]
pub struct Source {
    fetches: mpsc::Sender<RepositoryTask>,
    reads: mpsc::Sender<RepositoryTask>,
    shared: Arc<SourceState>,
}

struct SourceState {
    config: SourceConfig,
    blobs: Blobs,
    /// Fetches that failed in a row.
    failures: watch::Sender<u32>,
    progress: Progress,
    stop: Arc<AtomicBool>,
}

impl Drop for SourceState {
    fn drop(&mut self) {
        // The thread gives up a transfer at its next progress report, and is not waited for.
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Source {
    /// Opens a repository on this machine, or prepares the clone of a remote one. Does not use the network; the first
    /// [`Source::fetch`] does.
    ///
    /// # Errors
    /// When there is no repository at a local path, a credential file cannot be read, or the cache folder cannot be made.
    pub fn open(config: SourceConfig) -> Result<Self, SourceError> {
        let stop = Arc::new(AtomicBool::new(false));
        let progress = Progress::default();
        let cache = Arc::new(RepositoryCache::new(&config, Arc::clone(&stop), progress.clone())?);
        let blobs = Blobs::of_repository(cache.path.clone());
        let reads = start("git-read", Arc::clone(&cache))?;
        let fetches = start("git-fetch", cache)?;
        let failures = watch::Sender::new(0);
        Ok(Self { fetches, reads, shared: Arc::new(SourceState { config, blobs, failures, progress, stop }) })
    }

    /// Fetches (remote) or reads (local) and returns which commit the followed branch or tag now is.
    ///
    /// # Errors
    /// When the server cannot be reached, makes no progress for too long, does not let us in, or the reference does not
    /// exist.
    pub async fn fetch(&self) -> Result<Revision, SourceError> {
        let bound = self.shared.config.fetch_timeout.saturating_add(GRACE);
        self.shared.progress.mark();
        let mut fetch = std::pin::pin!(run(&self.fetches, RepositoryCache::fetch));
        let result = loop {
            let idle = self.shared.progress.idle();
            match tokio::time::timeout(bound.saturating_sub(idle), &mut fetch).await {
                Ok(result) => break result,
                Err(_) if self.shared.progress.idle() < bound => {}
                // The thread hangs where libgit2 has no bound, such as a name server that is silent.
                Err(_) => {
                    let place = self.shared.config.address.to_string();
                    break Err(SourceError::TimedOut { place, after: bound });
                }
            }
        };
        self.shared.failures.send_modify(|failures| {
            *failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
        });
        result
    }

    /// Whether the server lets us in and has what is followed; transfers nothing. For a repository on this machine the same as
    /// [`Source::fetch`]. Says the id of the commit.
    ///
    /// # Errors
    /// As [`Source::fetch`].
    pub async fn ask(&self) -> Result<CommitId, SourceError> {
        run(&self.fetches, RepositoryCache::ask).await
    }

    /// The files of a commit below the config folder. `rev` is any name git resolves (`HEAD~1`, a tag, an id).
    ///
    /// # Errors
    /// When there is no such commit or its objects cannot be read.
    pub async fn read(&self, rev: &str) -> Result<(Revision, FileTree), SourceError> {
        let rev = rev.to_owned();
        run(&self.reads, move |cache| cache.read(&rev)).await
    }

    /// The files below the config folder that differ between two commits, sorted by path.
    ///
    /// # Errors
    /// When there is no such commit or its objects cannot be read.
    pub async fn changed_files(&self, from: &str, to: &str) -> Result<Vec<ChangedFile>, SourceError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        run(&self.reads, move |cache| cache.changed_files(&from, &to)).await
    }

    /// The commits reachable from `to` and not from `from`, newest first, at most `limit`.
    ///
    /// # Errors
    /// When there is no such commit or its objects cannot be read.
    pub async fn commits_between(&self, from: &str, to: &str, limit: usize) -> Result<Vec<Revision>, SourceError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        run(&self.reads, move |cache| cache.commits_between(&from, &to, limit)).await
    }

    /// What stays the same of the repository wherever it is cloned to: the first commit that `rev` goes back to, and the
    /// config folder.
    ///
    /// # Errors
    /// When there is no such commit or its objects cannot be read.
    pub async fn identity(&self, rev: &str) -> Result<String, SourceError> {
        let rev = rev.to_owned();
        let first = run(&self.reads, move |cache| cache.first_commit(&rev)).await?;
        let folder = self.shared.config.path.trim_matches('/');
        Ok(if folder.is_empty() { first } else { format!("{first}:{folder}") })
    }

    /// The address, and the config folder when it is not the root: `ssh://git@host/infra.git (prod)`. Holds no secret.
    pub fn place(&self) -> String {
        let (address, folder) = (&self.shared.config.address, self.shared.config.path.trim_matches('/'));
        if folder.is_empty() { address.to_string() } else { format!("{address} ({folder})") }
    }

    /// Where the repository of this one is: for a clone on this machine the address it was cloned from, else its own. Two clones
    /// of one repository have one origin; a fork has another. Holds no secret.
    pub fn origin(&self) -> String {
        let folder = self.shared.config.path.trim_matches('/');
        let local = self.shared.config.address.local().is_some();
        match local.then(|| super::cache::origin(self.git_dir())).flatten() {
            Some(origin) if folder.is_empty() => origin,
            Some(origin) => format!("{origin} ({folder})"),
            None => self.place(),
        }
    }

    /// A tar stream of these files, read from git objects while it is consumed.
    pub fn archive(&self, files: Arc<[ContextFile]>) -> BoxStream<'static, std::io::Result<Bytes>> {
        self.shared.blobs.archive(files)
    }

    /// Hints that the repository may have changed: file events and a slow poll for a local one, a timer with jitter and
    /// backoff for a remote one. A hint carries no data; [`Source::fetch`] returns the commit. Ends when the receiver is dropped.
    pub fn watch(&self) -> mpsc::Receiver<()> {
        let config = &self.shared.config;
        let watch = WatchSettings {
            git_dir: config.address.local().map(|_| self.git_dir().to_owned()),
            poll: config.poll,
            jitter: config.jitter,
            backoff_limit: config.backoff_limit,
            failures: self.shared.failures.subscribe(),
        };
        super::watch::start(watch).unwrap_or_else(|error| {
            tracing::error!(repository = %config.address, %error, "cannot watch the repository");
            // Closed immediately, which the caller sees.
            mpsc::channel(1).1
        })
    }

    /// Where the contents of this repository's files come from.
    pub fn blobs(&self) -> Blobs {
        self.shared.blobs.clone()
    }

    /// The folder with the git objects: the user's repository, or the clone.
    pub fn git_dir(&self) -> &Path {
        self.shared.blobs.place()
    }

    /// What it was opened with.
    pub fn config(&self) -> &SourceConfig {
        &self.shared.config
    }
}

/// Starts a thread that does tasks until the last sender is gone.
fn start(name: &str, cache: Arc<RepositoryCache>) -> Result<mpsc::Sender<RepositoryTask>, SourceError> {
    let (tasks, mut queue) = mpsc::channel::<RepositoryTask>(QUEUE);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            while let Some(task) = queue.blocking_recv() {
                task(&cache);
            }
        })
        .map_err(|source| SourceError::Thread { source })?;
    Ok(tasks)
}

async fn run<T: Send + 'static>(
    thread: &mpsc::Sender<RepositoryTask>,
    work: impl FnOnce(&RepositoryCache) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let (answer, result) = oneshot::channel();
    let task: RepositoryTask = Box::new(move |cache| {
        // When the caller has given up, nothing is lost by leaving it.
        if !answer.is_closed() {
            let _ = answer.send(work(cache));
        }
    });
    thread.try_send(task).map_err(|error| match error {
        TrySendError::Full(_) => SourceError::Busy,
        TrySendError::Closed(_) => SourceError::Stopped,
    })?;
    result.await.unwrap_or(Err(SourceError::Stopped))
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("address", &self.shared.config.address).finish_non_exhaustive()
    }
}
