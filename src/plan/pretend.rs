//! The host after a plan was carried out without failures: `diff` compares two revisions with it, without a host, and the
//! properties of the planner are checked with it.

use super::action::{Action, Gate, Launch, Update};
use super::input::{Base, Memory};
use super::record::{remembered, reported};
use super::settings::{network_settings, volume_settings};
use super::step::{FieldChange, Plan, Step};
use crate::model::{
    Container, ContainerId, DeploymentName, Health, ImageConfig, ImageState, Network, NetworkState, Observed, OwnerId,
    Status, Volume, VolumeState, digest,
};
use std::collections::BTreeMap;

/// A host that was only thought through.
#[derive(Clone, Debug)]
pub struct Pretended {
    /// What the engine would report.
    pub observed: Observed,
    /// What the store would remember.
    pub memory: Memory,
    /// What an engine would have refused. Always empty for a plan without findings of `lint`, if the input was correct.
    pub refused: Vec<String>,
}

/// Carries the plan out in thought, on behalf of `owner`. Images that are not there are taken to set nothing.
pub fn pretend(plan: &Plan, observed: &Observed, memory: &Memory, owner: &OwnerId) -> Pretended {
    let pretended = Pretended { observed: observed.clone(), memory: memory.clone(), refused: Vec::new() };
    let mut host = Host { owner, pretended };
    for step in &plan.steps {
        host.step(step);
    }
    host.pretended
}

struct Host<'a> {
    owner: &'a OwnerId,
    pretended: Pretended,
}

impl Host<'_> {
    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::PullImage { reference, .. } => self.image(reference, None),
            Action::BuildImage(build) => self.image(&build.reference(), Some(build.digest.clone())),
            Action::CreateNetwork { network, deployment } | Action::RecreateNetwork { network, deployment, .. } => {
                let state = network_state(network, deployment, self.owner);
                self.pretended.memory.bases.insert(state.id.clone(), Base::default());
                self.pretended.observed.networks.insert(network.name.clone(), state);
            }
            Action::RemoveNetwork { name, .. } => {
                if self.pretended.observed.containers.iter().any(|one| one.spec.networks.contains_key(name)) {
                    self.refuse(format!("network {name} is in use"));
                }
                self.pretended.observed.networks.remove(name);
            }
            Action::CreateVolume { volume, deployment } => {
                let state = volume_state(volume, deployment, self.owner);
                self.pretended.observed.volumes.insert(volume.name.clone(), state);
            }
            Action::RecreateVolume { volume, deployment, users } => {
                users.iter().for_each(|(container, _)| self.remove(container));
                let state = volume_state(volume, deployment, self.owner);
                self.pretended.observed.volumes.insert(volume.name.clone(), state);
            }
            Action::CreateInstance(launch) => self.create(launch),
            Action::ReplaceInstance { old, launch, .. } => {
                self.remove(old);
                // An interrupted replacement is taken up where it was.
                let is_new = |one: &Container| one.name == launch.name && one.applied == launch.applied;
                if !self.pretended.observed.containers.iter().any(is_new) {
                    self.create(launch);
                }
            }
            Action::UpdateInstance { container, updates, .. } => self.update(container, updates, &step.changes),
            Action::StopInstance { container, .. } => {
                self.change(container, |one| one.status = Status::Exited { code: 143, oom: false });
            }
            Action::RemoveInstance { container, .. } | Action::DiscardLeftover { container } => self.remove(container),
            Action::RestoreInstance { container, name } => {
                self.take_name(name);
                self.change(container, |one| {
                    one.name.clone_from(name);
                    one.status = Status::Running;
                });
            }
            Action::AwaitInstance { container, .. } => self.change(container, |one| one.health = Health::Healthy),
        }
    }

    fn refuse(&mut self, what: String) {
        self.pretended.refused.push(what);
    }

    fn take_name(&mut self, name: &str) {
        if self.pretended.observed.containers.iter().any(|one| one.name == name) {
            self.refuse(format!("the name {name} is taken"));
        }
    }

    fn image(&mut self, reference: &str, built_from: Option<String>) {
        let id = format!("sha256:{}", digest(reference).repeat(5));
        let state =
            ImageState { id: id.clone(), config: ImageConfig::default(), built_from, inherited: BTreeMap::new() };
        self.pretended.observed.images.insert(reference.to_owned(), state.clone());
        self.pretended.observed.images.insert(id, state);
    }

    fn change(&mut self, id: &ContainerId, change: impl FnOnce(&mut Container)) {
        match self.pretended.observed.containers.iter_mut().find(|one| one.id == *id) {
            Some(container) => change(container),
            None => self.refuse(format!("there is no container {}", id.short())),
        }
    }

    fn remove(&mut self, id: &ContainerId) {
        let before = self.pretended.observed.containers.len();
        self.pretended.observed.containers.retain(|one| one.id != *id);
        if self.pretended.observed.containers.len() + 1 != before {
            self.refuse(format!("there is no container {}", id.short()));
        }
    }

    fn create(&mut self, launch: &Launch) {
        self.take_name(&launch.name);
        for port in launch.spec.ports.iter().filter(|port| port.host_port.is_some()) {
            let taken = |one: &Container| one.spec.ports.iter().any(|held| held.host_port == port.host_port);
            let observed = &self.pretended.observed;
            if observed.containers.iter().any(|one| one.status == Status::Running && taken(one)) {
                self.refuse(format!("the port {port:?} is held when {} starts", launch.name));
            }
        }
        for network in launch.spec.networks.keys() {
            if !self.pretended.observed.networks.contains_key(network) {
                self.refuse(format!("network {network} is not there when {} starts", launch.name));
            }
        }
        let image = self.pretended.observed.images.get(&launch.spec.image);
        let image_id = image.map(|image| image.id.clone()).unwrap_or_default();
        if image_id.is_empty() {
            self.refuse(format!("image {} is not there when {} starts", launch.spec.image, launch.name));
        }
        let mut spec = launch.spec.clone();
        spec.configs.clear();
        let completes = matches!(launch.gate, Gate::Completed { .. });
        self.pretended.observed.containers.push(Container {
            id: ContainerId::new(format!("{}{}", digest(&launch.name), digest(&format!("{:?}", launch.applied)))),
            name: launch.name.clone(),
            owner: Some(launch.owner.clone()),
            instance: Some(launch.instance.clone()),
            revision: Some(launch.revision.clone()),
            applied: launch.applied.clone(),
            needs: launch.needs.clone(),
            anonymous_volumes: launch.carried.clone(),
            image_id,
            status: if completes { Status::Exited { code: 0, oom: false } } else { Status::Running },
            health: Health::Unchecked,
            restart_count: 0,
            started_at: None,
            addresses: BTreeMap::new(),
            published: BTreeMap::new(),
            spec,
        });
        self.pretended.memory.known.insert(launch.instance.clone());
        if let Some(made) = self.pretended.observed.containers.last().map(|made| made.id.clone()) {
            self.record(&made, BTreeMap::new());
        }
    }

    /// Remembers what was asked of a container and what it is now.
    fn record(&mut self, id: &ContainerId, asked: BTreeMap<String, String>) {
        let Some(container) = self.pretended.observed.containers.iter().find(|one| one.id == *id) else { return };
        let base = self.pretended.memory.bases.entry(id.as_str().to_owned()).or_default();
        base.asked.extend(asked);
        base.reported = reported(container);
    }

    fn update(&mut self, id: &ContainerId, updates: &[Update], changes: &[FieldChange]) {
        for update in updates {
            if let Update::Rename(name) = update {
                self.take_name(name);
            }
            self.change(id, |container| apply(container, update));
        }
        self.record(id, remembered(changes));
    }
}

fn apply(container: &mut Container, update: &Update) {
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

fn network_state(network: &Network, deployment: &DeploymentName, owner: &OwnerId) -> NetworkState {
    NetworkState {
        id: digest(&network.name),
        owner: Some(owner.clone()),
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

fn volume_state(volume: &Volume, deployment: &DeploymentName, owner: &OwnerId) -> VolumeState {
    VolumeState {
        owner: Some(owner.clone()),
        deployment: Some(deployment.clone()),
        driver: volume.driver.clone(),
        options: volume.options.clone(),
        applied: volume_settings(volume).into_iter().map(|(key, value)| (key, digest(&value))).collect(),
        labels: volume.labels.clone(),
    }
}
