//! What a step is carried out with, and how it ends.

use super::EngineError;
use crate::model::{Container, ContainerId, HealthReport, OwnerId, Registry};
use crate::plan::Milestone;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tar stream of a build context.
pub type BuildContext = BoxStream<'static, std::io::Result<Bytes>>;

/// What a step is carried out with.
pub struct ActContext<'a> {
    /// Whose containers are ours.
    pub owner: &'a OwnerId,
    /// Registries of the step's deployment.
    pub registries: &'a [Registry],
    /// Tar stream of the build context, for `BuildImage`.
    pub context: Option<BuildContext>,
    /// Where news of the step goes; bounded, and news that do not fit are dropped, except milestones.
    pub news: mpsc::Sender<News>,
    /// Ends a wait for health early; the step then puts the old container back.
    pub interrupt: Interrupt,
}

/// What ends a wait for health before its time.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// A newer commit came.
    pub superseded: CancellationToken,
    /// The process is to end.
    pub stop: CancellationToken,
}

impl Interrupt {
    /// Waits until one of the two comes.
    pub async fn wait(&self) -> Interruption {
        // Both arms are cancel-safe: a token keeps its state.
        tokio::select! {
            () = self.superseded.cancelled() => Interruption::Superseded,
            () = self.stop.cancelled() => Interruption::Stopped,
        }
    }
}

/// Why a wait ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// A newer commit came.
    Superseded,
    /// The process is to end.
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

/// News of a step in progress.
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
    /// Evidence of health, one line (`healthy for 2s, 21 looks`).
    pub evidence: Option<String>,
    /// What the engine made of what was asked; absent when nothing was made or changed, or it did not answer.
    pub made: Option<Made>,
    /// What the engine remarked while it did it, such as a limit that it cannot keep.
    pub warnings: Vec<String>,
}

/// An object that was made or changed, as the engine reports it now.
#[derive(Clone, Debug)]
pub enum Made {
    /// A container.
    Container(Box<Container>),
    /// A network, by its id.
    Network(String),
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
    /// The wait was ended from outside; the old container was put back, if there was one.
    #[error("{0}")]
    Interrupted(Interruption),
    /// An engine call failed. What had been begun was undone as far as the engine allowed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
