//! Networks, volumes and images: the objects that must exist before an instance.

use super::action::{Action, Guard};
use super::context::Context;
use super::draft::{Draft, Drafts, Phase, Rank};
use super::flapping::hold_repair;
use super::input::AllowedGuard;
use super::record::asked;
use super::settings::{network_changes, volume_settings};
use super::step::{Disruption, FieldChange, HeldReason, Milestone, Origin, Reason};
use super::subject::Subject;
use super::wanted::grace;
use crate::model::{
    Attachment, Container, ContainerId, Deployment, DeploymentName, Field, FieldKind, Image, InstanceId, Location,
    Mount, Network, NetworkState, NodeName, PullPolicy, Service, ServiceRef, Unread, Volume, VolumeState, digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// Networks that are to be created, recreated, or held.
pub(super) fn networks(cx: &Context<'_>, drafts: &mut Drafts) {
    for (index, deployment) in cx.desired().deployments.values().enumerate() {
        for network in deployment.networks.values() {
            let subject = cx.network(&network.name);
            if drafts.steps.contains_key(&subject) || drafts.absent.contains(&subject) {
                continue;
            }
            let rank = Rank(Phase::Networks, index, 0, 0);
            match cx.observed().networks.get(&network.name) {
                None if cx.is_unread(&Unread::Networks) => drafts.hold_absent(subject, "use", HeldReason::Incomplete),
                None if network.external => drafts.hold_absent(subject, "use", HeldReason::ExternalMissing),
                None => {
                    let action =
                        Action::CreateNetwork { network: network.clone(), deployment: deployment.name.clone() };
                    let reason = user(deployment, &subject).map_or(Reason::New, Reason::NeededBy);
                    let draft = object(&deployment.name, action, reason, rank);
                    create(cx, drafts, subject, draft, vanished(cx, &network.name).then_some(&network.at));
                }
                Some(_) if network.external => {}
                Some(state) if state.owner.as_ref() != Some(cx.input.owner) => {
                    drafts.hold_absent(subject, "create", HeldReason::Foreign);
                }
                Some(state) => recreate_network(cx, drafts, &deployment.name, network, state, rank),
            }
        }
    }
}

/// Drafts the creation of an object; one that was there and `vanished` is drift, which may be held.
fn create(cx: &Context<'_>, drafts: &mut Drafts, subject: Subject, mut draft: Draft, vanished: Option<&Location>) {
    if let Some(at) = vanished {
        draft.reason = Reason::Vanished;
        draft.changes = vec![FieldChange {
            field: Field::one(FieldKind::State),
            old: Some("removed".to_owned()),
            new: Some("present".to_owned()),
            origin: Origin::Drift,
            at: Some(at.clone()),
            hidden: false,
        }];
        if let Some(why) = hold_repair(cx, &subject, &draft.changes) {
            drafts.absent.insert(subject.clone());
            return drafts.hold(subject, draft.action.verb(), why, draft.changes);
        }
    }
    drafts.steps.insert(subject, draft);
}

/// Whether a network that is not there was: a container of ours was once connected to it by an apply.
fn vanished(cx: &Context<'_>, network: &str) -> bool {
    let field = Field::of(FieldKind::Network, network).to_string();
    cx.ours().any(|container| asked(cx, container).contains_key(&field))
}

fn recreate_network(
    cx: &Context<'_>,
    drafts: &mut Drafts,
    deployment: &DeploymentName,
    network: &Network,
    state: &NetworkState,
    rank: Rank,
) {
    let changes = network_changes(cx, network, state);
    if changes.is_empty() {
        return;
    }
    let subject = cx.network(&network.name);
    if let Some(foreign) = cx.foreign_on_network(&network.name) {
        let why = HeldReason::InUseByForeign { holder: foreign.name.clone() };
        return drafts.hold(subject, "recreate", why, changes);
    }
    if let Some(why) = hold_repair(cx, &subject, &changes) {
        return drafts.hold(subject, "recreate", why, changes);
    }
    let attached: Vec<(ContainerId, Attachment)> = cx
        .ours()
        .filter_map(|container| Some((container.id.clone(), container.spec.networks.get(&network.name)?.clone())))
        .collect();
    let disruption = if attached.is_empty() { Disruption::None } else { Disruption::RecreateDowntime };
    let action = Action::RecreateNetwork {
        network: network.clone(),
        deployment: deployment.clone(),
        old: state.id.clone(),
        attached,
    };
    let draft = Draft { changes, disruption, ..object(deployment, action, Reason::Changed, rank) };
    drafts.steps.insert(subject, draft);
}

/// Volumes that are to be created or held. None is ever removed or changed, because that would lose data.
pub(super) fn volumes(cx: &Context<'_>, drafts: &mut Drafts) {
    for (index, deployment) in cx.desired().deployments.values().enumerate() {
        for volume in deployment.volumes.values() {
            let subject = cx.volume(&volume.name);
            if drafts.steps.contains_key(&subject) || drafts.absent.contains(&subject) {
                continue;
            }
            match cx.observed().volumes.get(&volume.name) {
                None if cx.is_unread(&Unread::Volumes) => drafts.hold_absent(subject, "use", HeldReason::Incomplete),
                None if volume.external => drafts.hold_absent(subject, "use", HeldReason::ExternalMissing),
                None => {
                    let action = Action::CreateVolume { volume: volume.clone(), deployment: deployment.name.clone() };
                    let user = user(deployment, &subject);
                    // A volume that a container uses cannot be removed: one that is missing there is new in Git.
                    let gone = |user: &ServiceRef| cx.was_known(user) && cx.replicas_present(user) == 0;
                    let vanished = user.as_ref().is_some_and(gone);
                    let reason = user.map_or(Reason::New, Reason::NeededBy);
                    let draft = object(&deployment.name, action, reason, Rank(Phase::Volumes, index, 0, 0));
                    create(cx, drafts, subject, draft, vanished.then_some(&volume.at));
                }
                Some(_) if volume.external => {}
                Some(state) if state.owner.as_ref() != Some(cx.input.owner) => {
                    drafts.hold_absent(subject, "create", HeldReason::Foreign);
                }
                Some(state) => {
                    let changes = volume_changes(volume, state);
                    // Labels change nothing for those who use the volume.
                    if changes.iter().any(|change| !change.field.key.starts_with("label ")) {
                        drafts.absent.insert(subject.clone());
                    }
                    if changes.is_empty() {
                        continue;
                    }
                    if cx.allows(AllowedGuard::DataLoss, &volume.name) {
                        drafts.absent.remove(&subject);
                        let rank = Rank(Phase::Volumes, index, 0, 0);
                        drafts.steps.insert(subject, recreate_volume(cx, &deployment.name, volume, changes, rank));
                    } else {
                        drafts.hold(
                            subject,
                            "recreate",
                            HeldReason::DataLoss { lost: "its content".to_owned() },
                            changes,
                        );
                    }
                }
            }
        }
    }
}

/// A volume that is recreated; the caller allowed the loss of its data.
fn recreate_volume(
    cx: &Context<'_>,
    deployment: &DeploymentName,
    volume: &Volume,
    changes: Vec<FieldChange>,
    rank: Rank,
) -> Draft {
    let uses = |container: &&Container| {
        container.spec.mounts.values().any(|mount| matches!(mount, Mount::Volume { name, .. } if *name == volume.name))
    };
    let users = cx.ours().filter(uses).map(|container| (container.id.clone(), grace(container))).collect();
    let action = Action::RecreateVolume { volume: volume.clone(), deployment: deployment.clone(), users };
    Draft { changes, disruption: Disruption::DataLoss, ..object(deployment, action, Reason::Changed, rank) }
}

/// Settings of a volume that Git did not request when the volume was created. A volume cannot be changed later, so the engine's
/// report is used only if there is no record.
fn volume_changes(volume: &Volume, state: &VolumeState) -> Vec<FieldChange> {
    let (wanted, observed) = (
        volume_settings(volume),
        volume_settings(&Volume {
            driver: state.driver.clone(),
            options: state.options.clone(),
            labels: state.labels.clone(),
            ..volume.clone()
        }),
    );
    let keys: BTreeSet<&String> = wanted.keys().chain(state.applied.keys()).collect();
    let changed = keys.into_iter().filter(|key| {
        let (old, new) = (observed.get(*key), wanted.get(*key));
        let as_asked = new.map(|text| digest(text)).as_ref() == state.applied.get(*key);
        old != new && !as_asked
    });
    changed
        .map(|key| FieldChange {
            field: Field::of(FieldKind::Volume, key.clone()),
            old: observed.get(key).cloned(),
            new: wanted.get(key).cloned(),
            origin: Origin::Git,
            at: Some(volume.at.clone()),
            hidden: false,
        })
        .collect()
}

/// Images that the drafted containers need and that are not there or are to be refreshed.
pub(super) fn images(cx: &Context<'_>, drafts: &mut Drafts) {
    let launching: Vec<_> = drafts
        .steps
        .iter()
        .filter(|(_, draft)| draft.action.launch().is_some())
        .filter_map(|(subject, draft)| match subject {
            Subject::Instance(_, id) => Some((cx.wanted.get(id)?, draft.rank)),
            _ => None,
        })
        .collect();
    let mut found: BTreeMap<Subject, Draft> = BTreeMap::new();
    let mut missing = BTreeMap::new();
    let mut built: BTreeMap<String, Subject> = BTreeMap::new();
    for (wanted, rank) in launching {
        let reference = wanted.service.image.reference();
        let subject = cx.image(&reference);
        if cx.is_unread(&Unread::Image(reference.clone())) {
            missing.insert(reference, HeldReason::Incomplete);
            continue;
        }
        let here = is_here(cx, &wanted.service.image, &reference);
        let action = match &wanted.service.image {
            Image::Build(build) if !here => Action::BuildImage(build.clone()),
            Image::Pull { policy: PullPolicy::Never, .. } if !here => {
                missing.insert(reference.clone(), HeldReason::ImageMissing { reference });
                continue;
            }
            Image::Pull { policy, also_tag, .. } if !here || *policy == PullPolicy::Always => {
                Action::PullImage { reference, also_tag: also_tag.clone() }
            }
            _ => continue,
        };
        let reason = Reason::NeededBy(wanted.id.service.clone());
        let rank = Rank(Phase::Images, rank.1, rank.2, 0);
        if found.contains_key(&subject) {
            continue;
        }
        let mut draft = object(&wanted.deployment.name, action, reason, rank);
        // The same context under another name: once it is built, the engine's cache has all of it.
        if let Action::BuildImage(build) = &draft.action {
            let first = built.entry(build.digest.clone()).or_insert_with(|| subject.clone());
            draft.needs.extend((*first != subject).then(|| (first.clone(), Milestone::Done)));
        }
        found.insert(subject, draft);
    }
    drafts.steps.extend(found);
    for (reference, why) in missing {
        drafts.hold_absent(cx.image(&reference), "use", why);
    }
}

/// Whether an image is on the host. A build counts only if it was made from the inputs that its name refers to, because a tag can
/// be moved to another image.
fn is_here(cx: &Context<'_>, image: &Image, reference: &str) -> bool {
    let Some(state) = cx.observed().images.get(reference) else { return false };
    match image {
        Image::Pull { .. } => true,
        Image::Build(build) => state.built_from.as_ref() == Some(&build.digest),
    }
}

/// Networks of ours that are no longer wanted; they are removed after everything that was connected to them.
pub(super) fn unused_networks(cx: &Context<'_>, drafts: &mut Drafts) {
    let wanted: BTreeSet<&String> = cx.desired().deployments.values().flat_map(|one| one.networks.keys()).collect();
    let mut users: BTreeMap<&String, Vec<&Container>> = BTreeMap::new();
    for container in cx.ours() {
        for network in container.spec.networks.keys() {
            users.entry(network).or_default().push(container);
        }
    }
    let mut foreign: BTreeMap<&String, &Container> = BTreeMap::new();
    for container in cx.foreign() {
        for network in container.addresses.keys() {
            foreign.entry(network).or_insert(container);
        }
    }
    for (name, state) in &cx.observed().networks {
        if state.owner.as_ref() != Some(cx.input.owner) || wanted.contains(name) {
            continue;
        }
        let subject = cx.network(name);
        let users = users.get(name).map_or(&[][..], Vec::as_slice);
        let leaves = |instance: &InstanceId| drafts.steps.contains_key(&cx.instance(instance));
        let stays = users.iter().find(|container| !container.instance.as_ref().is_some_and(leaves));
        if !cx.observed().is_complete() {
            drafts.hold(subject, "remove", HeldReason::Incomplete, Vec::new());
        } else if !cx.may_prune(&subject.to_string()) {
            drafts.hold(subject, "remove", HeldReason::PruneDisabled, Vec::new());
        } else if let Some(foreign) = foreign.get(name) {
            let why = HeldReason::InUseByForeign { holder: foreign.name.clone() };
            drafts.hold(subject, "remove", why, Vec::new());
        } else if let Some(stays) = stays {
            let need =
                stays.instance.as_ref().map_or_else(|| cx.container(&stays.name), |instance| cx.instance(instance));
            drafts.hold(subject, "remove", HeldReason::Needs(need), Vec::new());
        } else {
            let needs = users.iter().filter_map(|user| user.instance.as_ref());
            let needs = needs.map(|instance| (cx.instance(instance), Milestone::Done)).collect();
            let draft = Draft {
                deployment: state.deployment.clone(),
                action: Action::RemoveNetwork { name: name.clone(), id: state.id.clone() },
                guard: Guard::Nothing,
                needs,
                changes: Vec::new(),
                reason: Reason::Unused,
                disruption: Disruption::None,
                rank: Rank(Phase::UnusedNetworks, 0, 0, 0),
            };
            drafts.steps.insert(subject, draft);
        }
    }
}

fn object(deployment: &DeploymentName, action: Action, reason: Reason, rank: Rank) -> Draft {
    Draft {
        deployment: Some(deployment.clone()),
        action,
        guard: Guard::Nothing,
        needs: BTreeSet::new(),
        changes: Vec::new(),
        reason,
        disruption: Disruption::None,
        rank,
    }
}

/// The objects that a container of this service needs on its machine, by subject.
pub(super) fn needed_by<'a>(
    service: &'a Service,
    node: &'a NodeName,
) -> impl Iterator<Item = (Subject, Milestone)> + 'a {
    let networks = service.spec.networks.keys().map(|name| Subject::Network(node.clone(), name.clone()));
    let volumes = service.spec.mounts.values().filter_map(|mount| match mount {
        Mount::Volume { name, .. } => Some(Subject::Volume(node.clone(), name.clone())),
        Mount::Bind { .. } | Mount::Tmpfs { .. } => None,
    });
    let image = std::iter::once(Subject::Image(node.clone(), service.image.reference()));
    networks.chain(volumes).chain(image).map(|subject| (subject, Milestone::Done))
}

/// One service of the deployment that needs the object; for the reason of its step.
fn user(deployment: &Deployment, object: &Subject) -> Option<ServiceRef> {
    let node = object.node()?;
    let needs = |service: &&Service| needed_by(service, node).any(|(need, _)| need == *object);
    let service = deployment.services.iter().find(needs)?;
    Some(ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() })
}
