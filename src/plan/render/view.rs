//! What every rendering of a plan shows, in the order in which it is shown. Its JSON form is `api::dto::Plan`.

use super::words::{gate_text, held_text, origin_text, reason_text, release, shown, verdict};
use crate::model::{Revision, StrategyKind};
use crate::plan::{Action, Disruption, FieldChange, Need, Origin, Plan, Step, waves};
use std::collections::BTreeSet;

/// A plan, ready to be shown.
#[derive(Clone, Debug)]
pub struct View {
    /// Version of this form.
    pub version: u32,
    /// The plan's id for `apply --plan-id`: the first twelve digits of `digest`.
    pub id: String,
    /// The plan's id in full.
    pub digest: String,
    pub environment: String,
    pub revision: Revision,
    /// When the engine was observed.
    pub observed_at: String,
    /// What could not be observed.
    pub missing: Vec<String>,
    /// A summary in one line.
    pub verdict: String,
    /// Instances that are in sync.
    pub unchanged: usize,
    /// Steps in the order in which they are carried out.
    pub steps: Vec<StepRow>,
    /// Changed fields by subject.
    pub details: Vec<Detail>,
    /// The steps that can run at the same time, and what each wave waits for.
    pub waves: Vec<String>,
    /// Changes that are held.
    pub held: Vec<HeldRow>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct StepRow {
    pub id: usize,
    pub disruption: Disruption,
    pub action: &'static str,
    pub subject: String,
    pub reason: String,
    pub needs: Vec<Need>,
    /// The wave it runs in, from 1.
    pub wave: usize,
}

/// The changed fields of one subject.
#[derive(Clone, Debug)]
pub struct Detail {
    pub subject: String,
    /// Whether they are held instead of changed.
    pub held: bool,
    pub changes: Vec<ChangeRow>,
}

/// One changed field.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// `+` set, `-` unset, `~` changed.
    pub sign: char,
    pub field: String,
    pub old: String,
    pub new: String,
    pub origin: Origin,
    /// The place that sets it.
    pub at: Option<String>,
}

/// Something held.
#[derive(Clone, Debug)]
pub struct HeldRow {
    pub subject: String,
    /// What would be done.
    pub wanted: &'static str,
    /// Why it is held.
    pub why: String,
    /// The command to proceed.
    pub release: Option<String>,
}

impl View {
    /// Form version of the JSON rendering.
    pub const VERSION: u32 = 1;

    /// Lays a plan out.
    pub fn new(plan: &Plan) -> Self {
        let waves = waves(&plan.steps);
        let detail = |subject: String, held: bool, changes: &[FieldChange]| {
            (!changes.is_empty()).then(|| Detail { subject, held, changes: changes.iter().map(change_row).collect() })
        };
        let of_steps = plan.steps.iter().filter_map(|step| detail(step.subject.to_string(), false, &step.changes));
        let of_held = plan.held.iter().filter_map(|held| detail(held.subject.to_string(), true, &held.changes));
        Self {
            version: Self::VERSION,
            id: plan.id.to_string(),
            digest: plan.id.as_str().to_owned(),
            environment: plan.environment.clone(),
            revision: plan.revision.clone(),
            observed_at: plan.observed_at.to_string(),
            missing: plan.missing.clone(),
            verdict: verdict(plan),
            unchanged: plan.unchanged,
            steps: plan.steps.iter().zip(&waves).map(|(step, wave)| step_row(step, *wave)).collect(),
            details: of_steps.chain(of_held).collect(),
            waves: wave_texts(plan, &waves),
            held: plan
                .held
                .iter()
                .map(|held| HeldRow {
                    subject: held.subject.to_string(),
                    wanted: held.wanted,
                    why: held_text(&held.why),
                    release: release(held),
                })
                .collect(),
        }
    }

    /// The steps by risk: what hurts most first, otherwise in order.
    pub fn by_risk(&self) -> Vec<&StepRow> {
        let mut rows: Vec<&StepRow> = self.steps.iter().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.disruption), row.id));
        rows
    }
}

fn step_row(step: &Step, wave: usize) -> StepRow {
    StepRow {
        id: step.id,
        disruption: step.disruption,
        action: step.action.verb(),
        subject: step.subject.to_string(),
        reason: reason_text(step),
        needs: step.needs.clone(),
        wave: wave + 1,
    }
}

fn change_row(change: &FieldChange) -> ChangeRow {
    ChangeRow {
        sign: match (&change.old, &change.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        },
        field: change.field.to_string(),
        old: shown(change, change.old.as_deref()),
        new: shown(change, change.new.as_deref()),
        origin: change.origin,
        at: change.at.as_ref().map(ToString::to_string),
    }
}

/// `db`, then `api, worker (2 at a time, healthy within 60s)`: the subjects of each wave, images and networks left out
/// unless a wave has nothing else.
fn wave_texts(plan: &Plan, waves: &[usize]) -> Vec<String> {
    let count = waves.iter().max().map_or(0, |last| last + 1);
    (0..count)
        .map(|wave| {
            let steps: Vec<&Step> =
                plan.steps.iter().zip(waves).filter(|(_, of)| **of == wave).map(|(step, _)| step).collect();
            let names: Vec<String> = steps.iter().map(|step| step.subject.to_string()).collect();
            let shown = if names.len() > 6 {
                format!("{}, … ({} in total)", names[..5].join(", "), names.len())
            } else {
                names.join(", ")
            };
            match conditions(plan, &steps) {
                conditions if conditions.is_empty() => shown,
                conditions => format!("{shown} ({conditions})"),
            }
        })
        .collect()
}

/// How fast a wave goes and what it waits for, where that is one thing for all of it.
fn conditions(plan: &Plan, steps: &[&Step]) -> String {
    let paces: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| plan.strategies.get(step.deployment.as_ref()?))
        .map(|strategy| match strategy.kind {
            StrategyKind::Sequential => "one at a time".to_owned(),
            StrategyKind::Parallel => format!("{} at a time", strategy.max_parallel),
        })
        .collect();
    let gates: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::UpdateInstance { gate, .. } | Action::AwaitInstance { gate, .. } => gate_text(gate),
            action => action.launch().and_then(|launch| gate_text(&launch.gate)),
        })
        .collect();
    let pace = paces.into_iter().filter(|_| steps.len() > 1).collect::<Vec<_>>();
    let single = |list: Vec<String>| if list.len() == 1 { list } else { Vec::new() };
    [single(pace), single(gates.into_iter().collect())].concat().join(", ")
}

impl ChangeRow {
    /// `git`, `drift` or `both`.
    pub fn origin_text(&self) -> &'static str {
        origin_text(self.origin)
    }
}

impl Plan {
    /// The steps that change something; a wait for an instance that is already in sync changes nothing.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !matches!(step.action, Action::AwaitInstance { .. }))
    }

    /// The steps during which a running instance is down, or after which it no longer exists.
    pub fn down(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.disruption >= Disruption::RecreateDowntime)
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }
}
