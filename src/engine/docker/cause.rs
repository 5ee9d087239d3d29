//! The meaning of the client library's errors.

use crate::engine::error::{Cause, CauseKind};
use bollard::errors::Error;
use std::io::ErrorKind;

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::SocketNotFoundError(_) => CauseKind::Unreachable(Some(ErrorKind::NotFound)),
            Error::RequestTimeoutError
            | Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. } => CauseKind::Unreachable(io_kind(&error)),
            Error::DockerResponseServerError { status_code: 400, message } if is_of_version(message) => {
                CauseKind::OtherVersion
            }
            Error::DockerResponseServerError { status_code, .. } => CauseKind::Refused(*status_code),
            _ => CauseKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The engine's error for an API version that it does not support.
fn is_of_version(text: &str) -> bool {
    text.contains("client version") && (text.contains("too old") || text.contains("too new"))
}

/// The HTTP status of an engine's refusal.
pub(super) fn status(cause: &Error) -> Option<u16> {
    match cause {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether the engine says that the object does not exist.
pub(super) fn is_gone(cause: &Error) -> bool {
    status(cause) == Some(404)
}

/// Whether the engine says that a name is taken or that the object's state does not allow it.
pub(super) fn is_conflict(cause: &Error) -> bool {
    // Podman answers 500 if a name is taken.
    status(cause) == Some(409) || status(cause) == Some(500) && cause.to_string().contains("is already in use")
}

/// The operating system's own reason, anywhere in the chain of causes.
fn io_kind(cause: &Error) -> Option<ErrorKind> {
    if let Error::IOError { err } = cause {
        return Some(err.kind());
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(cause);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}
