//! An engine in memory that carries a plan out perfectly, for properties about what follows a plan.

use super::generate::owner;
use crate::model::{
    Container, ContainerId, DeploymentName, Health, ImageConfig, ImageState, Network, NetworkState, Observed, Status,
    VolumeState, digest,
};
use crate::plan::{Action, FieldChange, Launch, Memory, Plan, Step, Update, network_settings, remembered};
use std::collections::BTreeMap;

/// The host after every step of the plan, and what the store then remembers.
pub(super) fn apply(plan: &Plan, observed: &Observed, memory: &Memory) -> (Observed, Memory) {
    let mut host = Host { observed: observed.clone(), memory: memory.clone() };
    for step in &plan.steps {
        host.step(step);
    }
    (host.observed, host.memory)
}

struct Host {
    observed: Observed,
    memory: Memory,
}

impl Host {
    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::PullImage { reference, .. } => self.image(reference),
            Action::BuildImage(build) => self.image(&build.reference()),
            Action::CreateNetwork { network, deployment } | Action::RecreateNetwork { network, deployment, .. } => {
                self.observed.networks.insert(network.name.clone(), network_state(network, deployment));
            }
            Action::RemoveNetwork { name, .. } => {
                let users = self.observed.containers.iter().filter(|one| one.spec.networks.contains_key(name)).count();
                assert_eq!(users, 0, "network {name} is removed while it is in use");
                self.observed.networks.remove(name);
            }
            Action::CreateVolume { volume, deployment } => {
                let state = VolumeState {
                    owner: Some(owner()),
                    deployment: Some(deployment.clone()),
                    driver: volume.driver.clone(),
                    options: volume.options.clone(),
                    labels: volume.labels.clone(),
                };
                self.observed.volumes.insert(volume.name.clone(), state);
            }
            Action::CreateInstance(launch) => self.create(launch),
            Action::ReplaceInstance { old, launch, .. } => {
                self.remove(old);
                self.create(launch);
            }
            Action::UpdateInstance { container, updates, .. } => self.update(container, updates, &step.changes),
            Action::StopInstance { container, .. } => {
                self.container(container).status = Status::Exited { code: 143, oom: false };
            }
            Action::RemoveInstance { container, .. } | Action::DiscardLeftover { container } => self.remove(container),
            Action::RestoreInstance { container, name } => {
                assert!(self.observed.containers.iter().all(|one| one.name != *name), "the name {name} is taken");
                let container = self.container(container);
                container.name.clone_from(name);
                container.status = Status::Running;
            }
            Action::AwaitInstance { container, .. } => self.container(container).health = Health::Healthy,
        }
    }

    fn image(&mut self, reference: &str) {
        let state =
            ImageState { id: format!("sha256:{}", digest(reference).repeat(5)), config: ImageConfig::default() };
        self.observed.images.insert(reference.to_owned(), state.clone());
        self.observed.images.insert(state.id.clone(), state);
    }

    fn container(&mut self, id: &ContainerId) -> &mut Container {
        self.observed.containers.iter_mut().find(|one| one.id == *id).expect("the container exists")
    }

    fn remove(&mut self, id: &ContainerId) {
        let before = self.observed.containers.len();
        self.observed.containers.retain(|one| one.id != *id);
        assert_eq!(self.observed.containers.len() + 1, before, "a removed container was there once");
    }

    fn create(&mut self, launch: &Launch) {
        for port in launch.spec.ports.iter().filter_map(|port| port.host_port) {
            let holder = self.observed.containers.iter().find(|one| {
                one.status == Status::Running && one.spec.ports.iter().any(|held| held.host_port == Some(port))
            });
            assert!(
                holder.is_none(),
                "port {port} is held by {:?} when {} starts",
                holder.map(|one| &one.name),
                launch.name
            );
        }
        assert!(
            self.observed.containers.iter().all(|one| one.name != launch.name),
            "the name {} is taken",
            launch.name
        );
        for network in launch.spec.networks.keys() {
            assert!(self.observed.networks.contains_key(network), "network {network} is there before {}", launch.name);
        }
        let image = self.observed.images.get(&launch.spec.image).expect("the image is there before its container");
        let mut spec = launch.spec.clone();
        spec.configs.clear();
        let container = Container {
            id: ContainerId::new(format!("{}{}", digest(&launch.name), digest(&format!("{:?}", launch.applied)))),
            name: launch.name.clone(),
            owner: Some(launch.owner.clone()),
            instance: Some(launch.instance.clone()),
            revision: Some(launch.revision.clone()),
            applied: launch.applied.clone(),
            needs: launch.needs.clone(),
            image_id: image.id.clone(),
            status: Status::Running,
            health: Health::Unchecked,
            restart_count: 0,
            started_at: None,
            addresses: BTreeMap::new(),
            spec,
        };
        self.observed.containers.push(container);
        self.memory.known.insert(launch.instance.clone());
    }

    fn update(&mut self, id: &ContainerId, updates: &[Update], changes: &[FieldChange]) {
        if let [Update::Rename(name)] = updates {
            assert!(self.observed.containers.iter().all(|one| one.name != *name), "the name {name} is taken");
        }
        let container = self.container(id);
        for update in updates {
            match update {
                Update::Limits { resources, restart } => {
                    container.spec.resources = resources.clone();
                    container.spec.restart = *restart;
                }
                Update::Rename(name) => container.name.clone_from(name),
                Update::Connect { network, attachment } => {
                    container.spec.networks.insert(network.clone(), attachment.clone());
                }
                Update::Disconnect { network } => {
                    container.spec.networks.remove(network);
                }
                Update::WriteConfig { .. } | Update::Signal(_) => {}
                Update::Unpause | Update::Start | Update::Restart { .. } => {
                    container.status = Status::Running;
                    if container.health == Health::Unhealthy {
                        container.health = Health::Starting;
                    }
                }
            }
        }
        self.memory.applied.entry(id.clone()).or_default().extend(remembered(changes));
    }
}

fn network_state(network: &Network, deployment: &DeploymentName) -> NetworkState {
    NetworkState {
        id: digest(&network.name),
        owner: Some(owner()),
        deployment: Some(deployment.clone()),
        driver: network.driver.clone(),
        options: network.options.clone(),
        internal: network.internal,
        subnets: network.subnet.clone().into_iter().collect(),
        gateways: network.gateway.clone().into_iter().collect(),
        applied: network_settings(network).into_iter().map(|(key, value)| (key, digest(&value))).collect(),
        labels: network.labels.clone(),
    }
}
