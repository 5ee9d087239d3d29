//! The desired instances, and the containers that now belong to each of them.

use crate::model::{Container, Deployment, Desired, InstanceId, NEXT, Observed, OwnerId, PREV, Service, ServiceRef};
use std::collections::BTreeMap;
use std::time::Duration;

/// Docker's own time between the stop signal and SIGKILL.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// One replica that should be there.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) id: InstanceId,
    pub(super) deployment: &'a Deployment,
    pub(super) service: &'a Service,
    /// The name its container should have.
    pub(super) name: String,
}

/// Every replica that should be there, by id.
pub(super) fn wanted(desired: &Desired) -> BTreeMap<InstanceId, Wanted<'_>> {
    let mut all = BTreeMap::new();
    for deployment in desired.deployments.values() {
        for service in &deployment.services {
            let reference = ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() };
            for slot in 1..=service.replicas {
                let id = reference.instance(slot);
                let name = service.container_name(&deployment.name, slot);
                all.insert(id.clone(), Wanted { id, deployment, service, name });
            }
        }
    }
    all
}

/// Our containers of one instance. More than one is there only after an interruption.
#[derive(Clone, Debug, Default)]
pub(super) struct Present<'a> {
    /// Under any other name than the two below.
    pub(super) main: Vec<&'a Container>,
    /// Named `….next`.
    pub(super) next: Vec<&'a Container>,
    /// Named `….prev`.
    pub(super) prev: Vec<&'a Container>,
}

impl<'a> Present<'a> {
    /// The container of the instance: the one with the right name, else the first.
    pub(super) fn standing(&self, name: &str) -> Option<&'a Container> {
        self.main.iter().copied().find(|one| one.name == name).or_else(|| self.main.first().copied())
    }
}

/// Our containers by instance, each list sorted by name.
pub(super) fn present<'a>(observed: &'a Observed, owner: &OwnerId) -> BTreeMap<InstanceId, Present<'a>> {
    let mut all: BTreeMap<InstanceId, Present<'a>> = BTreeMap::new();
    for container in observed.containers.iter().filter(|container| container.owner.as_ref() == Some(owner)) {
        let Some(instance) = &container.instance else { continue };
        let present = all.entry(instance.clone()).or_default();
        let list = if container.name.ends_with(NEXT) {
            &mut present.next
        } else if container.name.ends_with(PREV) {
            &mut present.prev
        } else {
            &mut present.main
        };
        list.push(container);
    }
    for present in all.values_mut() {
        for list in [&mut present.main, &mut present.next, &mut present.prev] {
            list.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        }
    }
    all
}

/// How long a container may take to stop.
pub(super) fn grace(container: &Container) -> Duration {
    container.spec.stop_grace.unwrap_or(DEFAULT_GRACE)
}
