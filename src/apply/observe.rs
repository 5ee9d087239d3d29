//! Prepares and interprets an observation: which images to read, which container belongs to which instance, and the results of
//! Setpoint's own health checks.

use super::probes::Target;
use crate::engine::Scope;
use crate::model::{Container, ContainerId, Desired, Health, Image, InstanceId, NEXT, Observed, OwnerId, PREV, Status};
use crate::store::{InstanceRow, ObservedInstance};
use std::collections::{BTreeMap, BTreeSet};

/// The scope of the observation for a plan: our containers, and the images that Desired names, under any of their names.
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

/// Fills in the health that Setpoint's own checks found. A container that was not checked yet has its recorded health, or is
/// starting; one whose check has changed has its recorded health, or an unknown one.
pub fn overlay(observed: &mut Observed, targets: &[Target], checked: &BTreeMap<ContainerId, Health>) {
    let health = |target: &Target| match target.pending {
        true => target.recalled.unwrap_or(Health::Unchecked),
        false => checked.get(&target.container.id).copied().or(target.recalled).unwrap_or(Health::Starting),
    };
    let healths: BTreeMap<&ContainerId, Health> =
        targets.iter().map(|target| (&target.container.id, health(target))).collect();
    for container in &mut observed.containers {
        if let Some(health) = healths.get(&container.id) {
            container.health = *health;
        }
    }
}

/// The recorded health of each container that was not restarted since.
pub fn recall(rows: &[InstanceRow], observed: &Observed) -> BTreeMap<ContainerId, Health> {
    let rows: BTreeMap<&ContainerId, &InstanceRow> =
        rows.iter().filter_map(|row| Some((row.container.as_ref()?, row))).collect();
    let mut recalled = BTreeMap::new();
    let running = observed.containers.iter().filter(|container| container.status == Status::Running);
    for container in running {
        let row = rows.get(&container.id);
        let same = |row: &&&InstanceRow| {
            row.health != Health::Unchecked
                && row.state == container.status.to_string()
                && container.started_at.is_none_or(|at| at <= row.since)
        };
        if let Some(row) = row.filter(same) {
            recalled.insert(container.id.clone(), row.health);
        }
    }
    recalled
}

/// Our containers by instance. If there are several (a replacement in progress or interrupted), the one with the final name.
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

/// The observed state of every instance that exists or is known to have existed. With an incomplete observation nothing counts as
/// absent.
pub fn seen(observed: &Observed, owner: &OwnerId, known: &BTreeSet<InstanceId>) -> Vec<ObservedInstance> {
    let present = by_instance(observed, owner);
    let absent = known.iter().filter(|instance| observed.is_complete() && !present.contains_key(instance));
    let absent: Vec<ObservedInstance> =
        absent.map(|instance| ObservedInstance::absent(observed.node.clone(), instance.clone())).collect();
    let present = present.into_iter().map(|(instance, container)| ObservedInstance {
        node: observed.node.clone(),
        instance: instance.clone(),
        container: Some(container.id.clone()),
        state: container.status.to_string(),
        health: container.health,
        revision: container.revision.clone(),
        since: container.started_at.filter(|_| container.status == Status::Running),
    });
    present.chain(absent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::testing::container;
    use crate::model::{NodeName, Probe, Timestamp};
    use std::time::Duration;

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
        assert_eq!(looks[1], ObservedInstance::absent(NodeName::local(), "shop/db/1".parse().unwrap()));
        observed.missing.push("container x".to_owned());
        assert_eq!(seen(&observed, &owner, &known).len(), 1, "absence is not known on half a look");
    }

    fn target(container: &Container, recalled: Option<Health>) -> Target {
        let probe = Probe {
            http_path: None,
            port: 80,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            retries: 3,
            start_period: Duration::ZERO,
        };
        Target { container: container.clone(), probe, patience: Duration::from_secs(60), recalled, pending: false }
    }

    #[test]
    fn health_is_what_was_checked_else_what_is_on_record_else_starting() {
        let mut observed = Observed::empty(Timestamp::UNIX_EPOCH);
        observed.containers = ["a", "b", "c", "d"].map(|id| container(id, id, "shop/a/1", Status::Running)).to_vec();
        let known = [Some(Health::Healthy), Some(Health::Healthy), None];
        let targets: Vec<Target> =
            observed.containers.iter().zip(known).map(|(one, known)| target(one, known)).collect();
        overlay(&mut observed, &targets, &[(ContainerId::new("a"), Health::Unhealthy)].into());
        let healths: Vec<Health> = observed.containers.iter().map(|it| it.health).collect();
        assert_eq!(healths, [Health::Unhealthy, Health::Healthy, Health::Starting, Health::Unchecked]);
    }

    #[test]
    fn nothing_is_judged_by_a_check_that_is_not_in_force_yet() {
        let mut observed = Observed::empty(Timestamp::UNIX_EPOCH);
        observed.containers = ["a", "b"].map(|id| container(id, id, "shop/a/1", Status::Running)).to_vec();
        let known = [Some(Health::Healthy), None];
        let targets: Vec<Target> = observed
            .containers
            .iter()
            .zip(known)
            .map(|(one, known)| Target { pending: true, ..target(one, known) })
            .collect();
        overlay(&mut observed, &targets, &[(ContainerId::new("a"), Health::Unhealthy)].into());
        let healths: Vec<Health> = observed.containers.iter().map(|it| it.health).collect();
        assert_eq!(healths, [Health::Healthy, Health::Unchecked]);
    }

    #[test]
    fn health_on_record_holds_for_the_same_container_until_it_is_started_anew() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let row = |id: &str, since| InstanceRow {
            node: NodeName::local(),
            instance: "shop/a/1".parse().unwrap(),
            container: Some(ContainerId::new(id)),
            state: "running".to_owned(),
            health: Health::Healthy,
            revision: None,
            since: at(since),
        };
        let rows = [row("same", 100), row("restarted", 100), row("gone", 100), row("stopped", 100)];
        let mut observed = Observed::empty(at(300));
        observed.containers =
            ["same", "restarted", "other", "stopped"].map(|id| container(id, id, "shop/a/1", Status::Running)).to_vec();
        observed.containers[0].started_at = Some(at(100));
        observed.containers[1].started_at = Some(at(200));
        observed.containers[3].status = Status::Exited { code: 0, oom: false };
        assert_eq!(recall(&rows, &observed), [(ContainerId::new("same"), Health::Healthy)].into());
    }
}
