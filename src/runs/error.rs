//! Why a run did not take place.

use crate::rt::ThreadError;
use crate::schedule::NotPlaced;
use crate::task::RunnerError;
use crate::wire::ListenError;

/// Why a run did not take place.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A task server is at no known place.
    #[error(transparent)]
    NotPlaced(#[from] NotPlaced),
    /// A task server of the run has no other way to report the end of a task.
    #[error("cannot listen for end notices, and not every task server of this run can report an end otherwise")]
    Listen(#[source] ListenError),
    /// The thread that keeps the time cannot be started, or failed.
    #[error("the timekeeper thread failed")]
    Timekeeper(#[source] ThreadError),
    /// The thread that makes the calls cannot be started, or failed.
    #[error("the thread that calls task servers failed")]
    Caller(#[source] ThreadError),
    /// The runtime of a thread, or the folder of its socket, cannot be made.
    #[error("cannot start a thread of the run")]
    Runtime(#[source] std::io::Error),
    /// The runner for the programs of inline commands cannot be started.
    #[error("cannot start the runner of inline commands")]
    Runner(#[source] RunnerError),
    /// The schedule is strict, and something it needs cannot be had.
    #[error("the schedule is strict: {0}")]
    Strict(String),
}
