//! What a plan is carried out with, what is reported meanwhile, and what became of it.

use crate::engine::{ActError, Interrupt};
use crate::model::{HealthReport, Observed};
use crate::plan::{Milestone, Plan, Step, StepId};
use crate::process::error::chain;
use crate::store::{Ledger, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a plan is carried out with.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What the repo wants, when the plan follows from it (and not from `stop` or `cleanup`).
    pub desired: Option<&'a crate::model::Desired>,
    /// What the plan was made from.
    pub observed: &'a Observed,
    /// Where facts are recorded.
    pub ledger: &'a Ledger,
    /// Steps that are left out this time, and why.
    pub kept: BTreeMap<StepId, String>,
    /// Ends the apply: steps in progress are finished, but do not wait for health any more, and no other is started.
    pub interrupt: Interrupt,
}

/// Progress of a plan that is being carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// The step.
    pub step: StepId,
    /// What happened to it.
    pub what: ProgressKind<'a>,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq)]
pub enum ProgressKind<'a> {
    /// It began.
    Started,
    /// A line about its progress.
    Line(&'a str),
    /// It came this far.
    Reached(Milestone),
    /// It ended; nothing follows.
    Ended(&'a StepResult),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepResult {
    /// Well.
    Done {
        /// How long it took.
        #[serde(rename = "millis", with = "millis")]
        took: Duration,
        /// Evidence of health, when its gate asked for it.
        evidence: Option<String>,
    },
    /// Not well.
    Failed {
        /// Why, with all causes.
        error: String,
        /// What the container said, when it was its health that failed.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
        /// The host had changed since the plan was made; nothing was done.
        stale: bool,
    },
    /// It was not carried out.
    Skipped {
        /// Why.
        because: String,
    },
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// One result for each step, in plan order.
    pub results: Vec<StepResult>,
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not carried out.
    pub skipped: usize,
    /// A newer commit ended it.
    pub superseded: bool,
    /// It was asked to stop.
    pub stopped: bool,
}

/// Durations as whole milliseconds, as in events.
mod millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// The record could not be written; no step was started after that.
#[derive(Debug, thiserror::Error)]
#[error("stopped because facts cannot be recorded ({done} steps done, {failed} failed)")]
pub struct ApplyError {
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Why.
    pub source: StoreError,
}

/// What an engine's error means for a step.
pub(super) fn failure(error: &ActError) -> StepResult {
    match error {
        ActError::Interrupted(why) => StepResult::Skipped { because: why.to_string() },
        ActError::Gate { report, rolled_back } => StepResult::Failed {
            error: report.verdict.clone(),
            report: Some((**report).clone()),
            rolled_back: *rolled_back,
            stale: false,
        },
        other => StepResult::Failed {
            error: chain(other),
            report: None,
            rolled_back: false,
            stale: matches!(other, ActError::Stale(_)),
        },
    }
}

/// What a step is called in events: its verb and subject.
pub(super) fn title(step: &Step) -> (String, String) {
    (step.subject.to_string(), step.action.verb().to_owned())
}
