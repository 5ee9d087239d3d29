//! The input of an apply, the progress that it reports, and its result.

use crate::engine::{ActError, Interrupt};
use crate::model::{HealthReport, Observed};
use crate::plan::{Milestone, Plan, Step, StepId, Subject};
use crate::process::error::chain;
use crate::store::{Ledger, StoreError};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a plan is carried out with.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub plan: &'a Plan,
    /// What the repo wants, when the plan follows from it (and not from `stop` or `cleanup`).
    pub desired: Option<&'a crate::model::Desired>,
    /// The observation that the plan was made from.
    pub observed: &'a Observed,
    pub ledger: &'a Ledger,
    /// Steps that are skipped this time, and why.
    pub kept: BTreeMap<StepId, String>,
    /// Ends the apply: steps in progress are completed, but no longer wait for health, and no other step is started.
    pub interrupt: Interrupt,
}

/// Progress of a plan that is being carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    pub step: StepId,
    /// What happened.
    pub what: ProgressKind<'a>,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq)]
pub enum ProgressKind<'a> {
    Started,
    /// A line about its progress.
    Line(&'a str),
    /// It reached a milestone.
    Reached(Milestone),
    /// It ended; this is the last message about it.
    Ended(&'a StepResult),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum StepResult {
    Done {
        /// How long it took.
        took: Duration,
        /// Evidence of health, if its gate required it.
        evidence: Option<String>,
    },
    Failed {
        /// The error with all its causes.
        error: String,
        /// The container's report, if it did not become healthy.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
        /// Whether the host had changed since the plan was made; then nothing was done.
        stale: bool,
    },
    /// It was not carried out.
    Skipped { because: String },
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// One result for each step, in plan order.
    pub results: Vec<StepResult>,
    pub done: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Whether a newer commit ended it.
    pub superseded: bool,
    /// Whether it was requested to stop.
    pub stopped: bool,
}

/// The record could not be written; no step was started after that.
#[derive(Debug, thiserror::Error)]
#[error("stopped because facts cannot be recorded ({done} steps done, {failed} failed)")]
pub struct ApplyError {
    pub done: usize,
    pub failed: usize,
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
pub(super) fn title(step: &Step) -> (Subject, String) {
    (step.subject.clone(), step.action.verb().to_owned())
}
