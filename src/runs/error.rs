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
    /// A task server of the run has no other way to say the end of a task.
    #[error("end notices cannot be taken, and not every task server of this run can say an end otherwise")]
    Listen(#[source] ListenError),
    /// The thread that keeps the time.
    #[error("the thread that keeps the time")]
    Timekeeper(#[source] ThreadError),
    /// The thread that makes the calls.
    #[error("the thread that makes the calls")]
    Caller(#[source] ThreadError),
    /// The runtime of a thread, or the folder of its socket.
    #[error("a thread of the run")]
    Runtime(#[source] std::io::Error),
    /// The programs of inline commands.
    #[error("the runner of inline commands")]
    Runner(#[source] RunnerError),
    /// The schedule is strict, and something it needs cannot be had.
    #[error("the schedule is strict: {0}")]
    Strict(String),
}
