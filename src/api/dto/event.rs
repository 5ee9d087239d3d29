//! What happened.

use super::{HealthReport, Revision};
use crate::event::Fact as Inner;
use crate::model::Timestamp;
use crate::store::Recorded;
use serde::{Deserialize, Serialize};

/// A recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number; grows with each event.
    pub id: i64,
    /// The environment it belongs to; empty for facts about the daemon itself.
    pub environment: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Some events and where to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsPage {
    /// In order of time.
    pub events: Vec<Event>,
    /// What to pass as `after` for those that follow.
    pub next: i64,
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
        plan: String,
        /// Commit.
        revision: String,
        /// Its verdict line.
        verdict: String,
    },
    /// The check of the plan found a fault in it; it is not carried out.
    PlanRefused {
        /// Its id.
        plan: String,
        /// What was found.
        violations: Vec<String>,
    },
    /// A plan was carried out as far as it went.
    ApplyFinished {
        /// Its id.
        plan: String,
        /// Commit.
        revision: String,
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
        subject: String,
        /// What the engine says, or what it reports instead.
        warning: String,
    },
    /// A step began.
    StepStarted {
        /// Plan.
        plan: String,
        /// What it is about.
        subject: String,
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
        plan: String,
        /// What it is about.
        subject: String,
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
        plan: String,
        /// What it is about.
        subject: String,
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
        plan: String,
        /// What it is about.
        subject: String,
        /// Why.
        because: String,
    },
    /// An instance went from one state to another.
    InstanceChanged {
        /// The instance.
        instance: String,
        /// Its container, short id.
        container: Option<String>,
        /// State before; absent when it was not there.
        old: Option<String>,
        /// State after.
        new: String,
        /// Why.
        why: String,
        /// Commit.
        revision: Option<String>,
    },
    /// The host differs from what was applied.
    DriftFound {
        /// The instance, network or volume.
        subject: String,
        /// Fields with old and new value, as people read them.
        changes: Vec<String>,
    },
    /// An instance failed its gate and is not tried again until Git changes its settings.
    Quarantined {
        /// The instance.
        instance: String,
        /// Commit that failed.
        revision: String,
        /// What was seen.
        verdict: String,
    },
    /// A deployment was stopped by hand and is left alone.
    Suspended {
        /// The deployment.
        deployment: String,
    },
    /// A deployment that was stopped by hand is kept running again.
    Resumed {
        /// The deployment.
        deployment: String,
    },
    /// A run of a schedule began.
    RunBegun {
        /// Its id.
        run: String,
        /// The schedule.
        schedule: String,
        /// Commit.
        revision: String,
    },
    /// A due time of a schedule, or several in a row, did not run.
    RunLeftOut {
        /// The schedule.
        schedule: String,
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
        run: String,
        /// The schedule.
        schedule: String,
        /// Its verdict in one word.
        verdict: String,
        /// What else there is to say.
        note: Option<String>,
    },
}

impl From<Recorded> for Event {
    fn from(recorded: Recorded) -> Self {
        let Recorded { id, environment, event } = recorded;
        Self { id, environment, at: event.at, fact: event.fact.into() }
    }
}

impl From<Inner> for Fact {
    fn from(fact: Inner) -> Self {
        match fact {
            Inner::DaemonStarted { version } => Self::DaemonStarted { version },
            Inner::DaemonStopped => Self::DaemonStopped,
            Inner::RevisionSeen { revision } => Self::RevisionSeen { revision: revision.into() },
            Inner::RevisionRejected { revision, mistakes, report } => {
                Self::RevisionRejected { revision: revision.into(), mistakes, report }
            }
            Inner::SourceUnreachable { error } => Self::SourceUnreachable { error },
            Inner::SourceReachable => Self::SourceReachable,
            Inner::PlanMade { plan, revision, verdict } => {
                Self::PlanMade { plan: plan.to_string(), revision: revision.to_string(), verdict }
            }
            Inner::PlanRefused { plan, violations } => Self::PlanRefused { plan: plan.to_string(), violations },
            Inner::ApplyFinished { plan, revision, done, failed, skipped } => {
                Self::ApplyFinished { plan: plan.to_string(), revision: revision.to_string(), done, failed, skipped }
            }
            Inner::EngineWarned { subject, warning } => Self::EngineWarned { subject: subject.to_string(), warning },
            Inner::StepStarted { plan, subject, action, reason, changes } => {
                Self::StepStarted { plan: plan.to_string(), subject: subject.to_string(), action, reason, changes }
            }
            Inner::StepDone { plan, subject, action, millis, evidence } => {
                Self::StepDone { plan: plan.to_string(), subject: subject.to_string(), action, millis, evidence }
            }
            Inner::StepFailed { plan, subject, action, error, report, rolled_back } => Self::StepFailed {
                plan: plan.to_string(),
                subject: subject.to_string(),
                action,
                error,
                report: report.map(Into::into),
                rolled_back,
            },
            Inner::StepSkipped { plan, subject, because } => {
                Self::StepSkipped { plan: plan.to_string(), subject: subject.to_string(), because }
            }
            Inner::InstanceChanged { instance, container, old, new, why, revision } => Self::InstanceChanged {
                instance: instance.to_string(),
                container: container.map(|id| id.short().to_owned()),
                old,
                new,
                why,
                revision: revision.map(String::from),
            },
            Inner::DriftFound { subject, changes } => Self::DriftFound { subject: subject.to_string(), changes },
            Inner::Quarantined { instance, revision, verdict } => {
                Self::Quarantined { instance: instance.to_string(), revision: revision.to_string(), verdict }
            }
            Inner::Suspended { deployment } => Self::Suspended { deployment: deployment.to_string() },
            Inner::Resumed { deployment } => Self::Resumed { deployment: deployment.to_string() },
            Inner::RunBegun { run, schedule, revision } => {
                Self::RunBegun { run: run.to_string(), schedule: schedule.to_string(), revision: revision.to_string() }
            }
            Inner::RunLeftOut { schedule, due, count, because } => {
                Self::RunLeftOut { schedule: schedule.to_string(), due, count, because }
            }
            Inner::RunEnded { run, schedule, verdict, note } => Self::RunEnded {
                run: run.to_string(),
                schedule: schedule.to_string(),
                verdict: verdict.word().to_owned(),
                note,
            },
        }
    }
}
