//! Why a request to the daemon failed.

use super::dto::Problem;
use std::path::PathBuf;
use std::time::Duration;

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers on {}; start it with `setpoint daemon`, or name its socket with --socket", .socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The socket may not be opened.
    #[error("cannot open {}; only the user that runs the daemon may (and root)", .socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the daemon did not answer within {}s", .after.as_secs())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke.
    #[error("the daemon broke the connection off")]
    Http(#[from] hyper::Error),
    /// The answer is not what it should be: another version, or too large.
    #[error("the daemon gave an answer that this version does not understand: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
    /// The daemon says no.
    #[error("{}", .problem.error)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        problem: Problem,
    },
}
