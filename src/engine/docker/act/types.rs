//! What a step is carried out with, and how it ends.

use crate::engine::docker::gate::GateError;
use crate::engine::docker::{BuildContext, EngineError};
use crate::model::{ContainerId, HealthReport, OwnerId, Registry};
use crate::plan::Milestone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
    /// Evidence of health, one line (`healthy for 2s, 21 looks`).
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
    /// A newer commit ended the wait; the old container was put back, if there was one.
    #[error("superseded by a newer commit")]
    Superseded,
    /// An engine call failed. What had been begun was undone as far as the engine allowed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<GateError> for ActError {
    /// For steps that have no old container to put back.
    fn from(error: GateError) -> Self {
        match error {
            GateError::Failed(report) => Self::Gate { report, rolled_back: false },
            GateError::Superseded => Self::Superseded,
            GateError::Engine(error) => Self::Engine(error),
        }
    }
}
