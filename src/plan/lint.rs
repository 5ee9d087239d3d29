//! Checks a plan again: the rules that must always hold, in code that shares nothing with the planner.

use super::action::{Action, Guard};
use super::input::{AllowedGuard, PlanInput};
use super::step::{Disruption, Plan, Step};
use super::subject::Subject;
use super::violation::Violation;
use crate::model::{Container, ContainerId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// Every rule that the plan breaks. Only a plan with an empty list may be carried out.
pub fn lint(plan: &Plan, input: &PlanInput<'_>) -> Vec<Violation> {
    let mut faults = Vec::new();
    order(plan, &mut faults);
    ownership(plan, input, &mut faults);
    completeness(plan, input, &mut faults);
    coverage(plan, input, &mut faults);
    ports(plan, input, &mut faults);
    faults
}

/// Steps are numbered in order and need only earlier ones, so the graph has no cycle.
fn order(plan: &Plan, faults: &mut Vec<Violation>) {
    for (index, step) in plan.steps.iter().enumerate() {
        if step.id != index {
            faults.push(Violation::Misnumbered { step: step.id, position: index });
        }
        for need in step.needs.iter().filter(|need| need.step >= index) {
            let subject = step.subject.clone();
            faults.push(Violation::OutOfOrder { step: index, subject, needs: need.step });
        }
    }
}

/// The containers that a step changes or removes.
fn touched(action: &Action) -> Vec<&ContainerId> {
    match action {
        Action::ReplaceInstance { old, .. } => vec![old],
        Action::UpdateInstance { container, .. }
        | Action::StopInstance { container, .. }
        | Action::RemoveInstance { container, .. }
        | Action::DiscardLeftover { container }
        | Action::RestoreInstance { container, .. }
        | Action::AwaitInstance { container, .. } => vec![container],
        Action::RecreateNetwork { attached, .. } => attached.iter().map(|(container, _)| container).collect(),
        Action::RecreateVolume { users, .. } => users.iter().map(|(container, _)| container).collect(),
        Action::PullImage { .. }
        | Action::BuildImage(_)
        | Action::CreateNetwork { .. }
        | Action::RemoveNetwork { .. }
        | Action::CreateVolume { .. }
        | Action::CreateInstance(_) => Vec::new(),
    }
}

/// Nothing foreign is touched, and each container is touched under a guard.
fn ownership(plan: &Plan, input: &PlanInput<'_>, faults: &mut Vec<Violation>) {
    let by_id: BTreeMap<&ContainerId, &Container> =
        input.observed.containers.iter().map(|one| (&one.id, one)).collect();
    for step in &plan.steps {
        for id in touched(&step.action) {
            match by_id.get(id) {
                Some(container) if container.owner.as_ref() == Some(input.owner) => {}
                Some(container) => {
                    let container = container.name.clone();
                    faults.push(Violation::ForeignContainer { step: step.id, container });
                }
                None => faults.push(Violation::Unobserved { step: step.id, container: id.clone() }),
            }
            if !matches!(step.action, Action::RecreateNetwork { .. } | Action::RecreateVolume { .. })
                && !matches!(&step.guard, Guard::Ours { container, owner } if container == id && owner == input.owner)
            {
                faults.push(Violation::Unguarded { step: step.id, container: id.clone() });
            }
        }
        let network = match &step.action {
            Action::RemoveNetwork { name, .. } => input.observed.networks.get(name),
            Action::RecreateNetwork { network, .. } => input.observed.networks.get(&network.name),
            _ => None,
        };
        if network.is_some_and(|network| network.owner.as_ref() != Some(input.owner)) {
            faults.push(Violation::ForeignNetwork { step: step.id, network: step.subject.clone() });
        }
    }
}

/// With an incomplete observation nothing is removed, no plan loses data without permission, and nothing wanted is removed.
fn completeness(plan: &Plan, input: &PlanInput<'_>, faults: &mut Vec<Violation>) {
    for step in &plan.steps {
        let removes = matches!(
            step.action,
            Action::RemoveInstance { .. } | Action::RemoveNetwork { .. } | Action::DiscardLeftover { .. }
        );
        if removes && !input.observed.is_complete() {
            faults.push(Violation::RemovesUnread { step: step.id, subject: step.subject.clone() });
        }
        if (step.disruption == Disruption::DataLoss || matches!(step.action, Action::RecreateVolume { .. }))
            && !may_lose_data(input, &step.subject)
        {
            faults.push(Violation::LosesData { step: step.id, subject: step.subject.clone() });
        }
        if let Action::RecreateVolume { volume, .. } = &step.action
            && input.observed.volumes.get(&volume.name).is_none_or(|state| state.owner.as_ref() != Some(input.owner))
        {
            faults.push(Violation::ForeignVolume { step: step.id, volume: step.subject.clone() });
        }
        if let (Action::RemoveInstance { .. }, Subject::Instance(_, id)) = (&step.action, &step.subject)
            && is_wanted(input, id)
        {
            faults.push(Violation::RemovesWanted { step: step.id, instance: id.clone() });
        }
    }
}

fn may_lose_data(input: &PlanInput<'_>, subject: &Subject) -> bool {
    let name = match subject {
        Subject::Volume(_, name) => name.clone(),
        other => other.to_string(),
    };
    let covers = |scope: &str| name == scope || name.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
    let allow = input.allow.iter().filter(|allow| allow.guard == AllowedGuard::DataLoss);
    allow.filter_map(|allow| allow.scope.as_deref()).any(covers)
}

fn is_wanted(input: &PlanInput<'_>, id: &InstanceId) -> bool {
    input.desired.service(&id.service).is_some_and(|service| (1..=service.replicas).contains(&id.slot))
}

/// Each wanted instance without a container gets one, or a hold; none has two steps.
fn coverage(plan: &Plan, input: &PlanInput<'_>, faults: &mut Vec<Violation>) {
    let mut seen: BTreeSet<&Subject> = BTreeSet::new();
    for step in &plan.steps {
        if !seen.insert(&step.subject) {
            faults.push(Violation::Repeated(step.subject.clone()));
        }
    }
    let held: BTreeSet<&Subject> = plan.held.iter().map(|held| &held.subject).collect();
    let ours = input.observed.containers.iter().filter(|one| one.owner.as_ref() == Some(input.owner));
    let there: BTreeSet<&InstanceId> = ours.filter_map(|one| one.instance.as_ref()).collect();
    for deployment in input.desired.deployments.values() {
        if held.contains(&Subject::Deployment(deployment.name.clone())) {
            continue;
        }
        for service in &deployment.services {
            let reference =
                crate::model::ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() };
            for slot in 1..=service.replicas {
                let id = reference.instance(slot);
                let subject = Subject::Instance(input.observed.node.clone(), id.clone());
                if !there.contains(&id) && !seen.contains(&subject) && !held.contains(&subject) {
                    faults.push(Violation::Forgotten(id));
                }
            }
        }
    }
}

/// Once the plan is carried out, no host port is held twice.
fn ports(plan: &Plan, input: &PlanInput<'_>, faults: &mut Vec<Violation>) {
    type Holders<'a> = Vec<(Option<&'a str>, String)>;
    let gone: BTreeSet<&ContainerId> = plan.steps.iter().filter_map(|step| leaves(step)).collect();
    let mut held: BTreeMap<(u16, &'static str), Holders<'_>> = BTreeMap::new();
    let staying =
        input.observed.containers.iter().filter(|one| !gone.contains(&one.id)).filter(|one| {
            one.owner.as_ref() == Some(input.owner) && matches!(one.status, crate::model::Status::Running)
        });
    let specs = staying.map(|one| (&one.spec, one.name.clone())).chain(
        plan.steps.iter().filter_map(|step| step.action.launch()).map(|launch| (&launch.spec, launch.name.clone())),
    );
    for (spec, name) in specs {
        for port in &spec.ports {
            let Some(number) = port.host_port else { continue };
            let others = held.entry((number, port.protocol.as_str())).or_default();
            let clash = |ip: Option<&str>| ip.is_none() || port.host_ip.is_none() || ip == port.host_ip.as_deref();
            if let Some((_, other)) = others.iter().find(|(ip, other)| clash(*ip) && *other != name) {
                let (first, second) = (other.clone(), name.clone());
                faults.push(Violation::PortTwice { port: number, protocol: port.protocol, first, second });
            }
            others.push((port.host_ip.as_deref(), name.clone()));
        }
    }
}

/// The container that no longer exists, or stays stopped, after the step.
fn leaves(step: &Step) -> Option<&ContainerId> {
    match &step.action {
        Action::ReplaceInstance { old, .. } => Some(old),
        Action::RemoveInstance { container, .. }
        | Action::DiscardLeftover { container }
        | Action::StopInstance { container, .. } => Some(container),
        _ => None,
    }
}
