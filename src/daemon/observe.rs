//! Looking at the engine: which images matter, which container stands for which instance, what a probe from outside adds.

use crate::engine::docker::Scope;
use crate::model::{Container, ContainerId, Desired, Health, Image, InstanceId, NEXT, Observed, OwnerId, PREV, Status};
use crate::store::Seen;
use std::collections::{BTreeMap, BTreeSet};

/// What to look at for a plan: our containers, and the images that Desired names under any of their names.
pub fn scope(desired: &Desired, owner: &OwnerId) -> Scope {
    let mut images = BTreeSet::new();
    for service in desired.deployments.values().flat_map(|deployment| &deployment.services) {
        images.insert(service.image.reference());
        match &service.image {
            Image::Pull { also_tag, .. } => images.extend(also_tag.clone()),
            Image::Build(build) => drop(images.insert(build.friendly())),
        }
    }
    Scope { owner: owner.clone(), images }
}

/// Puts what probes from outside say in the place of an absent health check.
pub fn overlay(observed: &mut Observed, probed: &BTreeMap<ContainerId, Health>) {
    for container in &mut observed.containers {
        if container.health == Health::Unchecked
            && container.status == Status::Running
            && let Some(health) = probed.get(&container.id)
        {
            container.health = *health;
        }
    }
}

/// Our containers by instance. Of several (a replacement under way or interrupted), the one with the lasting name.
pub fn by_instance<'a>(observed: &'a Observed, owner: &OwnerId) -> BTreeMap<&'a InstanceId, &'a Container> {
    let lasting = |container: &Container| !container.name.ends_with(NEXT) && !container.name.ends_with(PREV);
    let mut found: BTreeMap<&InstanceId, &Container> = BTreeMap::new();
    for container in observed.containers.iter().filter(|container| container.owner.as_ref() == Some(owner)) {
        let Some(instance) = &container.instance else { continue };
        let better = found.get(instance).is_none_or(|other| {
            (lasting(container), container.status == Status::Running)
                > (lasting(other), other.status == Status::Running)
        });
        if better {
            found.insert(instance, container);
        }
    }
    found
}

/// What was seen of every instance that is there or is known to have been. Nothing counts as absent on half a look.
pub fn seen(observed: &Observed, owner: &OwnerId, known: &BTreeSet<InstanceId>) -> Vec<Seen> {
    let present = by_instance(observed, owner);
    let absent = known.iter().filter(|instance| observed.is_complete() && !present.contains_key(instance));
    let absent: Vec<Seen> = absent.cloned().map(Seen::absent).collect();
    let present = present.into_iter().map(|(instance, container)| Seen {
        instance: instance.clone(),
        container: Some(container.id.clone()),
        state: container.status.to_string(),
        health: container.health,
        revision: container.revision.clone(),
    });
    present.chain(absent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContainerSpec, Timestamp};

    fn container(id: &str, name: &str, instance: &str, status: Status) -> Container {
        Container {
            id: ContainerId::new(id),
            name: name.to_owned(),
            owner: Some(OwnerId::new("me/prod")),
            instance: Some(instance.parse().unwrap()),
            revision: Some("3f2a91c".to_owned()),
            applied: BTreeMap::new(),
            needs: Vec::new(),
            anonymous_volumes: BTreeMap::new(),
            image_id: String::new(),
            status,
            health: Health::Unchecked,
            restart_count: 0,
            started_at: None,
            addresses: BTreeMap::new(),
            spec: ContainerSpec::default(),
        }
    }

    #[test]
    fn the_lasting_name_wins_over_what_is_under_way() {
        let mut observed = Observed::empty(Timestamp::UNIX_EPOCH);
        observed.containers = vec![
            container("new", &format!("shop-api-1{NEXT}"), "shop/api/1", Status::Running),
            container("old", "shop-api-1", "shop/api/1", Status::Exited { code: 0, oom: false }),
            container("foreign", "x", "shop/db/1", Status::Running),
        ];
        observed.containers[2].owner = None;
        let known = BTreeSet::from(["shop/api/1".parse().unwrap(), "shop/db/1".parse().unwrap()]);
        let owner = OwnerId::new("me/prod");
        let looks = seen(&observed, &owner, &known);
        assert_eq!(looks.len(), 2);
        assert_eq!(looks[0].container, Some(ContainerId::new("old")));
        assert_eq!(looks[0].state, "exited (0)");
        assert_eq!(looks[1], Seen::absent("shop/db/1".parse().unwrap()));
        observed.missing.push("container x".to_owned());
        assert_eq!(seen(&observed, &owner, &known).len(), 1, "absence is not known on half a look");
    }

    #[test]
    fn a_probe_stands_in_for_a_missing_check_only() {
        let mut observed = Observed::empty(Timestamp::UNIX_EPOCH);
        observed.containers = vec![
            container("a", "a", "shop/a/1", Status::Running),
            container("b", "b", "shop/b/1", Status::Running),
            container("c", "c", "shop/c/1", Status::Paused),
        ];
        observed.containers[1].health = Health::Healthy;
        let probed = ["a", "b", "c"].map(|id| (ContainerId::new(id), Health::Unhealthy)).into();
        overlay(&mut observed, &probed);
        let healths: Vec<Health> = observed.containers.iter().map(|it| it.health).collect();
        assert_eq!(healths, [Health::Unhealthy, Health::Healthy, Health::Unchecked]);
    }
}
