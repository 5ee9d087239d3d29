//! Hints that a repository may have changed. A hint carries no data; its receiver reads the repository.

use super::SourceError;
use crate::process::backoff::{doubled, jittered};
use notify::{EventKind, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Git changes several files per commit; this long must nothing happen before a hint is given.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// Changes without a pause still give a hint after this time.
const DEBOUNCE_LIMIT: Duration = Duration::from_secs(1);
/// A poll interval of zero would be a busy loop.
const SHORTEST: Duration = Duration::from_millis(100);
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
/// How often a repository that vanished is searched for.
const VANISHED: Duration = Duration::from_secs(1);

/// The settings of a watch.
#[derive(Clone, Debug)]
pub(super) struct WatchSettings {
    /// The git folder of a local repository; `None` polls only.
    pub git_dir: Option<PathBuf>,
    pub poll: Duration,
    pub jitter: f64,
    pub backoff_limit: Duration,
    /// Fetches that failed in a row.
    pub failures: watch::Receiver<u32>,
}

/// Starts a thread that gives hints until the receiver is dropped.
pub(super) fn start(watch: WatchSettings) -> Result<mpsc::Receiver<()>, SourceError> {
    let failed = |source| SourceError::Thread { source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    // One waiting hint is enough: it carries no data.
    let (hints, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("git-watch".to_owned())
        .spawn(move || runtime.block_on(run(watch, hints)))
        .map_err(failed)?;
    Ok(receiver)
}

async fn run(mut watch: WatchSettings, hints: mpsc::Sender<()>) {
    let Some(git_dir) = watch.git_dir.clone() else { return poll(&mut watch, &hints).await };
    // Reading an existing repository costs a few files, so local failures need no backoff.
    loop {
        // Before the watches, so that a repository made in between is not missed.
        let present = git_dir.exists();
        let (events, mut changed) = mpsc::channel(1);
        let stale = Arc::new(AtomicBool::new(false));
        let watcher = files(&git_dir, events, Arc::clone(&stale));
        if let Err(error) = &watcher {
            tracing::debug!(path = %git_dir.display(), %error, "no file events for the repository; polling");
        }
        let due = Instant::now()
            + if present { delay(watch.poll, watch.jitter, 0, watch.backoff_limit, fastrand::f64()) } else { VANISHED };
        loop {
            // Cancel safety: `recv`, `sleep_until` and `closed` lose nothing when dropped.
            tokio::select! {
                () = hints.closed() => return,
                Some(()) = changed.recv() => {
                    debounce(&mut changed).await;
                    hint(&hints);
                    if stale.load(Ordering::Relaxed) {
                        break;
                    }
                }
                // Watches are made anew: a folder that was replaced would not report on the new one.
                () = sleep_until(due) => {
                    if present || git_dir.exists() {
                        hint(&hints);
                    }
                    break;
                }
            }
        }
    }
}

/// A timer for a remote repository: `poll` apart, longer after failures.
async fn poll(watch: &mut WatchSettings, hints: &mpsc::Sender<()>) {
    loop {
        let (start, random) = (Instant::now(), fastrand::f64());
        loop {
            let failures = *watch.failures.borrow_and_update();
            let due = start + delay(watch.poll, watch.jitter, failures, watch.backoff_limit, random);
            // Cancel safety: `changed`, `sleep_until` and `closed` lose nothing when dropped.
            tokio::select! {
                () = hints.closed() => return,
                () = sleep_until(due) => break,
                // The outcome of a fetch moves the time of the next one.
                outcome = watch.failures.changed() => if outcome.is_err() { return },
            }
        }
        hint(hints);
    }
}

/// Time from one poll to the next: doubled per failure up to `limit`, varied by `jitter`; `random` is within 0..1.
fn delay(poll: Duration, jitter: f64, failures: u32, limit: Duration, random: f64) -> Duration {
    // A year is for ever here, and keeps the arithmetic below from overflowing.
    let (poll, limit) = (poll.clamp(SHORTEST, YEAR), limit.min(YEAR));
    let jitter = if jitter.is_finite() { jitter } else { 0.0 };
    let backoff = doubled(poll, failures, limit.max(poll));
    // Never zero, even with a jitter of 1.
    jittered(backoff, jitter, random).max(backoff / 100)
}

/// A full channel means that a hint is already waiting.
fn hint(hints: &mpsc::Sender<()>) {
    let _ = hints.try_send(());
}

/// Waits for a pause between events.
async fn debounce(changed: &mut mpsc::Receiver<()>) {
    let limit = Instant::now() + DEBOUNCE_LIMIT;
    while Instant::now() < limit {
        // Cancel safety: both lose nothing when dropped.
        tokio::select! {
            Some(()) = changed.recv() => {}
            () = sleep(DEBOUNCE) => return,
        }
    }
}

/// Watches what a commit, a push or a pack changes. `stale` says that the watches must be made anew.
fn files(
    git_dir: &Path,
    events: mpsc::Sender<()>,
    stale: Arc<AtomicBool>,
) -> notify::Result<notify::RecommendedWatcher> {
    let root = git_dir.to_owned();
    // A linked work tree has its HEAD in its own folder and the references in the shared one.
    let common = std::fs::read_to_string(git_dir.join("commondir"))
        .map_or_else(|_| root.clone(), |shared| root.join(shared.trim_end()));
    let handler_root = root.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let rebuild = match event {
            // Overflow: something was missed.
            Ok(event) if event.need_rescan() => true,
            Ok(event) => match relevant(&event, &handler_root) {
                Some(rebuild) => rebuild,
                None => return,
            },
            Err(_) => true,
        };
        if rebuild {
            stale.store(true, Ordering::Relaxed);
        }
        // A full channel is a change that is already being reported.
        let _ = events.try_send(());
    })?;
    if let Some(parent) = root.parent() {
        // Reports when the folder itself is removed, or made again.
        let _ = watcher.watch(parent, RecursiveMode::NonRecursive);
    }
    watcher.watch(&root, RecursiveMode::NonRecursive)?;
    if common != root {
        watcher.watch(&common, RecursiveMode::NonRecursive)?;
    }
    watcher.watch(&common.join("refs"), RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// `None` for what does not move a reference; otherwise whether the watches must be made anew.
fn relevant(event: &notify::Event, root: &Path) -> Option<bool> {
    if matches!(event.kind, EventKind::Access(_)) {
        return None;
    }
    let mut found = None;
    for path in &event.paths {
        let name = path.file_name()?.to_string_lossy();
        if path == root || name == "refs" {
            // Removed, renamed or made: the old watches may hang on folders that are gone.
            let gone = matches!(
                event.kind,
                EventKind::Remove(_) | EventKind::Create(_) | EventKind::Modify(notify::event::ModifyKind::Name(_))
            );
            if gone {
                return Some(true);
            }
        } else if !name.ends_with(".lock")
            && (name == "HEAD" || name == "packed-refs" || path.components().any(|part| part.as_os_str() == "refs"))
        {
            found = Some(false);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_back_off_and_success_resets() {
        let minute = Duration::from_secs(60);
        let limit = Duration::from_secs(900);
        let at = |failures, random| delay(minute, 0.1, failures, limit, random).as_secs_f64().round() as u64;
        assert_eq!([at(0, 0.5), at(1, 0.5), at(3, 0.5), at(4, 0.5), at(40, 0.5)], [60, 120, 480, 900, 900]);
        assert_eq!([at(0, 0.0), at(0, 1.0), at(9, 1.0)], [54, 66, 990]);
        // A limit below the poll interval does not make failures more frequent than successes.
        assert_eq!(delay(minute, 0.0, 3, Duration::from_secs(1), 0.5), minute);
        assert_eq!(delay(Duration::MAX, 1.0, 40, Duration::MAX, 1.0), YEAR * 2);
        assert_eq!(delay(Duration::ZERO, f64::NAN, 0, limit, 0.5), SHORTEST);
    }
}
