//! What instances write, chosen by name.

use crate::engine::{Engine, EngineError, LogLine, LogOptions, Scope};
use crate::model::{Container, OwnerId};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeSet;

/// Lines of each container when several are chosen, and of a single one, unless it is said how many.
const TAIL: [u32; 2] = [50, 100];

/// Which logs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsOf {
    /// Deployment, service, instance or name of a container; empty is all.
    pub name: String,
    /// So many lines from the end.
    pub tail: Option<u32>,
    /// Go on with what is written from now on.
    pub follow: bool,
    /// With the time of each line.
    pub timestamps: bool,
}

/// The logs of the containers that were chosen.
pub struct Logs {
    /// Their names; never empty.
    pub containers: Vec<String>,
    /// Each line with the name of its container. Followed logs come as they are written, finished ones container by container.
    pub lines: BoxStream<'static, Result<(String, LogLine), EngineError>>,
}

/// Opens the logs of instances of an owner; `None` when there is no such instance.
///
/// # Errors
/// When the engine does not answer.
pub async fn logs(engine: &Engine, owner: &OwnerId, of: &LogsOf) -> Result<Option<Logs>, EngineError> {
    let observed = engine.observe(&Scope { owner: owner.clone(), images: BTreeSet::new() }).await?;
    let is_chosen = |one: &&Container| one.owner.as_ref() == Some(owner) && matches(one, &of.name);
    let chosen: Vec<&Container> = observed.containers.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    let options = LogOptions {
        tail: of.tail.or(Some(TAIL[usize::from(chosen.len() == 1)])),
        follow: of.follow,
        since: None,
        timestamps: of.timestamps,
    };
    let containers = chosen.iter().map(|one| one.name.clone()).collect();
    let streams = chosen.iter().map(|one| {
        let name = one.name.clone();
        engine.logs(&one.id, &options).map(move |line| Ok((name.clone(), line?))).boxed()
    });
    let streams: Vec<_> = streams.collect();
    let lines = if of.follow { stream::select_all(streams).boxed() } else { stream::iter(streams).flatten().boxed() };
    Ok(Some(Logs { containers, lines }))
}

fn matches(container: &Container, name: &str) -> bool {
    let within = |id: String| id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    name.is_empty() || container.name == name || container.instance.as_ref().is_some_and(|id| within(id.to_string()))
}
