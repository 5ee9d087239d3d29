//! The sentences of a plan.

use crate::model::{self, Condition, Status};
use crate::plan::{Action, Disruption, FieldChange, Gate, Held, HeldReason, Origin, Plan, Reason, Step, Subject};
use std::collections::BTreeMap;

/// One line that says it all: `2 to replace · 1 to create · 14 unchanged · down: shop/api/1 · no data loss · 1 held`.
pub fn verdict(plan: &Plan) -> String {
    let mut counts: BTreeMap<(u8, &str, &str), usize> = BTreeMap::new();
    for step in plan.changes() {
        *counts.entry(group(step)).or_default() += 1;
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|((_, one, many), count)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    if parts.is_empty() {
        parts.push("no changes".to_owned());
    }
    parts.push(format!("{} unchanged", plan.unchanged));
    let down: Vec<String> = plan.down().map(|step| step.subject.to_string()).collect();
    match down.as_slice() {
        [] => {}
        some if some.len() <= 3 => parts.push(format!("downtime: {}", some.join(", "))),
        [first, rest @ ..] => parts.push(format!("downtime: {first} and {} more", rest.len())),
    }
    if plan.changes().next().is_some() {
        let lost = plan.steps.iter().filter(|step| step.disruption == Disruption::DataLoss).count();
        parts.push(if lost == 0 { "no data loss".to_owned() } else { format!("DATA LOSS: {lost}") });
    }
    if !plan.held.is_empty() {
        parts.push(format!("{} held", plan.held.len()));
    }
    if !plan.missing.is_empty() {
        parts.push("INCOMPLETE".to_owned());
    }
    parts.join(" · ")
}

/// The group a step is counted in, most disruptive first, with its name for one step and for several.
fn group(step: &Step) -> (u8, &'static str, &'static str) {
    let same = |rank, name| (rank, name, name);
    let unfinished = (6, "unfinished replacement", "unfinished replacements");
    match &step.action {
        Action::ReplaceInstance { .. } if step.reason == Reason::Interrupted => unfinished,
        Action::ReplaceInstance { .. } => same(0, "to replace"),
        Action::RemoveInstance { .. } => same(1, "to remove"),
        Action::StopInstance { .. } => same(2, "to stop"),
        Action::CreateInstance(_) => same(3, "to create"),
        Action::UpdateInstance { .. } if step.disruption == Disruption::Restart => same(4, "to restart"),
        Action::UpdateInstance { .. } => same(5, "in place"),
        Action::RestoreInstance { .. } | Action::DiscardLeftover { .. } => unfinished,
        Action::BuildImage(_) => same(7, "to build"),
        Action::PullImage { .. } => same(8, "to pull"),
        Action::CreateNetwork { .. } | Action::RecreateNetwork { .. } | Action::RemoveNetwork { .. } => {
            (9, "network", "networks")
        }
        Action::CreateVolume { .. } | Action::RecreateVolume { .. } => (10, "volume", "volumes"),
        Action::AwaitInstance { .. } => same(11, "to wait for"),
    }
}

/// `image  api:1.4 → api:1.5  (git, deployments/shop.yaml:12)`.
pub fn change_line(change: &FieldChange) -> String {
    let value = |value: &Option<String>| shown(change, value.as_deref());
    let origin = origin_text(change.origin);
    let at = change.at.as_ref().map(|at| format!(", {at}")).unwrap_or_default();
    format!("{}: {} → {} ({origin}{at})", change.field, value(&change.old), value(&change.new))
}

/// A value of a change as it may be shown; a default as `–`.
pub(super) fn shown(change: &FieldChange, value: Option<&str>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) => model::shown(&change.field, value, change.hidden).replace('\n', "⏎"),
    }
}

pub(super) fn origin_text(origin: Origin) -> &'static str {
    match origin {
        Origin::Git => "git",
        Origin::Drift => "drift",
        Origin::Both => "both",
    }
}

/// Why a step exists, in a few words.
pub fn reason_text(step: &Step) -> String {
    let mut text = match &step.reason {
        Reason::New => "new".to_owned(),
        Reason::ScaledUp { from, to } | Reason::ScaledDown { from, to } => format!("replicas {from} → {to}"),
        Reason::Vanished => "was removed on the host (drift)".to_owned(),
        Reason::Changed => changed_text(&step.changes),
        Reason::NotRunning(Status::Created) => "was created and never started".to_owned(),
        Reason::NotRunning(Status::Exited { code, oom }) => {
            format!("exited with code {code}{} (drift)", if *oom { ", out of memory" } else { "" })
        }
        Reason::NotRunning(status) => format!("is {status} (drift)"),
        Reason::Unhealthy => "is unhealthy (drift)".to_owned(),
        Reason::Dropped => "no longer in git".to_owned(),
        Reason::Interrupted => "left by an interrupted replacement".to_owned(),
        Reason::NeededBy(service) => format!("needed by {service}"),
        Reason::Unused => "no longer used".to_owned(),
        Reason::MakesRoom(instance) => format!("makes room for {instance}"),
        Reason::Awaited => "still starting; others depend on it".to_owned(),
        Reason::Suspended => "its deployment was stopped by hand, and the engine started it again (drift)".to_owned(),
        Reason::Asked => "requested on the command line".to_owned(),
    };
    match &step.action {
        _ if step.reason == Reason::Interrupted => {}
        Action::ReplaceInstance { stop_first: true, .. } => text.push_str("; stop-first"),
        Action::ReplaceInstance { stop_first: false, .. } => text.push_str("; start-first"),
        _ => {}
    }
    text
}

fn changed_text(changes: &[FieldChange]) -> String {
    let name = |change: &FieldChange| match change.origin {
        Origin::Git => change.field.to_string(),
        origin => format!("{} ({})", change.field, origin_text(origin)),
    };
    let mut text: Vec<String> = changes.iter().take(3).map(name).collect();
    if changes.len() > 3 {
        text.push(format!("{} more", changes.len() - 3));
    }
    text.join(", ")
}

/// Why something is held.
pub fn held_text(why: &HeldReason) -> String {
    match why {
        HeldReason::Quarantined { revision, verdict } => {
            format!("did not become healthy at {}: {verdict}", revision.short())
        }
        HeldReason::PruneDisabled => "pruning is switched off in setpoint.kdl".to_owned(),
        HeldReason::PruneBudget { wanted, allowed } => {
            format!("{wanted} instances would be removed, but the prune budget allows {allowed}")
        }
        HeldReason::DriftReported => "drift is reported, not repaired (setpoint.kdl)".to_owned(),
        HeldReason::Incomplete => {
            "the engine could not be read in full, so nothing is removed, and nothing is created that may already exist".to_owned()
        }
        HeldReason::Suspended => "stopped by hand".to_owned(),
        HeldReason::NameTaken { name } => format!("container `{name}` already exists and is not managed by this environment"),
        HeldReason::PortTaken { port, holder } => format!("host port {port} is used by `{holder}`, which is not managed by this environment"),
        HeldReason::Foreign => {
            "already exists and is not managed by this environment; remove it, choose another name, or declare it `external: true`".to_owned()
        }
        HeldReason::ExternalMissing => "declared external but does not exist; create it first".to_owned(),
        HeldReason::ImageMissing { reference } => format!("image {reference} is not on the host and must not be pulled"),
        HeldReason::Needs(subject) => format!("needs {subject}, which is held or not updated"),
        HeldReason::NotReached { needs, condition } => match condition {
            Condition::Started => format!("needs {needs}, which is not running"),
            Condition::Healthy => format!("needs {needs}, which is not healthy"),
            Condition::Completed => format!("needs {needs}, which has not completed"),
        },
        HeldReason::BeingRemoved => "its container is being removed; it is created after that".to_owned(),
        HeldReason::Circle(path) => {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            format!("its step would wait for itself: {}; please report this bug", path.join(" → "))
        }
        HeldReason::Flapping { times } => format!("repaired {times} times in ten minutes without lasting effect"),
        HeldReason::DataLoss { lost } => format!("{lost} would be lost"),
        HeldReason::InUseByForeign { holder } => format!("`{holder}`, which is not managed by this environment, is connected to it"),
    }
}

/// The command that lifts a hold, when one does.
pub fn release(held: &Held) -> Option<String> {
    match (&held.why, &held.subject) {
        (HeldReason::Quarantined { .. } | HeldReason::Flapping { .. }, Subject::Instance(_, id)) => {
            Some(format!("setpoint apply --allow retry:{}", id.service))
        }
        (HeldReason::PruneBudget { .. } | HeldReason::PruneDisabled, Subject::Instance(_, id)) => {
            Some(format!("setpoint apply --allow prune:{}", id.service))
        }
        (HeldReason::DataLoss { .. }, Subject::Instance(_, id)) => {
            Some(format!("setpoint apply --allow data-loss:{id}"))
        }
        (HeldReason::DataLoss { .. }, Subject::Volume(_, name)) => {
            Some(format!("setpoint apply --allow data-loss:{name}"))
        }
        (HeldReason::Suspended, Subject::Deployment(name)) => Some(format!("setpoint start {name}")),
        _ => None,
    }
}

/// What a gate asks for.
pub(super) fn gate_text(gate: &Gate) -> Option<String> {
    use crate::model::duration_text;
    match gate {
        Gate::Started => None,
        Gate::Healthy { timeout, .. } => Some(format!("healthy within {}", duration_text(*timeout))),
        Gate::Completed { timeout } => Some(format!("completed within {}", duration_text(*timeout))),
    }
}
