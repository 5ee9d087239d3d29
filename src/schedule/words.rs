//! Verdicts in words.

use super::timeline::{Cause, RunVerdict, SkipCause, TaskIndex, Verdict};
use crate::model::Schedule;

impl Cause {
    /// Why, in a few words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Reported => "it says so itself",
            Self::Refused => "its start was refused",
            Self::Unacknowledged => "its start was not acknowledged",
            Self::Lost => "its task server gave no sign any more",
            Self::NoticeLost => "it ended and its end notice never came",
            Self::Deadline => "its deadline passed",
            Self::Timeout => "it ran for longer than its timeout",
        }
    }
}

impl Verdict {
    /// The verdict in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
            Self::TimedOut(_) => "timed out",
            Self::Cancelled => "cancelled",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Why, in a few words; `None` where the word says it all.
    pub fn why(self, schedule: &Schedule) -> Option<String> {
        self.because(|task| schedule.tasks.get(task.at()).map_or_else(|| "?".to_owned(), |task| task.id.to_string()))
    }

    /// Why, in a few words; `id` names a task.
    pub fn because(self, id: impl Fn(TaskIndex) -> String) -> Option<String> {
        match self {
            Self::Succeeded | Self::Cancelled | Self::Failed(Cause::Reported) | Self::TimedOut(Cause::Reported) => None,
            Self::Failed(cause) | Self::TimedOut(cause) => Some(cause.text().to_owned()),
            Self::Skipped(SkipCause::NeedFailed(task)) => Some(format!("it needs {}", id(task))),
            Self::Skipped(SkipCause::NotNeeded(task)) => Some(format!("not needed: {} did not fail", id(task))),
            Self::Skipped(SkipCause::Overrun) => Some("the occurrence before it had not ended".to_owned()),
            Self::Skipped(SkipCause::Aborted) => Some("the run ended early".to_owned()),
        }
    }
}

impl RunVerdict {
    /// The verdict in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
        }
    }
}
