//! A plan.

use super::Revision;
use super::words::words;
use crate::plan;
use crate::plan::render::{self, ChangeRow, HeldRow, StepRow, View};
use serde::{Deserialize, Serialize};

/// A plan. `version` goes up when a field changes its meaning or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form.
    pub version: u32,
    /// The plan's id, for `apply --plan-id`: the first twelve digits of `digest`.
    pub id: String,
    /// The plan's id in full.
    pub digest: String,
    /// Environment.
    pub environment: String,
    /// Commit.
    pub revision: Revision,
    /// When the engine was looked at.
    pub observed_at: String,
    /// What could not be observed.
    pub missing: Vec<String>,
    /// The one line that says it all.
    pub verdict: String,
    /// Instances that are as they should be.
    pub unchanged: usize,
    /// Steps in the order in which they are carried out.
    pub steps: Vec<Step>,
    /// Changed fields by subject.
    pub details: Vec<Detail>,
    /// What runs at once when nothing else limits it, and what it waits for.
    pub waves: Vec<String>,
    /// What is wanted and not done.
    pub held: Vec<Held>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number.
    pub id: usize,
    /// What it costs.
    pub disruption: Disruption,
    /// What is done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// The wave it runs in, from 1.
    pub wave: usize,
}

/// The changed fields of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Whose.
    pub subject: String,
    /// Whether they are held instead of changed.
    pub held: bool,
    /// The fields.
    pub changes: Vec<Change>,
}

/// One changed field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `+` set, `-` unset, `~` changed.
    pub sign: char,
    /// Field.
    pub field: String,
    /// Value now.
    pub old: String,
    /// Value wanted.
    pub new: String,
    /// Who made the difference.
    pub origin: Origin,
    /// The place that sets it.
    pub at: Option<String>,
}

/// Something held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// What it is about.
    pub subject: String,
    /// What would be done.
    pub wanted: String,
    /// Why it is not.
    pub why: String,
    /// The command that lifts the hold.
    pub release: Option<String>,
}

/// A step that is waited for, and how far it must have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The number of the step.
    pub step: usize,
    /// How far it must have come.
    pub until: Milestone,
}

words! {
    /// How far a step has come.
    Milestone = plan::Milestone { Started, Done }
}

words! {
    /// What a step costs those who use the service; ordered from harmless to grave.
    Disruption = plan::Disruption { None, InPlace, Restart, RecreateStartFirst, RecreateDowntime, DataLoss }
}

words! {
    /// Who made a difference.
    Origin = plan::Origin { Git, Drift, Both }
}

impl From<&View> for Plan {
    fn from(view: &View) -> Self {
        let View {
            version,
            id,
            digest,
            environment,
            revision,
            observed_at,
            missing,
            verdict,
            unchanged,
            steps,
            details,
            waves,
            held,
        } = view.clone();
        Self {
            version,
            id,
            digest,
            environment,
            revision: revision.into(),
            observed_at,
            missing,
            verdict,
            unchanged,
            steps: steps.into_iter().map(Into::into).collect(),
            details: details.into_iter().map(Into::into).collect(),
            waves,
            held: held.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<StepRow> for Step {
    fn from(row: StepRow) -> Self {
        let StepRow { id, disruption, action, subject, reason, needs, wave } = row;
        let needs = needs.into_iter().map(|need| Need { step: need.step, until: need.until.into() }).collect();
        Self { id, disruption: disruption.into(), action: action.to_owned(), subject, reason, needs, wave }
    }
}

impl From<render::Detail> for Detail {
    fn from(detail: render::Detail) -> Self {
        let render::Detail { subject, held, changes } = detail;
        Self { subject, held, changes: changes.into_iter().map(Into::into).collect() }
    }
}

impl From<ChangeRow> for Change {
    fn from(row: ChangeRow) -> Self {
        let ChangeRow { sign, field, old, new, origin, at } = row;
        Self { sign, field, old, new, origin: origin.into(), at }
    }
}

impl From<HeldRow> for Held {
    fn from(row: HeldRow) -> Self {
        let HeldRow { subject, wanted, why, release } = row;
        Self { subject, wanted: wanted.to_owned(), why, release }
    }
}
