//! Services that wait for each other: who waits for whom, what names nothing, circles, and what must run to its end.

use super::circles::{NAMED, circles, way_round};
use super::cursor::Cursor;
use super::resolve::paths::SUGGESTED;
use super::resolve::{Draft, Resolved, Resolver, meaning};
use super::suggest::{nearest, unknown};
use crate::model::{Condition, DeploymentName, Field, FieldKind, Restart, ServiceId, ServiceRef};
use std::collections::{BTreeMap, BTreeSet};

/// A service waits for another.
#[derive(Clone, Debug)]
pub(super) struct Edge<'a> {
    /// Who waits.
    pub from: ServiceRef,
    /// For whom.
    pub to: ServiceRef,
    /// Until what.
    pub condition: Condition,
    /// Where it is written.
    pub at: Cursor<'a>,
}

/// Every wait with both ends; one that names nothing is a mistake. References into other deployments are not judged while
/// some file could not be read: what they name may stand in it.
pub(super) fn edges<'a>(cx: &mut Resolver<'_>, resolved: &[Resolved<'a>], broken: bool) -> Vec<Edge<'a>> {
    let index: BTreeMap<&DeploymentName, BTreeSet<&ServiceId>> = resolved
        .iter()
        .map(|deployment| (&deployment.deployment.name, deployment.drafts.iter().map(|draft| &draft.id).collect()))
        .collect();
    let mut edges = joins(resolved);
    for deployment in resolved {
        let own = &deployment.deployment.name;
        for draft in &deployment.drafts {
            for wait in &draft.waits {
                let (name, service) = match wait.target.split_once('/') {
                    Some((name, service)) => (DeploymentName::new(name), ServiceId::new(service)),
                    None => (own.clone(), ServiceId::new(&*wait.target)),
                };
                let from = ServiceRef { deployment: own.clone(), service: draft.id.clone() };
                let Some(services) = index.get(&name) else {
                    if !broken {
                        let near = nearest(name.as_str(), index.keys().map(|name| name.as_str()));
                        let near = near.map(|near| format!("{near}/{service}"));
                        let message = format!("there is no deployment `{name}`");
                        cx.add(unknown(
                            "unknown-deployment",
                            wait.at,
                            message,
                            near.as_deref(),
                            "name a deployment of this repo",
                        ));
                    }
                    continue;
                };
                if !services.contains(&service) {
                    if broken && name != *own {
                        continue;
                    }
                    let looked_at = if cx.mistakes.len() < SUGGESTED { services.len() } else { 0 };
                    let candidates =
                        services.iter().take(looked_at).map(|id| id.as_str()).filter(|id| *id != draft.id.as_str());
                    let near = nearest(service.as_str(), candidates);
                    let near = near.map(|near| if name == *own { near.to_owned() } else { format!("{name}/{near}") });
                    let message = if name == *own {
                        format!("`{service}` is not a service of this deployment")
                    } else {
                        format!("`{service}` is not a service of `{name}`")
                    };
                    let known: Vec<&str> = services.iter().take(20).map(|id| id.as_str()).collect();
                    let more = if services.len() > known.len() { ", …" } else { "" };
                    let help = format!("its services are {}{more}", known.join(", "));
                    cx.add(unknown("unknown-service", wait.at, message, near.as_deref(), &help));
                    continue;
                }
                let to = ServiceRef { deployment: name, service };
                edges.push(Edge { from, to, condition: wait.condition, at: wait.at });
            }
        }
    }
    edges
}

/// Who shares a namespace of another (`container:<name>`) waits until that one runs.
fn joins<'a>(resolved: &[Resolved<'a>]) -> Vec<Edge<'a>> {
    let all = || {
        resolved.iter().flat_map(|deployment| {
            let name = &deployment.deployment.name;
            deployment.drafts.iter().map(move |draft| (name, draft))
        })
    };
    let reference =
        |name: &DeploymentName, draft: &Draft<'_>| ServiceRef { deployment: name.clone(), service: draft.id.clone() };
    let mut edges = Vec::new();
    for (name, draft) in all() {
        for (kind, container) in draft.spec.joined() {
            let holder = all().find(|(name, holder)| match &holder.container_name {
                Some(fixed) => fixed == container,
                None => (1..=holder.replicas).any(|slot| holder.id.container_name(name, slot) == container),
            });
            if let Some((there, holder)) = holder {
                let (from, to) = (reference(name, draft), reference(there, holder));
                edges.push(Edge { from, to, condition: Condition::Started, at: draft.at.key(kind.as_str()) });
            }
        }
    }
    edges
}

/// What others wait to complete runs to its end: it is not restarted, and a policy that restarts it is a mistake.
pub(super) fn completions(cx: &mut Resolver<'_>, resolved: &mut [Resolved<'_>], edges: &[Edge<'_>]) {
    let mut waits: BTreeMap<&ServiceRef, Cursor<'_>> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| edge.condition == Condition::Completed) {
        waits.entry(&edge.to).or_insert(edge.at);
    }
    for deployment in resolved {
        for draft in &mut deployment.drafts {
            let id = ServiceRef { deployment: deployment.deployment.name.clone(), service: draft.id.clone() };
            let Some(at) = waits.get(&id) else { continue };
            if !draft.restart_given {
                draft.spec.restart = Restart::No;
            } else if matches!(draft.spec.restart, Restart::Always | Restart::UnlessStopped) {
                let message =
                    format!("`{}` is restarted whenever it ends, but others wait for it to complete", draft.id);
                let help = "set `restart: no` or `on-failure`, or wait for `started` or `healthy`";
                let place = draft.place(&Field::one(FieldKind::Restart));
                cx.add(meaning("never-completes", &place, message).help(help).also(at.place(), "waited for here"));
            }
        }
    }
}

/// Services that wait for each other, each circle with its way round.
pub(super) fn cycles(cx: &mut Resolver<'_>, edges: &[Edge<'_>]) {
    for round in circles(edges, |edge| (&edge.from, &edge.to)) {
        report_cycle(cx, edges, &round);
    }
}

fn report_cycle(cx: &mut Resolver<'_>, edges: &[Edge<'_>], round: &[usize]) {
    let round: Vec<&Edge<'_>> = round.iter().filter_map(|at| edges.get(*at)).collect();
    let Some(head) = round.first() else { return };
    let same = round.iter().all(|edge| edge.from.deployment == head.from.deployment);
    let name = |service: &ServiceRef| if same { service.service.to_string() } else { service.to_string() };
    let names: Vec<String> = round.iter().map(|edge| name(&edge.from)).collect();
    let message = format!("these services wait for each other: {}", way_round(&names));
    let places: Vec<String> = round
        .iter()
        .take(NAMED)
        .map(|edge| format!("{} waits for {} at {}", name(&edge.from), name(&edge.to), edge.at.place()))
        .collect();
    let mistake = meaning("dependency-cycle", &head.at.place(), message).label("part of the cycle");
    cx.add(mistake.help(format!("remove one of them: {}", places.join("; "))));
}
