//! The one place where a failure becomes words and an exit code.

use crate::api::ClientError;
use crate::apply::Violations;
use crate::daemon::SettingsError;
use crate::engine::EngineError;
use crate::manifest::Report;
use crate::process::error::chain;
use crate::source::SourceError;
use crate::store::{LockError, StoreError};
use crate::wire::TlsError;
use std::process::ExitCode;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Fine.
    Ok,
    /// It was done and something in it failed; the details were printed.
    Failed,
    /// `plan --detailed-exitcode`: there are changes.
    Changes,
    /// `apply`, and `plan --detailed-exitcode`: nothing failed, and something that is wanted is held.
    Held,
    /// `plan --detailed-exitcode`: the engine was not fully observed.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::Held => 3,
            Exit::Incomplete => 4,
        })
    }
}

/// Exit code of wrong usage (`EX_USAGE`); clap's own 2 would read as «there are changes».
pub(super) const USAGE: u8 = 64;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The files do not validate.
    Invalid(Box<Report>),
    /// Anything else: what failed with all its causes, and what to do about it.
    Error {
        /// What failed, causes joined by `: `.
        message: String,
        /// What to do about it.
        hints: Vec<String>,
    },
    /// The arguments do not go together.
    Usage(String),
}

impl Failure {
    /// A failure in words.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Error { message: message.into(), hints: Vec::new() }
    }

    /// What failed, in one line.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Error { message, .. } | Self::Usage(message) => message,
            Self::Invalid(_) => "its files do not validate",
        }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Error { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }
}

macro_rules! from_error {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(chain(&error))
            }
        })+
    };
}

from_error!(SourceError, EngineError, StoreError, LockError, TlsError, std::io::Error, serde_json::Error);

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(chain(&error));
        match error {
            ClientError::Refused { problem, .. } => match problem.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            },
            _ => failure,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let failure = Self::new(chain(&error));
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<Violations> for Failure {
    fn from(violations: Violations) -> Self {
        Self::new(violations.to_string()).hint(
            "this is a defect of setpoint; nothing was changed. Please report it with the output of `setpoint plan --json`",
        )
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Invalid(Box::new(report))
    }
}
