//! What two services or deployments cannot both have: host ports, container names, networks and volumes.

use super::resolve::{Draft, Resolved, Resolver, meaning};
use super::text::Place;
use crate::model::{Field, FieldKind, PortBinding, Protocol};
use std::collections::BTreeMap;

/// Mistakes between services and between deployments.
pub(super) fn clashes(cx: &mut Resolver<'_>, resolved: &[Resolved<'_>]) {
    ports(cx, resolved);
    names(cx, resolved);
    shared(cx, resolved);
}

fn label(deployment: &Resolved<'_>, draft: &Draft<'_>) -> String {
    format!("{}/{}", deployment.deployment.name, draft.id)
}

/// Whether two bindings of one host port can stand beside each other: only on different addresses.
fn apart(one: &PortBinding, other: &PortBinding) -> bool {
    matches!((&one.host_ip, &other.host_ip), (Some(one), Some(other)) if one != other)
}

fn ports(cx: &mut Resolver<'_>, resolved: &[Resolved<'_>]) {
    type Taken<'r, 'a> = (&'r PortBinding, &'r Resolved<'a>, &'r Draft<'a>);
    let mut taken: BTreeMap<(u16, Protocol), Vec<Taken<'_, '_>>> = BTreeMap::new();
    for deployment in resolved {
        for draft in deployment.drafts.iter().filter(|draft| draft.replicas > 0) {
            for port in &draft.spec.ports {
                let Some(number) = port.host_port else { continue };
                let place = |draft: &Draft<'_>, port: &PortBinding| -> Place {
                    draft.place(&Field::of(
                        FieldKind::Port,
                        format!("{}/{}", port.container_port, port.protocol.as_str()),
                    ))
                };
                let others = taken.entry((number, port.protocol)).or_default();
                if let Some((first, owner, other)) = others.iter().find(|(first, ..)| !apart(first, port)) {
                    let message = format!(
                        "the host port {number}/{} is taken by `{}`",
                        port.protocol.as_str(),
                        self::label(owner, other)
                    );
                    let mistake = meaning("port-clash", &place(draft, port), message).label("again here");
                    let help = "choose another host port, or bind the two to different addresses";
                    cx.add(mistake.help(help).also(place(other, first), "first here"));
                } else {
                    others.push((port, deployment, draft));
                }
            }
        }
    }
}

/// Names of containers: fixed ones, and `<deployment>-<service>-<slot>`, of which only the part before the slot is kept.
fn names(cx: &mut Resolver<'_>, resolved: &[Resolved<'_>]) {
    let mut fixed: BTreeMap<&str, (&Resolved<'_>, &Draft<'_>)> = BTreeMap::new();
    let mut derived: BTreeMap<String, (&Resolved<'_>, &Draft<'_>)> = BTreeMap::new();
    let mut clash = |name: &str, first: (&Resolved<'_>, &Draft<'_>), second: &Draft<'_>| {
        let message = format!("the container name `{name}` is taken by `{}`", label(first.0, first.1));
        let field = Field::one(FieldKind::Name);
        let mistake = meaning("name-clash", &second.place(&field), message).label("again here");
        let help = "choose another `container_name` or `id`";
        cx.add(mistake.help(help).also(first.1.place(&field), "first here"));
    };
    let all = || resolved.iter().flat_map(|deployment| deployment.drafts.iter().map(move |draft| (deployment, draft)));
    for (deployment, draft) in all() {
        match &draft.container_name {
            Some(name) => match fixed.get(name.as_str()) {
                Some(first) => clash(name, *first, draft),
                None => {
                    fixed.insert(name, (deployment, draft));
                }
            },
            None => {
                let prefix = format!("{}-{}", deployment.deployment.name, draft.id);
                match derived.get(&prefix) {
                    // Two services with one id in one deployment are reported as such.
                    Some((owner, _)) if owner.deployment.name == deployment.deployment.name => {}
                    Some(first) => clash(&format!("{prefix}-1"), *first, draft),
                    None => {
                        derived.insert(prefix, (deployment, draft));
                    }
                }
            }
        }
    }
    for (name, first) in fixed {
        let parts = name.rsplit_once('-').and_then(|(prefix, slot)| Some((prefix, slot.parse::<u32>().ok()?)));
        let Some((prefix, slot)) = parts else { continue };
        if let Some((_, draft)) = derived.get(prefix)
            && (1..=draft.replicas).contains(&slot)
        {
            clash(name, first, draft);
        }
    }
}

/// Networks and volumes of one name are one object on the engine, so deployments must agree on them.
fn shared(cx: &mut Resolver<'_>, resolved: &[Resolved<'_>]) {
    let mut networks = BTreeMap::new();
    let mut volumes = BTreeMap::new();
    for deployment in resolved {
        for (name, network) in &deployment.deployment.networks {
            let Some((first, owner)) = networks.insert(name, (network, deployment)) else { continue };
            let alike = crate::model::Network { at: network.at.clone(), ..first.clone() } == *network;
            if !alike {
                let message = format!("`{}` declares the network `{name}` with other settings", owner.deployment.name);
                let help = "make the two declarations equal, or set `external: true` in one of them";
                let at = deployment.at.key("networks").name(name);
                let at = if deployment.at.has("network") { deployment.at.key("network") } else { at };
                let mistake = meaning("network-clash", &at.place(), message).help(help);
                let first =
                    if owner.at.has("network") { owner.at.key("network") } else { owner.at.key("networks").name(name) };
                cx.add(mistake.label("again here").also(first.place(), "first here"));
            }
        }
        for (name, volume) in &deployment.deployment.volumes {
            let Some((first, owner)) = volumes.insert(name, (volume, deployment)) else { continue };
            let alike = crate::model::Volume { at: volume.at.clone(), ..first.clone() } == *volume;
            if !alike {
                let message = format!("`{}` declares the volume `{name}` with other settings", owner.deployment.name);
                let help = "make the two declarations equal, or set `external: true` in one of them";
                let mistake =
                    meaning("volume-clash", &deployment.at.key("volumes").name(name).place(), message).help(help);
                cx.add(mistake.label("again here").also(owner.at.key("volumes").name(name).place(), "first here"));
            }
        }
    }
}
