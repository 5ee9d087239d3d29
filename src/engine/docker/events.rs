//! The events of the engine, filtered by the engine itself.

use super::{Docker, labels};
use crate::engine::EngineEvent;
use crate::model::{ContainerId, OwnerId};
use crate::process::{Backoff, clock};
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A stream that gives no error for so long counts as open.
const OPEN_AFTER: Duration = Duration::from_millis(150);
/// A stream that was open for so long was stable: the pauses start anew. Otherwise an engine that accepts connections and
/// closes them would make us observe everything many times a second.
const STEADY: Duration = Duration::from_secs(10);
/// First and longest pause before the stream is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What containers of ours do that may call for something. Not `exec_*`: each health check makes three of those.
const CONTAINER: &[&str] =
    &["start", "die", "stop", "kill", "pause", "unpause", "rename", "update", "oom", "destroy", "health_status"];
/// What networks, volumes and images do that may call for something.
const OTHER: &[&str] = &["connect", "disconnect", "destroy", "tag", "untag", "delete"];

impl Docker {
    /// Events of our objects from now on. The stream begins with [`EngineEvent::Gap`] once it is open and never ends. When it
    /// breaks, it is reopened after increasing pauses and reports `Gap` again.
    pub fn events(&self, owner: &OwnerId) -> BoxStream<'static, EngineEvent> {
        let state = EventStream {
            docker: self.clone(),
            owner: owner.clone(),
            open: None,
            broke: None,
            ready: VecDeque::new(),
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
        };
        stream::unfold(state, |mut state| async move { Some((state.next().await, state)) }).boxed()
    }
}

type Messages = BoxStream<'static, Result<EventMessage, bollard::errors::Error>>;

struct EventStream {
    docker: Docker,
    owner: OwnerId,
    open: Option<(Messages, Instant)>,
    /// How long the last stream was open, when there was one.
    broke: Option<Duration>,
    ready: VecDeque<EngineEvent>,
    backoff: Backoff,
}

impl EventStream {
    async fn next(&mut self) -> EngineEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            match &mut self.open {
                None => self.reopen().await,
                Some((messages, since)) => match messages.next().await {
                    Some(Ok(message)) => self.ready.extend(event(&message)),
                    Some(Err(_)) | None => {
                        self.broke = Some(since.elapsed());
                        self.open = None;
                    }
                },
            }
        }
    }

    /// Opens the stream; the engine does not confirm it, so that the absence of an error has to do. After a break another
    /// engine may answer, or another version of it, so that is agreed on first.
    async fn reopen(&mut self) {
        if let Some(lived) = self.broke {
            if lived >= STEADY {
                self.backoff.reset();
            }
            tokio::time::sleep(self.backoff.fail(fastrand::f64())).await;
        }
        if (self.broke.is_some() || !self.docker.is_agreed()) && self.docker.agree().await.is_err() {
            self.broke = Some(Duration::ZERO);
            return;
        }
        let mut messages = self.subscribe();
        match tokio::time::timeout(OPEN_AFTER, messages.next()).await {
            Ok(Some(Err(_)) | None) => {
                self.broke = Some(Duration::ZERO);
                return;
            }
            Ok(Some(Ok(message))) => {
                self.ready.push_back(EngineEvent::Gap);
                self.ready.extend(event(&message));
            }
            Err(_) => self.ready.push_back(EngineEvent::Gap),
        }
        self.open = Some((messages, clock::monotonic()));
    }

    /// Two streams, because a label filter would drop what has no labels.
    fn subscribe(&self) -> Messages {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let ours = HashMap::from([
            ("type".to_owned(), words(&["container"])),
            ("event".to_owned(), words(CONTAINER)),
            ("label".to_owned(), vec![format!("{}={}", labels::OWNER, self.owner)]),
        ]);
        let others = HashMap::from([
            ("type".to_owned(), words(&["network", "volume", "image"])),
            ("event".to_owned(), words(OTHER)),
        ]);
        let open =
            |filters| self.docker.api.events(Some(EventsOptions { filters: Some(filters), ..Default::default() }));
        // The end of one ends both: a broken half would otherwise go unnoticed.
        let with_end = |messages: Messages| messages.map(Some).chain(stream::once(std::future::ready(None)));
        let (ours, others) = (with_end(open(ours).boxed()), with_end(open(others).boxed()));
        stream::select(ours, others)
            .take_while(|item| std::future::ready(item.is_some()))
            .filter_map(std::future::ready)
            .boxed()
    }
}

fn event(message: &EventMessage) -> Option<EngineEvent> {
    if message.typ != Some(EventMessageTypeEnum::CONTAINER) {
        return Some(EngineEvent::Other);
    }
    let action = message.action.clone().unwrap_or_default();
    let id = message.actor.as_ref()?.id.clone()?;
    (!action.starts_with("exec_")).then(|| EngineEvent::Container { id: ContainerId::new(id), action })
}
