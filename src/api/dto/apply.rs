//! An apply: what is ordered, and what became of it.

use super::{HealthReport, HeldStatus, Plan};
use crate::apply::{self, Applied};
use crate::daemon;
use crate::plan::{self, Allow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which plan is to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyOrder {
    /// Its id: all 64 digits, or at least the 12 that are shown.
    pub plan: String,
    /// The guards that were lifted when it was made.
    #[serde(default)]
    pub allow: Vec<String>,
}

impl ApplyOrder {
    /// What the daemon is asked for.
    ///
    /// # Errors
    /// When a guard is not one: says which are.
    pub fn read(self) -> Result<daemon::ApplyOrder, String> {
        let allow = self.allow.iter().map(|guard| guard.parse::<Allow>()).collect::<Result<_, _>>()?;
        Ok(daemon::ApplyOrder { plan: self.plan, allow })
    }
}

impl From<&daemon::ApplyOrder> for ApplyOrder {
    fn from(order: &daemon::ApplyOrder) -> Self {
        let daemon::ApplyOrder { plan, allow } = order;
        Self { plan: plan.clone(), allow: allow.iter().map(ToString::to_string).collect() }
    }
}

/// What became of a plan that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Its id, all digits.
    pub plan: String,
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not carried out.
    pub skipped: usize,
    /// A newer commit ended it.
    pub superseded: bool,
    /// The daemon was asked to stop.
    pub stopped: bool,
    /// How each step ended, in plan order.
    pub steps: Vec<StepEnd>,
    /// What is wanted and not done, and why.
    pub held: Vec<HeldStatus>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// What it is about.
    pub subject: String,
    /// Its verb.
    pub action: String,
    /// Its end.
    #[serde(flatten)]
    pub result: StepResult,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepResult {
    /// Well.
    Done {
        /// How long it took, in milliseconds.
        millis: u64,
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

impl From<daemon::Carried> for Carried {
    fn from(carried: daemon::Carried) -> Self {
        let daemon::Carried { plan, done, failed, skipped, superseded, stopped, steps, held } = carried;
        let held = held.into_iter().map(Into::into).collect();
        let steps = steps.into_iter().map(|step| {
            let daemon::StepEnd { subject, action, result } = step;
            StepEnd { subject, action, result: result.into() }
        });
        let (plan, steps) = (plan.as_str().to_owned(), steps.collect());
        Self { plan, done, failed, skipped, superseded, stopped, steps, held }
    }
}

impl From<Carried> for Applied {
    fn from(carried: Carried) -> Self {
        let Carried { plan: _, done, failed, skipped, superseded, stopped, steps, held: _ } = carried;
        let results = steps.into_iter().map(|step| step.result.into()).collect();
        Self { results, done, failed, skipped, superseded, stopped }
    }
}

impl From<apply::StepResult> for StepResult {
    fn from(result: apply::StepResult) -> Self {
        match result {
            apply::StepResult::Done { took, evidence } => {
                Self::Done { millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), evidence }
            }
            apply::StepResult::Failed { error, report, rolled_back, stale } => {
                Self::Failed { error, report: report.map(Into::into), rolled_back, stale }
            }
            apply::StepResult::Skipped { because } => Self::Skipped { because },
        }
    }
}

impl From<StepResult> for apply::StepResult {
    fn from(result: StepResult) -> Self {
        match result {
            StepResult::Done { millis, evidence } => Self::Done { took: Duration::from_millis(millis), evidence },
            StepResult::Failed { error, report, rolled_back, stale } => {
                Self::Failed { error, report: report.map(Into::into), rolled_back, stale }
            }
            StepResult::Skipped { because } => Self::Skipped { because },
        }
    }
}

/// What `setpoint apply --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Version of this form.
    pub version: u32,
    /// The plan.
    pub plan: Plan,
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not carried out.
    pub skipped: usize,
    /// It was asked to stop.
    pub stopped: bool,
    /// How each step ended, in plan order.
    pub results: Vec<StepOutcome>,
}

/// How a step ended, with its number in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// Its number.
    pub step: usize,
    /// What it is about.
    pub subject: String,
    /// Its verb.
    pub action: String,
    /// Its end.
    #[serde(flatten)]
    pub end: StepDetail,
}

/// How a step ended, and what is known of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", content = "detail", rename_all = "snake_case")]
pub enum StepDetail {
    /// Well.
    Done {
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

impl Outcome {
    /// What became of a plan.
    pub fn new(plan: &plan::Plan, applied: &Applied) -> Self {
        let Applied { results, done, failed, skipped, superseded: _, stopped } = applied;
        let results = plan.steps.iter().zip(results).map(|(step, result)| StepOutcome {
            step: step.id,
            subject: step.subject.to_string(),
            action: step.action.verb().to_owned(),
            end: result.clone().into(),
        });
        Self {
            version: 1,
            plan: Plan::from(&plan::render::View::new(plan)),
            done: *done,
            failed: *failed,
            skipped: *skipped,
            stopped: *stopped,
            results: results.collect(),
        }
    }
}

impl From<apply::StepResult> for StepDetail {
    fn from(result: apply::StepResult) -> Self {
        match result {
            apply::StepResult::Done { took: _, evidence } => Self::Done { evidence },
            apply::StepResult::Failed { error, report, rolled_back, stale } => {
                Self::Failed { error, report: report.map(Into::into), rolled_back, stale }
            }
            apply::StepResult::Skipped { because } => Self::Skipped { because },
        }
    }
}
