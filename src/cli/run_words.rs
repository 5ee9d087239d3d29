//! What people read of a run, wherever it is listed or shown.

use crate::api::dto::{Run, RunState};
use crate::schedule;

/// What stands in the place of the start of a run that has none: one that is prepared may yet begin.
pub(super) fn not_begun(run: &Run) -> String {
    if run.state == RunState::Running { "not yet" } else { "never" }.to_owned()
}

/// How a run stands, in one word.
pub(super) fn result(run: &Run) -> String {
    match (run.state, run.verdict) {
        (RunState::Running, _) if run.started_at.is_none() => "prepared".to_owned(),
        (RunState::Running, _) => "running".to_owned(),
        (RunState::Interrupted, _) => "interrupted".to_owned(),
        (RunState::Ended, Some(verdict)) => schedule::RunVerdict::from(verdict).word().to_owned(),
        (RunState::Ended, None) => "ended".to_owned(),
    }
}
