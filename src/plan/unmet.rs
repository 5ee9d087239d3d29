//! A dependency is satisfied by a state, not by the absence of a step: a step is held if its dependency is held, has failed, or has
//! not reached the required state, in this plan and in every later one.

use super::action::{Action, Update};
use super::context::Context;
use super::draft::{Draft, Drafts};
use super::step::{HeldReason, Milestone, Origin};
use super::subject::Subject;
use crate::model::{Condition, Container, Health, Restart, Service, Status};
use std::collections::BTreeSet;

/// Holds every draft whose needs cannot be met, until none is left.
pub(super) fn hold_unmet(cx: &Context<'_>, drafts: &mut Drafts) {
    loop {
        let held: BTreeSet<&Subject> = drafts.held.iter().map(|held| &held.subject).collect();
        let unmet = |draft: &Draft| draft.needs.iter().find_map(|need| unmet(cx, drafts, &held, draft, need));
        let blocked: Vec<(Subject, HeldReason)> =
            drafts.steps.iter().filter_map(|(subject, draft)| Some((subject.clone(), unmet(draft)?))).collect();
        if blocked.is_empty() {
            return;
        }
        for (subject, why) in blocked {
            drafts.withdraw(&subject, why);
        }
    }
}

/// Why one need of a draft cannot be met; `None` when it is met, or will be by another step.
fn unmet(
    cx: &Context<'_>,
    drafts: &Drafts,
    held: &BTreeSet<&Subject>,
    draft: &Draft,
    (need, until): &(Subject, Milestone),
) -> Option<HeldReason> {
    if drafts.steps.contains_key(need) {
        return None;
    }
    let Subject::Instance(_, instance) = need else {
        return drafts.absent.contains(need).then(|| HeldReason::Needs(need.clone()));
    };
    // A container that only has to run again was created for the current state; new settings were made for the wanted state.
    if held.contains(need) && !only_runs_again(draft) {
        return Some(HeldReason::Needs(need.clone()));
    }
    if !starts(draft) {
        return None;
    }
    let wanted = cx.wanted.get(instance)?;
    let suspended = Subject::Deployment(wanted.deployment.name.clone());
    if held.contains(&suspended) {
        return Some(HeldReason::Needs(suspended));
    }
    let condition = match until {
        Milestone::Started => Condition::Started,
        Milestone::Done if wanted.service.one_shot => Condition::Completed,
        Milestone::Done => Condition::Healthy,
    };
    let there = cx.present.get(instance).and_then(|present| present.standing(&wanted.name));
    let reached = there.is_some_and(|container| has_reached(container, wanted.service, condition));
    (!reached).then(|| match held.contains(need) {
        true => HeldReason::Needs(need.clone()),
        false => HeldReason::NotReached { needs: need.clone(), condition },
    })
}

/// Whether a container has come as far as a dependant waits for.
fn has_reached(container: &Container, service: &Service, condition: Condition) -> bool {
    match condition {
        Condition::Started => is_done(container, service) || container.status == Status::Running,
        Condition::Healthy => {
            container.status == Status::Running && matches!(container.health, Health::Healthy | Health::Unchecked)
        }
        Condition::Completed => is_done(container, service),
    }
}

/// Whether a container ended well and is not to run again: that is for its restart policy to say.
pub(super) fn is_done(container: &Container, service: &Service) -> bool {
    matches!(container.status, Status::Exited { code: 0, oom: false })
        && matches!(service.spec.restart, Restart::No | Restart::OnFailure(_))
}

/// Whether a draft begins a process, which must find what it needs.
fn starts(draft: &Draft) -> bool {
    match &draft.action {
        Action::UpdateInstance { updates, .. } => {
            updates.iter().any(|update| matches!(update, Update::Start | Update::Restart { .. } | Update::Unpause))
        }
        action => action.launch().is_some(),
    }
}

/// Whether a draft starts a container again that Git did not change.
fn only_runs_again(draft: &Draft) -> bool {
    matches!(draft.action, Action::UpdateInstance { .. })
        && draft.changes.iter().all(|change| change.origin == Origin::Drift)
}
