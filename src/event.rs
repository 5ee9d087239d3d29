//! Every fact that may be recorded. The store keeps them; status, `events` and `why` read them.

use crate::model::{
    CommitId, ContainerId, DeploymentName, HealthReport, InstanceId, Revision, RunId, ScheduleName, Timestamp,
};
use crate::plan::{PlanId, Subject};
use crate::schedule::RunVerdict;
use serde::{Deserialize, Serialize};

/// A recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The daemon began its work.
    DaemonStarted {
        /// Version of the program.
        version: String,
    },
    /// The daemon ended in order.
    DaemonStopped,
    /// A commit was read that was not the last one.
    RevisionSeen {
        /// The commit.
        revision: Revision,
    },
    /// A commit was read whose files do not validate; nothing changes.
    RevisionRejected {
        /// The commit.
        revision: Revision,
        /// How many mistakes.
        mistakes: usize,
        /// The report as people read it, without colour.
        report: String,
    },
    /// The repo cannot be reached; work goes on with the last good revision.
    SourceUnreachable {
        /// Why.
        error: String,
    },
    /// The repo can be reached again.
    SourceReachable,
    /// A plan was made that is not empty.
    PlanMade {
        /// Its id.
        plan: PlanId,
        /// Commit.
        revision: CommitId,
        /// Its verdict line.
        verdict: String,
    },
    /// The check of the plan found a fault in it; it is not carried out.
    PlanRefused {
        /// Its id.
        plan: PlanId,
        /// What was found.
        violations: Vec<String>,
    },
    /// A plan was carried out as far as it went.
    ApplyFinished {
        /// Its id.
        plan: PlanId,
        /// Commit.
        revision: CommitId,
        /// Steps that ended well.
        done: usize,
        /// Steps that failed.
        failed: usize,
        /// Steps that were not started.
        skipped: usize,
    },
    /// An engine took a setting otherwise than it was asked for.
    EngineWarned {
        /// The instance, network or volume.
        subject: Subject,
        /// What the engine says, or what it reports instead.
        warning: String,
    },
    /// A step began.
    StepStarted {
        /// Plan.
        plan: PlanId,
        /// What it is about.
        subject: Subject,
        /// What is done (`create`, `replace`, …).
        action: String,
        /// Why.
        reason: String,
        /// Fields with old and new value, source and place, as people read them.
        changes: Vec<String>,
    },
    /// A step ended well.
    StepDone {
        /// Plan.
        plan: PlanId,
        /// What it is about.
        subject: Subject,
        /// What was done.
        action: String,
        /// How long it took, in milliseconds.
        millis: u64,
        /// Evidence of health, when its gate asked for it.
        evidence: Option<String>,
    },
    /// A step failed.
    StepFailed {
        /// Plan.
        plan: PlanId,
        /// What it is about.
        subject: Subject,
        /// What was tried.
        action: String,
        /// Why it failed, with all causes.
        error: String,
        /// What the container said, when it was its health that failed.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
    },
    /// A step was not started.
    StepSkipped {
        /// Plan.
        plan: PlanId,
        /// What it is about.
        subject: Subject,
        /// Why.
        because: String,
    },
    /// An instance went from one state to another.
    InstanceChanged {
        /// The instance.
        instance: InstanceId,
        /// Its container.
        container: Option<ContainerId>,
        /// State before; absent when it was not there.
        old: Option<String>,
        /// State after.
        new: String,
        /// Why.
        why: String,
        /// Commit.
        revision: Option<CommitId>,
    },
    /// The host differs from what was applied.
    DriftFound {
        /// The instance, network or volume.
        subject: Subject,
        /// Fields with old and new value, as people read them.
        changes: Vec<String>,
    },
    /// An instance failed its gate and is not tried again until Git changes its settings.
    Quarantined {
        /// The instance.
        instance: InstanceId,
        /// Commit that failed.
        revision: CommitId,
        /// What was seen.
        verdict: String,
    },
    /// A deployment was stopped by hand and is left alone.
    Suspended {
        /// The deployment.
        deployment: DeploymentName,
    },
    /// A deployment that was stopped by hand is kept running again.
    Resumed {
        /// The deployment.
        deployment: DeploymentName,
    },
    /// A run of a schedule began.
    RunBegun {
        /// Its id.
        run: RunId,
        /// The schedule.
        schedule: ScheduleName,
        /// Commit.
        revision: CommitId,
    },
    /// A due time of a schedule, or several in a row, did not run.
    RunLeftOut {
        /// The schedule.
        schedule: ScheduleName,
        /// The due time, the latest of several.
        due: String,
        /// How many.
        count: u64,
        /// Why, in words.
        because: String,
    },
    /// A run of a schedule ended.
    RunEnded {
        /// Its id.
        run: RunId,
        /// The schedule.
        schedule: ScheduleName,
        /// How it ended.
        verdict: RunEnd,
        /// What else there is to say.
        note: Option<String>,
    },
}

/// How a run ended, or that nobody was there at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// As [`RunVerdict::Succeeded`].
    Succeeded,
    /// As [`RunVerdict::Failed`].
    Failed,
    /// As [`RunVerdict::Aborted`].
    Aborted,
    /// As [`RunVerdict::Cancelled`].
    Cancelled,
    /// Its process ended before it did.
    Interrupted,
}

impl RunEnd {
    /// As one word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => RunVerdict::Succeeded.word(),
            Self::Failed => RunVerdict::Failed.word(),
            Self::Aborted => RunVerdict::Aborted.word(),
            Self::Cancelled => RunVerdict::Cancelled.word(),
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<RunVerdict> for RunEnd {
    fn from(verdict: RunVerdict) -> Self {
        match verdict {
            RunVerdict::Succeeded => Self::Succeeded,
            RunVerdict::Failed => Self::Failed,
            RunVerdict::Aborted => Self::Aborted,
            RunVerdict::Cancelled => Self::Cancelled,
        }
    }
}
