//! The input of a step, and its result.

use super::EngineError;
use crate::model::{Container, ContainerId, HealthReport, OwnerId, Registry};
use crate::plan::Milestone;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tar stream of a build context.
pub type BuildContext = BoxStream<'static, std::io::Result<Bytes>>;

/// The input of a step.
pub struct ActContext<'a> {
    /// Owner label of the containers that we manage.
    pub owner: &'a OwnerId,
    /// Registries of the step's deployment.
    pub registries: &'a [Registry],
    /// Tar stream of the build context, for `BuildImage`.
    pub context: Option<BuildContext>,
    /// Where the progress of the step is sent; bounded: messages that do not fit are dropped, except milestones.
    pub news: mpsc::Sender<News>,
    /// Ends a wait for health early; the step then puts the old container back.
    pub interrupt: Interrupt,
}

/// Interrupts a wait for health.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// A newer commit arrived.
    pub superseded: CancellationToken,
    /// The process is shutting down.
    pub stop: CancellationToken,
}

impl Interrupt {
    /// Waits until one of the two is cancelled.
    pub async fn wait(&self) -> Interruption {
        // Both arms are cancel-safe: a token keeps its state.
        tokio::select! {
            () = self.superseded.cancelled() => Interruption::Superseded,
            () = self.stop.cancelled() => Interruption::Stopped,
        }
    }
}

/// Why a wait was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// A newer commit arrived.
    Superseded,
    /// The process is shutting down.
    Stopped,
}

impl std::fmt::Display for Interruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Superseded => "superseded by a newer commit",
            Self::Stopped => "interrupted because setpoint was asked to stop",
        })
    }
}

/// A message about a step in progress.
#[derive(Clone, Debug)]
pub enum News {
    Reached(Milestone),
    /// A line of progress (pull, build, wait) for people.
    Line(String),
}

/// The result of a successful step.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The container that now belongs to the instance.
    pub container: Option<ContainerId>,
    /// Evidence of health in one line (`healthy for 2s, checked 21 times`).
    pub evidence: Option<String>,
    /// What the engine reported for what was requested; absent if nothing was created or changed, or if it did not answer.
    pub made: Option<Made>,
    /// Warnings of the engine, such as a limit that it cannot apply.
    pub warnings: Vec<String>,
}

/// An object that was created or changed, as the engine reports it now.
#[derive(Clone, Debug)]
pub enum Made {
    Container(Box<Container>),
    /// A network, by its id.
    Network(String),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The host has changed since the plan was made; nothing was done.
    #[error("the host changed since the plan was made: {0}")]
    Stale(String),
    /// The container did not pass its gate.
    #[error("{}", .report.verdict)]
    Gate {
        /// What was observed.
        report: Box<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
    },
    /// The wait was interrupted; the old container was put back, if there was one.
    #[error("{0}")]
    Interrupted(Interruption),
    /// An engine call failed. What was already done has been undone as far as the engine allowed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
