//! Following the repo and the engine: the tasks that turn news of both into hints.

use super::trigger::Triggers;
use crate::apply::load::Loader;
use crate::engine::{Engine, EngineEvent};
use crate::event::{Event, Fact};
use crate::model::{OwnerId, Revision, Timestamp};
use crate::process::error::chain;
use crate::process::supervise::TaskResult;
use crate::process::{Backoff, clock};
use crate::source::Source;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Events within this time after the first lead to one look: a killed container alone makes four.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// The wait after the first failure to reach the repo; each further one doubles.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// No such wait is longer; `docs/git-access.md` says it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Where the followed branch or tag is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The commit, as of the last good fetch.
    pub revision: Option<Revision>,
    /// Why the last fetch failed; `None` when it did not.
    pub error: Option<String>,
    /// When the last good fetch was.
    pub fetched_at: Option<Timestamp>,
    /// When it is tried again after a failure.
    pub next_try: Option<Timestamp>,
}

/// Follows the repo: the only caller of [`Source::fetch`]. Fetches on each hint, after a failure with backoff.
#[derive(Debug)]
pub struct SourceFollower {
    /// The repo.
    pub source: Source,
    /// Where loss and return of the repo are recorded.
    pub loader: Loader,
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
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        // Hints of a remote repo are a timer, which knows nothing; those of one on this machine are changes of its files, and
        // one of them may be the cure.
        let local = self.source.config().address.local().is_some();
        loop {
            let begin = clock::monotonic();
            // Cancel-safe: a fetch that is dropped goes on in the repo's thread and is asked for again.
            let result = tokio::select! {
                result = self.source.fetch() => result,
                () = self.stop.cancelled() => return Ok(()),
            };
            let wait = match result {
                Ok(revision) => {
                    tracing::debug!(commit = revision.short(), took_ms = begin.elapsed().as_millis(), "repo polled");
                    backoff.reset();
                    self.reached(revision);
                    None
                }
                Err(error) => {
                    let wait = backoff.fail(fastrand::f64());
                    let error = chain(&error);
                    tracing::debug!(error, wait_ms = wait.as_millis(), "polling the repo failed");
                    self.lost(error, wait);
                    Some(wait)
                }
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // Every arm is cancel-safe.
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = self.triggers.wait_fetch() => {}
                () = pause => {}
                hint = hints.recv(), if wait.is_none() || local => {
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
            *head = Head { revision: Some(revision), error: None, fetched_at, next_try: None };
            news
        });
    }

    fn lost(&self, error: String, wait: Duration) {
        if self.head.borrow().error.is_none() {
            let kept = self.loader.last_good().ok().flatten();
            let kept = kept.as_ref().map_or("none yet", Revision::short);
            tracing::warn!(error, kept, "the repo cannot be read; trying again at least every 5 min");
            self.record(Fact::SourceUnreachable { error: error.clone() });
        }
        let wait = jiff::SignedDuration::try_from(wait).ok();
        let next_try = wait.and_then(|wait| clock::now().checked_add(wait).ok());
        self.head.send_modify(|head| {
            head.error = Some(error);
            head.next_try = next_try;
        });
    }

    fn record(&self, fact: Fact) {
        if let Err(error) = self.loader.store.record(&Event { at: clock::now(), fact }) {
            tracing::warn!(error = chain(&error), "an event was not recorded");
        }
    }
}

/// Follows the engine's events and hints that there is something to see.
///
/// # Errors
/// When the stream ends, which it never should.
pub async fn follow_engine(
    engine: Engine,
    mut owner: watch::Receiver<Option<OwnerId>>,
    triggers: Triggers,
    stop: CancellationToken,
) -> TaskResult {
    loop {
        let current = owner.borrow_and_update().clone();
        let Some(current) = current else {
            // Both arms are cancel-safe. The stop comes first: it also closes the channel.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = owner.changed() => changed?,
            }
            continue;
        };
        let mut events = engine.events(&current);
        let mut others = Others::new();
        loop {
            // Every arm is cancel-safe: an event that is not taken stays in the stream. The stop comes first, as above.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = owner.changed() => { changed?; break; }
                event = events.next() => match event {
                    None => return Err("the engine's event stream ended".into()),
                    Some(event) => {
                        settle(&mut events, &event, &mut others).await;
                        triggers.look();
                    }
                },
            }
        }
    }
}

/// Waits until the events that belong together have come. What happens to networks, volumes and images does not say
/// whose it is: on a host where others are busy it may not make us look at everything many times a second.
async fn settle(events: &mut BoxStream<'static, EngineEvent>, first: &EngineEvent, others: &mut Others) {
    let now = clock::monotonic();
    let mut until = now + if *first == EngineEvent::Other { others.wait(now) } else { DEBOUNCE };
    tracing::debug!(event = ?first, "the engine reports");
    loop {
        // Both arms are cancel-safe.
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return,
            event = events.next() => {
                tracing::debug!(?event, "the engine reports");
                match event {
                    Some(EngineEvent::Other) => {}
                    Some(_) => until = until.min(clock::monotonic() + DEBOUNCE),
                    None => return,
                }
            }
        }
    }
}

/// How long events that may be anybody's wait for company: longer while they keep coming.
#[derive(Debug)]
struct Others {
    backoff: Backoff,
    last: Option<Instant>,
}

impl Others {
    const FIRST: Duration = Duration::from_millis(200);
    const MAX: Duration = Duration::from_secs(5);
    /// After so long without any, the next waits as long as the first.
    const FORGET: Duration = Duration::from_secs(15);

    fn new() -> Self {
        Self { backoff: Backoff::new(Self::FIRST, Self::MAX), last: None }
    }

    fn wait(&mut self, now: Instant) -> Duration {
        if self.last.is_none_or(|last| now.duration_since(last) > Self::FORGET) {
            self.backoff.reset();
        }
        self.last = Some(now);
        self.backoff.fail(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_make_us_look_ever_less_often_until_they_are_quiet() {
        let mut others = Others::new();
        let mut now = clock::monotonic();
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = others.wait(now);
            waits.push(wait.as_millis());
            now += wait;
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(others.wait(now + Duration::from_secs(16)), Others::FIRST);
    }

    #[tokio::test]
    async fn an_event_of_ours_does_not_wait_for_others() {
        let ours = EngineEvent::Container { id: crate::model::ContainerId::new("c1"), action: "die".to_owned() };
        let rest = futures_util::stream::pending();
        let mut events = futures_util::stream::iter([EngineEvent::Other, ours]).chain(rest).boxed();
        let mut others = Others::new();
        for _ in 0..5 {
            others.wait(clock::monotonic());
        }
        let begin = clock::monotonic();
        settle(&mut events, &EngineEvent::Other, &mut others).await;
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}
