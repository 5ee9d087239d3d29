//! Stops, starts and removes existing deployments, using only the labels on the engine, so that the repo need not be readable.

use super::action::{Action, Gate, Guard, Update};
use super::context::Context;
use super::draft::{Draft, Drafts, Phase, Rank};
use super::input::PlanInput;
use super::step::{Disruption, Milestone, Plan, Reason};
use super::wanted::grace;
use crate::model::{Container, DeploymentName, ServiceRef, Status};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done with deployments as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// Stop the containers, dependants first; they stay.
    Stop,
    /// Start them again, what they depend on first.
    Start,
    /// Remove the containers, dependants first, and then their networks. Images and volumes stay.
    Remove,
}

/// The plan that does it for these deployments (none named: all of ours).
pub fn teardown(input: &PlanInput<'_>, what: Teardown, deployments: &BTreeSet<DeploymentName>) -> Plan {
    let cx = Context::new(*input);
    let chosen = |name: &DeploymentName| deployments.is_empty() || deployments.contains(name);
    let containers: Vec<&Container> = cx
        .ours()
        .filter(|one| one.instance.as_ref().is_some_and(|instance| chosen(&instance.service.deployment)))
        .collect();
    let mut drafts = Drafts::default();
    for container in &containers {
        if let Some(draft) = draft(&cx, container, what) {
            drafts.steps.insert(cx.container(&container.name), draft);
        }
    }
    for (dependant, dependency) in edges(&containers) {
        let (later, earlier) = if what == Teardown::Start { (dependant, dependency) } else { (dependency, dependant) };
        let (later, earlier) = (cx.container(&later.name), cx.container(&earlier.name));
        if drafts.steps.contains_key(&earlier)
            && !drafts.reaches(&earlier, &later)
            && let Some(draft) = drafts.steps.get_mut(&later)
        {
            draft.needs.insert((earlier, Milestone::Done));
        }
    }
    if what == Teardown::Remove {
        networks(&cx, &chosen, &mut drafts);
    }
    super::assemble(&cx, drafts, 0)
}

fn draft(cx: &Context<'_>, container: &Container, what: Teardown) -> Option<Draft> {
    let runs = matches!(container.status, Status::Running | Status::Paused | Status::Restarting);
    let id = container.id.clone();
    let action = match what {
        Teardown::Stop if runs => Action::StopInstance { container: id, grace: grace(container) },
        Teardown::Start if !runs => {
            Action::UpdateInstance { container: id, updates: vec![Update::Start], gate: Gate::Started }
        }
        Teardown::Remove => Action::RemoveInstance { container: id, grace: grace(container) },
        Teardown::Stop | Teardown::Start => return None,
    };
    let instance = container.instance.as_ref()?;
    Some(Draft {
        deployment: Some(instance.service.deployment.clone()),
        action,
        guard: Guard::Ours { container: container.id.clone(), owner: cx.input.owner.clone() },
        needs: BTreeSet::new(),
        changes: Vec::new(),
        reason: Reason::Asked,
        disruption: if what == Teardown::Start { Disruption::None } else { Disruption::RecreateDowntime },
        rank: Rank(Phase::Instances, 0, 0, instance.slot),
    })
}

/// Pairs of dependant and dependency, from the labels.
fn edges<'a>(containers: &[&'a Container]) -> Vec<(&'a Container, &'a Container)> {
    let mut by_service: BTreeMap<&ServiceRef, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        by_service.extend(container.instance.as_ref().map(|instance| (&instance.service, Vec::new())));
    }
    for container in containers {
        if let Some(list) = container.instance.as_ref().and_then(|instance| by_service.get_mut(&instance.service)) {
            list.push(container);
        }
    }
    let mut edges = Vec::new();
    for dependant in containers {
        for service in &dependant.needs {
            edges.extend(by_service.get(service).into_iter().flatten().map(|dependency| (*dependant, *dependency)));
        }
    }
    edges
}

/// The networks of the chosen deployments, after all our containers on them were removed.
fn networks(cx: &Context<'_>, chosen: &impl Fn(&DeploymentName) -> bool, drafts: &mut Drafts) {
    for (name, state) in &cx.observed().networks {
        let of_chosen = state.deployment.as_ref().is_some_and(chosen);
        if state.owner.as_ref() != Some(cx.input.owner) || !of_chosen {
            continue;
        }
        let subject = cx.network(name);
        if let Some(foreign) = cx.foreign_on_network(name) {
            let why = super::step::HeldReason::InUseByForeign { holder: foreign.name.clone() };
            drafts.hold(subject, "remove", why, Vec::new());
            continue;
        }
        let users = cx.ours().filter(|one| one.addresses.contains_key(name) || one.spec.networks.contains_key(name));
        let needs: BTreeSet<_> = users.map(|user| cx.container(&user.name)).collect();
        if let Some(stays) = needs.iter().find(|need| !drafts.steps.contains_key(need)) {
            drafts.hold(subject, "remove", super::step::HeldReason::Needs(stays.clone()), Vec::new());
            continue;
        }
        let draft = Draft {
            deployment: state.deployment.clone(),
            action: Action::RemoveNetwork { name: name.clone(), id: state.id.clone() },
            guard: Guard::Nothing,
            needs: needs.into_iter().map(|need| (need, Milestone::Done)).collect(),
            changes: Vec::new(),
            reason: Reason::Asked,
            disruption: Disruption::None,
            rank: Rank(Phase::UnusedNetworks, 0, 0, 0),
        };
        drafts.steps.insert(subject, draft);
    }
}
