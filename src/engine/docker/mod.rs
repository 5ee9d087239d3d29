//! The Docker Engine over its API. (Interface first; bodies follow.)

use crate::model::{ContainerId, HealthReport, Observed, OwnerId, Registry};
use crate::plan::{Milestone, Step};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A connection to one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Docker {}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whose containers are ours and read in full.
    pub owner: OwnerId,
    /// Image references whose state is wanted.
    pub images: BTreeSet<String>,
}

/// What a step is carried out with.
pub struct ActContext<'a> {
    /// Whose containers are ours.
    pub owner: &'a OwnerId,
    /// Registries of the step's deployment.
    pub registries: &'a [Registry],
    /// Tar stream of the build context, for `BuildImage`.
    pub context: Option<BoxStream<'static, std::io::Result<Bytes>>>,
    /// Where news of the step goes; bounded, and news that do not fit are dropped, except milestones.
    pub news: mpsc::Sender<News>,
    /// Ends a wait for health early (a newer commit came); the step then puts the old container back.
    pub superseded: CancellationToken,
}

/// News of a step under way.
#[derive(Clone, Debug)]
pub enum News {
    /// It came this far.
    Reached(Milestone),
    /// A line of progress (pull, build, wait) for people.
    Line(String),
}

/// How a step ended well.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The container that now stands for the instance.
    pub container: Option<ContainerId>,
    /// Evidence of health, one line (`healthy for 2s, 3 checks`).
    pub evidence: Option<String>,
}

/// How a step failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// What the plan saw is no longer so; nothing was done.
    #[error("the host changed since the plan was made: {0}")]
    Stale(String),
    /// The container did not pass its gate.
    #[error("{}", .report.verdict)]
    Gate {
        /// What was seen.
        report: Box<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
    },
    /// A newer commit ended the wait; the old container was put back.
    #[error("superseded by a newer commit")]
    Superseded,
    /// An engine call failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A failed engine call.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Placeholder.
    #[error("{0}")]
    Other(String),
}

/// Something happened on the engine; carries no state, only says where to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// A container of ours did something (`die`, `health_status: unhealthy`, …).
    Container {
        /// Its id.
        id: ContainerId,
        /// The engine's word for it.
        action: String,
    },
    /// A network, volume or image did something.
    Other,
    /// The stream broke and was opened again; anything may have happened in between.
    Gap,
}

impl Docker {
    /// Connects and agrees on the API version. `None` is `DOCKER_HOST` or the default socket.
    ///
    /// # Errors
    /// When the endpoint is no engine.
    pub async fn connect(_endpoint: Option<&str>) -> Result<Self, EngineError> {
        todo!()
    }

    /// One look at the engine.
    ///
    /// # Errors
    /// When the engine does not answer at all; what single objects did not answer stands in `missing`.
    pub async fn observe(&self, _scope: &Scope) -> Result<Observed, EngineError> {
        todo!()
    }

    /// Carries out one step.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn act(&self, _step: &Step, _context: ActContext<'_>) -> Result<Outcome, ActError> {
        todo!()
    }

    /// What happens to our objects from now on; never ends, reconnects by itself with backoff and says [`EngineEvent::Gap`].
    pub fn events(&self, _owner: &OwnerId) -> BoxStream<'static, EngineEvent> {
        todo!()
    }
}
