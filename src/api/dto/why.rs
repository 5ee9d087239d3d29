//! Why an instance is as it is.

use super::{Health, HealthReport, Revision};
use crate::daemon::why as inner;
use crate::model::{ContainerId, Timestamp};
use crate::store::{self, InstanceRow};
use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Version of this form.
    pub version: u32,
    /// The instance.
    pub instance: String,
    /// What it is now; absent when it is not known.
    pub now: Option<Instance>,
    /// The commit that its container was created from, when it was read here.
    pub revision: Option<Revision>,
    /// What keeps it from being tried again.
    pub quarantine: Option<Verdict>,
    /// What was done to it, oldest first.
    pub links: Vec<Link>,
    /// What it was, oldest first.
    pub history: Vec<Transition>,
}

/// An instance as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The instance.
    pub instance: String,
    /// Its container, full id.
    pub container: Option<String>,
    /// What it does (`running`, `exited (1)`), or `absent`.
    pub state: String,
    /// What its health check says.
    pub health: Health,
    /// The commit its container was created from.
    pub revision: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
}

/// One line of an instance's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Its container then, full id.
    pub container: Option<String>,
    /// State before; absent for the first.
    pub old: Option<String>,
    /// State after.
    pub new: String,
    /// Why.
    pub why: String,
    /// The commit its container was created from.
    pub revision: Option<String>,
}

/// A failed gate that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The commit that failed.
    pub revision: String,
    /// What was seen.
    pub verdict: String,
}

/// One step: from the commit that asked for it to the evidence that it worked or did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// When it began.
    pub at: Timestamp,
    /// Id of the plan.
    pub plan: String,
    /// The commit.
    pub revision: Option<String>,
    /// First line of the commit's message, when it was read here.
    pub summary: Option<String>,
    /// What was done.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Fields with old and new value, who made the difference, and the place in the repo that sets them.
    pub changes: Vec<String>,
    /// How it ended.
    pub end: End,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum End {
    /// Well.
    Done {
        /// How long it took, in milliseconds.
        millis: u64,
        /// Evidence of health.
        evidence: Option<String>,
    },
    /// Not well.
    Failed {
        /// Why.
        error: String,
        /// What the container said.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
    },
    /// It was not carried out.
    Skipped {
        /// Why.
        because: String,
    },
    /// Its end was never recorded: it is in progress, or the process died.
    Open,
}

impl From<inner::Why> for Why {
    fn from(why: inner::Why) -> Self {
        let inner::Why { version, instance, now, revision, quarantine, links, history } = why;
        Self {
            version,
            instance: instance.to_string(),
            now: now.map(Into::into),
            revision: revision.map(Into::into),
            quarantine: quarantine.map(Into::into),
            links: links.into_iter().map(Into::into).collect(),
            history: history.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<InstanceRow> for Instance {
    fn from(row: InstanceRow) -> Self {
        let InstanceRow { node: _, instance, container, state, health, revision, since } = row;
        let (instance, container) = (instance.to_string(), container.as_ref().map(ContainerId::to_string));
        Self { instance, container, state, health: health.into(), revision: revision.map(Into::into), since }
    }
}

impl From<store::Transition> for Transition {
    fn from(change: store::Transition) -> Self {
        let store::Transition { at, container, old, new, why, revision } = change;
        Self {
            at,
            container: container.as_ref().map(ContainerId::to_string),
            old,
            new,
            why,
            revision: revision.map(Into::into),
        }
    }
}

impl From<inner::Verdict> for Verdict {
    fn from(verdict: inner::Verdict) -> Self {
        let inner::Verdict { revision, verdict } = verdict;
        Self { revision: revision.into(), verdict }
    }
}

impl From<inner::Link> for Link {
    fn from(link: inner::Link) -> Self {
        let inner::Link { at, plan, revision, summary, action, reason, changes, end } = link;
        Self {
            at,
            plan: plan.to_string(),
            revision: revision.map(Into::into),
            summary,
            action,
            reason,
            changes,
            end: end.into(),
        }
    }
}

impl From<inner::End> for End {
    fn from(end: inner::End) -> Self {
        match end {
            inner::End::Done { millis, evidence } => Self::Done { millis, evidence },
            inner::End::Failed { error, report, rolled_back } => {
                Self::Failed { error, report: report.map(Into::into), rolled_back }
            }
            inner::End::Skipped { because } => Self::Skipped { because },
            inner::End::Open => Self::Open,
        }
    }
}
