//! Following the repo and the engine: the tasks that turn news of both into hints.

use super::trigger::Triggers;
use crate::engine::docker::{Docker, EngineEvent};
use crate::event::{Event, Fact};
use crate::model::{OwnerId, Revision, Timestamp};
use crate::process::supervise::{TaskResult, chain};
use crate::process::{Backoff, clock};
use crate::source::Source;
use crate::store::Store;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Events within this time after the first lead to one look: a killed container alone makes four.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// Where the followed branch or tag is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The commit, as of the last good fetch.
    pub revision: Option<Revision>,
    /// Why the last fetch failed; `None` when it did not.
    pub error: Option<String>,
    /// When the last good fetch was.
    pub fetched_at: Option<Timestamp>,
}

/// Follows the repo: the only caller of [`Source::fetch`]. Fetches on each hint, after a failure with backoff.
#[derive(Debug)]
pub struct SourceFollower {
    /// The repo.
    pub source: Source,
    /// Where loss and return of the repo are recorded.
    pub store: Store,
    /// Hints of people and hooks.
    pub triggers: Triggers,
    /// Where the result goes.
    pub head: watch::Sender<Head>,
    /// When to end.
    pub stop: CancellationToken,
}

impl SourceFollower {
    /// Runs until it is asked to stop.
    ///
    /// # Errors
    /// When the repo's own watcher ended.
    pub async fn run(self) -> TaskResult {
        let mut hints = self.source.watch();
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(300));
        loop {
            // Cancel-safe: a fetch that is dropped goes on in the repo's thread and is asked for again.
            let result = tokio::select! {
                result = self.source.fetch() => result,
                () = self.stop.cancelled() => return Ok(()),
            };
            let wait = match result {
                Ok(revision) => {
                    backoff.reset();
                    self.reached(revision);
                    None
                }
                Err(error) => {
                    self.lost(chain(&error));
                    Some(backoff.fail(fastrand::f64()))
                }
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // Every arm is cancel-safe. Hints of the watcher do not shorten the wait after a failure; people do.
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = self.triggers.wait_fetch() => {}
                () = pause => {}
                hint = hints.recv(), if wait.is_none() => {
                    if hint.is_none() {
                        return Err("the watcher of the repo ended".into());
                    }
                    while hints.try_recv().is_ok() {}
                }
            }
        }
    }

    fn reached(&self, revision: Revision) {
        if self.head.borrow().error.is_some() {
            tracing::info!("the repo can be reached again");
            self.record(Fact::SourceReachable);
        }
        let fetched_at = Some(clock::now());
        self.head.send_if_modified(|head| {
            let news = head.revision.as_ref() != Some(&revision) || head.error.is_some();
            *head = Head { revision: Some(revision), error: None, fetched_at };
            news
        });
    }

    fn lost(&self, error: String) {
        if self.head.borrow().error.is_none() {
            tracing::warn!(error, "the repo cannot be read; the last good revision is kept");
            self.record(Fact::SourceUnreachable { error: error.clone() });
        }
        self.head.send_if_modified(|head| {
            let news = head.error.is_none();
            head.error = Some(error);
            news
        });
    }

    fn record(&self, fact: Fact) {
        if let Err(error) = self.store.record(&Event { at: clock::now(), fact }) {
            tracing::warn!(error = chain(&error), "a fact was not recorded");
        }
    }
}

/// Follows the engine's events and hints that there is something to see.
///
/// # Errors
/// When the stream ends, which it never should.
pub async fn follow_engine(
    docker: Docker,
    mut owner: watch::Receiver<Option<OwnerId>>,
    triggers: Triggers,
    stop: CancellationToken,
) -> TaskResult {
    loop {
        let current = owner.borrow_and_update().clone();
        let Some(current) = current else {
            // Both arms are cancel-safe.
            tokio::select! {
                changed = owner.changed() => changed?,
                () = stop.cancelled() => return Ok(()),
            }
            continue;
        };
        let mut events = docker.events(&current);
        loop {
            // Every arm is cancel-safe: an event that is not taken stays in the stream.
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = owner.changed() => { changed?; break; }
                event = events.next() => match event {
                    None => return Err("the engine's event stream ended".into()),
                    Some(event) => {
                        tracing::debug!(?event, "the engine reports");
                        tokio::time::sleep(DEBOUNCE).await;
                        while let Some(Some(event)) = events.next().now_or_never() {
                            log_more(&event);
                        }
                        triggers.look();
                    }
                },
            }
        }
    }
}

fn log_more(event: &EngineEvent) {
    tracing::debug!(?event, "the engine reports");
}
