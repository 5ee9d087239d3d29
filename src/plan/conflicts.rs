//! Names and host ports: only one container can have each of them at a time.

use super::action::{Action, Gate, Guard, Update};
use super::context::Context;
use super::draft::{Draft, Drafts, Handover, Phase, Rank};
use super::step::{Disruption, HeldReason, Milestone, Reason};
use super::subject::Subject;
use super::wanted::grace;
use crate::model::{Container, ContainerSpec, InstanceId, MOVING, PortBinding, Protocol, Status};
use std::collections::{BTreeSet, HashMap};

/// Something that one container at a time can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Claim {
    Name(String),
    Port(Protocol, u16),
}

/// A claim that a step makes, with the address for a port.
type Wish = (Claim, Option<PortBinding>);

/// Holds what a foreign container is in the way of, and lets our own containers make room for each other in order.
pub(super) fn conflicts(cx: &Context<'_>, drafts: &mut Drafts) {
    let holders = holders(cx);
    let claims: Vec<(Subject, Vec<Wish>)> = drafts
        .steps
        .iter()
        .filter(|(subject, _)| matches!(subject, Subject::Instance(..)))
        .map(|(subject, draft)| (subject.clone(), claims(cx, &draft.action)))
        .filter(|(_, claims)| !claims.is_empty())
        .collect();
    for (subject, claims) in claims {
        for (claim, port) in claims {
            let in_the_way = holders.get(&claim).into_iter().flatten().find(|holder| {
                !is_own(&subject, holder) && port.as_ref().is_none_or(|port| shares_address(port, holder))
            });
            if let Some(holder) = in_the_way {
                settle(cx, drafts, &subject, &claim, holder);
            }
        }
    }
}

/// Every container by the names and ports it holds now. A port is held while the container runs.
fn holders<'a>(cx: &Context<'a>) -> HashMap<Claim, Vec<&'a Container>> {
    let mut holders: HashMap<Claim, Vec<&Container>> = HashMap::new();
    for container in &cx.observed().containers {
        holders.entry(Claim::Name(container.name.clone())).or_default().push(container);
        if matches!(container.status, Status::Running | Status::Paused | Status::Restarting) {
            for port in &container.spec.ports {
                let Some(number) = port.host_port else { continue };
                holders.entry(Claim::Port(port.protocol, number)).or_default().push(container);
            }
        }
    }
    holders
}

/// What a step takes hold of.
fn claims(cx: &Context<'_>, action: &Action) -> Vec<Wish> {
    let name = |name: &String| (Claim::Name(name.clone()), None);
    let ports = |spec: &ContainerSpec| -> Vec<Wish> {
        let fixed = |port: &PortBinding| Some((Claim::Port(port.protocol, port.host_port?), Some(port.clone())));
        spec.ports.iter().filter_map(fixed).collect()
    };
    match action {
        Action::UpdateInstance { container, updates, .. } => {
            let renamed = updates.iter().filter_map(|update| match update {
                Update::Rename(to) => Some(name(to)),
                _ => None,
            });
            // A container that is started takes the ports that it was created with.
            let started =
                updates.contains(&Update::Start).then(|| cx.ours().find(|one| one.id == *container)).flatten();
            renamed.chain(started.into_iter().flat_map(|container| ports(&container.spec))).collect()
        }
        action => action
            .launch()
            .map_or_else(Vec::new, |launch| std::iter::once(name(&launch.name)).chain(ports(&launch.spec)).collect()),
    }
}

fn is_own(subject: &Subject, holder: &Container) -> bool {
    matches!(subject, Subject::Instance(_, id) if holder.instance.as_ref() == Some(id))
}

/// One host port can be used twice when the host addresses differ and neither is «every address».
fn shares_address(port: &PortBinding, holder: &Container) -> bool {
    holder.spec.ports.iter().filter(|held| held.host_port == port.host_port && held.protocol == port.protocol).any(
        |held| match (&held.host_ip, &port.host_ip) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        },
    )
}

fn settle(cx: &Context<'_>, drafts: &mut Drafts, subject: &Subject, claim: &Claim, holder: &Container) {
    if !cx.is_ours(holder) {
        let why = match claim {
            Claim::Name(name) => HeldReason::NameTaken { name: name.clone() },
            Claim::Port(protocol, port) => {
                HeldReason::PortTaken { port: format!("{port}/{}", protocol.as_str()), holder: holder.name.clone() }
            }
        };
        return drafts.withdraw(subject, why);
    }
    let Some(instance) = holder.instance.clone() else { return };
    let gives_way = cx.instance(&instance);
    if !drafts.steps.get(&gives_way).is_some_and(|draft| lets_go(&draft.action, claim)) {
        // It keeps what this one is to have: its own change is held.
        return drafts.withdraw(subject, HeldReason::Needs(gives_way));
    }
    let room = drafts.reaches(&gives_way, subject).then(|| make_room(cx, drafts, subject, claim, holder, &instance));
    if let Some(draft) = drafts.steps.get_mut(subject) {
        draft.needs.insert((room.clone().unwrap_or_else(|| gives_way.clone()), Milestone::Done));
        drafts.handovers.push(Handover { holder: gives_way, heir: subject.clone(), room });
    }
}

/// Whether a step ends with its container no longer holding the claim.
fn lets_go(action: &Action, claim: &Claim) -> bool {
    match action {
        Action::RemoveInstance { .. } | Action::StopInstance { .. } => true,
        Action::ReplaceInstance { launch, .. } => match claim {
            Claim::Name(name) => launch.name != *name,
            Claim::Port(protocol, number) => {
                !launch.spec.ports.iter().any(|port| port.protocol == *protocol && port.host_port == Some(*number))
            }
        },
        Action::UpdateInstance { updates, .. } => {
            matches!(claim, Claim::Name(_)) && updates.iter().any(|update| matches!(update, Update::Rename(_)))
        }
        _ => false,
    }
}

/// Two that wait for each other (swapped ports or names): a step of its own makes the holder let go first.
fn make_room(
    cx: &Context<'_>,
    drafts: &mut Drafts,
    subject: &Subject,
    claim: &Claim,
    holder: &Container,
    instance: &InstanceId,
) -> Subject {
    let moving = format!("{}{MOVING}", holder.name);
    // A holder may have to give up both its name and a port, in a step each.
    let room = cx.container(match claim {
        Claim::Port(..) => &holder.name,
        Claim::Name(_) => &moving,
    });
    let action = match claim {
        Claim::Port(..) => Action::StopInstance { container: holder.id.clone(), grace: grace(holder) },
        Claim::Name(_) => Action::UpdateInstance {
            container: holder.id.clone(),
            updates: vec![Update::Rename(moving)],
            gate: Gate::Started,
        },
    };
    let reason = match subject {
        Subject::Instance(_, id) => Reason::MakesRoom(id.clone()),
        _ => Reason::Changed,
    };
    let rank = drafts.steps.get(subject).map_or(Rank(Phase::Instances, 0, 0, 0), |draft| draft.rank);
    let disruption = if matches!(claim, Claim::Port(..)) { Disruption::RecreateDowntime } else { Disruption::InPlace };
    drafts.steps.entry(room.clone()).or_insert_with(|| Draft {
        deployment: Some(instance.service.deployment.clone()),
        action,
        guard: Guard::Ours { container: holder.id.clone(), owner: cx.input.owner.clone() },
        needs: BTreeSet::new(),
        changes: Vec::new(),
        reason,
        disruption,
        rank,
    });
    // The holder's own step comes after it has made room.
    if let Some(draft) = drafts.steps.get_mut(&cx.instance(instance)) {
        draft.needs.insert((room.clone(), Milestone::Done));
    }
    room
}
