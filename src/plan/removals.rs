//! Containers that exist and are no longer wanted: those of removed services, and surplus replicas.

use super::action::{Action, Guard};
use super::context::Context;
use super::draft::{Draft, Drafts, Phase, Rank};
use super::input::AllowedGuard;
use super::step::{Disruption, Held, HeldReason, Milestone, Origin, Reason};
use super::subject::Subject;
use super::wanted::grace;
use crate::model::{Container, InstanceId, ServiceRef};
use std::collections::{BTreeMap, BTreeSet};

/// Drafts the removal of every instance that is not wanted, within the prune budget and dependants first.
pub(super) fn removals(cx: &Context<'_>, drafts: &mut Drafts) {
    let unwanted: Vec<&InstanceId> = cx.present.keys().filter(|id| !cx.wanted.contains_key(*id)).collect();
    let (surplus, dropped): (Vec<_>, Vec<_>) =
        unwanted.into_iter().partition(|id| cx.desired().service(&id.service).is_some());
    let dropped: Vec<(&InstanceId, bool)> =
        dropped.into_iter().map(|id| (id, !cx.allows(AllowedGuard::Prune, &id.to_string()))).collect();
    let (allowed, asked) = (budget(cx), dropped.iter().filter(|(_, needs_budget)| *needs_budget).count());

    let surplus = surplus.into_iter().map(|id| (id, true, false));
    for (id, is_surplus, needs_budget) in surplus.chain(dropped.into_iter().map(|(id, asks)| (id, false, asks))) {
        let subject = cx.instance(id);
        let suspended = is_surplus && cx.input.memory.suspended.contains(&id.service.deployment);
        if !cx.observed().is_complete() {
            drafts.hold(subject, "remove", HeldReason::Incomplete, Vec::new());
        } else if suspended {
            drafts.hold(subject, "remove", HeldReason::Suspended, Vec::new());
        } else if needs_budget && !cx.desired().settings.prune.enabled {
            drafts.hold(subject, "remove", HeldReason::PruneDisabled, Vec::new());
        } else if needs_budget && asked > allowed {
            drafts.hold(subject, "remove", HeldReason::PruneBudget { wanted: asked, allowed }, Vec::new());
        } else {
            let reason = match cx.desired().service(&id.service) {
                Some(service) => Reason::ScaledDown { from: cx.replicas_present(&id.service), to: service.replicas },
                None => Reason::Dropped,
            };
            remove(cx, id, &reason, drafts);
        }
    }
    dependants_first(cx, drafts);
}

/// How many instances one plan may prune: a share of all of ours, but at least one.
fn budget(cx: &Context<'_>) -> usize {
    let share = cx.present.len() * usize::from(cx.desired().settings.prune.budget_percent) / 100;
    share.max(1)
}

/// Removes every container of an instance; the first carries the instance's own subject.
fn remove(cx: &Context<'_>, id: &InstanceId, reason: &Reason, drafts: &mut Drafts) {
    let Some(present) = cx.present.get(id) else { return };
    let containers = present.main.iter().chain(&present.prev).chain(&present.next);
    for (index, container) in containers.enumerate() {
        let subject = if index == 0 { cx.instance(id) } else { cx.container(&container.name) };
        let draft = Draft {
            deployment: Some(id.service.deployment.clone()),
            action: Action::RemoveInstance { container: container.id.clone(), grace: grace(container) },
            guard: Guard::Ours { container: container.id.clone(), owner: cx.input.owner.clone() },
            needs: BTreeSet::new(),
            changes: Vec::new(),
            reason: reason.clone(),
            disruption: if index == 0 { Disruption::RecreateDowntime } else { Disruption::None },
            rank: Rank(Phase::Removals, 0, 0, id.slot),
        };
        drafts.steps.insert(subject, draft);
    }
}

/// What depends on something goes, or changes over to its new settings, before that something goes. While that is held, so is
/// the removal of what it depends on.
fn dependants_first(cx: &Context<'_>, drafts: &mut Drafts) {
    let of_git = |held: &&Held| {
        let leaves = |id: &InstanceId| !cx.wanted.contains_key(id);
        held.changes.iter().any(|change| change.origin != Origin::Drift)
            || matches!(&held.subject, Subject::Instance(_, id) if leaves(id))
    };
    let staying: BTreeSet<Subject> = drafts.held.iter().filter(of_git).map(|held| held.subject.clone()).collect();
    let mut dependants: BTreeMap<&ServiceRef, Vec<&Container>> = BTreeMap::new();
    for container in cx.ours() {
        for service in &container.needs {
            dependants.entry(service).or_default().push(container);
        }
    }
    let removals: Vec<InstanceId> = drafts
        .steps
        .iter()
        .filter(|(_, draft)| draft.rank.0 == Phase::Removals)
        .filter_map(|(subject, _)| if let Subject::Instance(_, id) = subject { Some(id.clone()) } else { None })
        .collect();
    for id in removals {
        let subject = cx.instance(&id);
        for dependant in dependants.get(&id.service).into_iter().flatten() {
            let Some(instance) = dependant.instance.as_ref().filter(|instance| **instance != id) else { continue };
            let need = cx.instance(instance);
            if (drafts.steps.contains_key(&need) || staying.contains(&need))
                && !drafts.reaches(&need, &subject)
                && let Some(draft) = drafts.steps.get_mut(&subject)
            {
                draft.needs.insert((need, Milestone::Done));
            }
        }
    }
}
