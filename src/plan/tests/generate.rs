//! Generated repos and hosts, small enough that names, ports and volumes collide.

use crate::model::{
    Attachment, CommitId, Condition, ConfigFile, ContainerSpec, Dependency, Deployment, DeploymentName, Desired, Image,
    ImageBuild, Location, Mount, Network, OnChange, OnFailure, Order, OwnerId, PortBinding, Protocol, PullPolicy,
    Resources, Restart, Revision, Role, Service, ServiceId, ServiceRef, Settings, Strategy as Pace, StrategyKind,
    Timestamp, Volume,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn at(file: &str, line: u32) -> Location {
    Location { file: Arc::from(file), line, column: 1 }
}

pub(super) fn revision() -> Revision {
    Revision {
        commit: CommitId::new("3f2a91c0".repeat(5)),
        reference: "main".to_owned(),
        summary: "api 1.5".to_owned(),
        author: "A <a@example.org>".to_owned(),
        time: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn owner() -> OwnerId {
    OwnerId::new("f00d/prod")
}

pub(super) fn strategy() -> Pace {
    Pace {
        kind: StrategyKind::Parallel,
        max_parallel: 2,
        wait_for_healthy: true,
        startup_timeout: Duration::from_secs(60),
        stability_window: Duration::from_secs(2),
        on_failure: OnFailure::Rollback,
    }
}

pub(super) fn build() -> ImageBuild {
    ImageBuild {
        repository: "shop/api".into(),
        tag: "latest".into(),
        context: "images/api".into(),
        dockerfile: "images/api/Dockerfile".into(),
        args: BTreeMap::new(),
        target: None,
        no_cache: false,
        digest: "0123456789ab".into(),
        files: Arc::from([]),
    }
}

pub(super) fn network(name: &str) -> Network {
    Network {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        options: BTreeMap::new(),
        internal: false,
        subnet: None,
        gateway: None,
        labels: BTreeMap::new(),
        external: false,
        at: at("deployments/shop.yaml", 3),
    }
}

pub(super) fn service(id: &str, image: &str) -> Service {
    let spec = ContainerSpec { image: image.to_owned(), restart: Restart::UnlessStopped, ..ContainerSpec::default() };
    Service {
        id: ServiceId::new(id),
        role: Role::Service,
        at: at("deployments/shop.yaml", 10),
        image: Image::Pull { reference: image.to_owned(), policy: PullPolicy::Missing, also_tag: None },
        spec,
        container_name: None,
        replicas: 1,
        one_shot: false,
        depends_on: BTreeMap::new(),
        probe: None,
        order: Order::Auto,
        origins: BTreeMap::new(),
        hidden: Default::default(),
    }
}

/// A deployment whose services are on one network; every volume that a service mounts is declared.
pub(super) fn deployment(name: &str, mut services: Vec<Service>) -> Deployment {
    let net = format!("{name}_net");
    let mut volumes = BTreeMap::new();
    for service in &mut services {
        if service.spec.network_mode.is_none() {
            let aliases = BTreeSet::from([service.id.to_string()]);
            service.spec.networks.insert(net.clone(), Attachment { aliases, ..Attachment::default() });
        }
        for mount in service.spec.mounts.values() {
            if let Mount::Volume { name, .. } = mount {
                volumes.insert(name.clone(), volume(name));
            }
        }
    }
    Deployment {
        name: DeploymentName::new(name),
        title: name.to_owned(),
        description: None,
        at: at("deployments/shop.yaml", 1),
        networks: BTreeMap::from([(net.clone(), network(&net))]),
        volumes,
        services,
        strategy: strategy(),
        parallel_builds: true,
        registries: Vec::new(),
    }
}

pub(super) fn volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        former: None,
        driver: "local".to_owned(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        external: false,
        at: at("deployments/shop.yaml", 4),
    }
}

pub(super) fn desired(deployments: Vec<Deployment>) -> Desired {
    let settings = Settings { environment: "prod".to_owned(), ..Settings::default() };
    let deployments = deployments.into_iter().map(|deployment| (deployment.name.clone(), deployment)).collect();
    Desired { settings, deployments, ..Desired::default() }
}

/// A spec with any mix of the settings that the planner treats apart.
fn spec() -> impl Strategy<Value = ContainerSpec> {
    let image = prop::sample::select(vec!["api:1", "api:2", "db:1", "web:7"]);
    let env = btree_map("[A-C]", "[a-z]{1,2}", 0..3);
    let memory = prop::option::of(prop::sample::select(vec![64u64 << 20, 128 << 20]));
    let cpus = prop::option::of(prop::sample::select(vec![500_000_000u64, 1_000_000_000]));
    let ports = btree_set(8080u16..8084, 0..2);
    let volumes = btree_set(prop::sample::select(vec!["data", "logs"]), 0..2);
    let restart = prop::sample::select(vec![Restart::UnlessStopped, Restart::Always, Restart::OnFailure(3)]);
    let config = prop::option::of(("[ab]", prop::bool::ANY));
    (image, env, memory, cpus, ports, volumes, restart, config).prop_map(
        |(image, env, memory, cpus, ports, volumes, restart, config)| ContainerSpec {
            image: image.to_owned(),
            env,
            resources: Resources { memory, nano_cpus: cpus, ..Resources::default() },
            ports: ports
                .into_iter()
                .map(|port| PortBinding {
                    container_port: 80,
                    protocol: Protocol::Tcp,
                    host_ip: None,
                    host_port: Some(port),
                })
                .collect(),
            mounts: volumes
                .into_iter()
                .map(|name| (format!("/{name}"), Mount::Volume { name: name.to_owned(), read_only: false }))
                .collect(),
            restart,
            configs: config
                .into_iter()
                .map(|(oid, signal)| {
                    let on_change = if signal { OnChange::Signal("SIGHUP".to_owned()) } else { OnChange::Recreate };
                    let content = Arc::from(oid.as_bytes());
                    let source = "config/a".to_owned();
                    ("/etc/a".to_owned(), ConfigFile { source, oid, content, mode: 0o644, uid: 0, gid: 0, on_change })
                })
                .collect(),
            ..ContainerSpec::default()
        },
    )
}

/// A repo that compiles: unique host ports and container names, dependencies without cycles.
pub(super) fn any_desired() -> impl Strategy<Value = Desired> {
    let one = (spec(), 1u32..3, prop::option::of("[xyz]"), any::<u8>(), prop::bool::ANY);
    let named = btree_map(prop::sample::select(vec!["a", "b", "c", "d", "e"]), one, 0..5);
    vec(named, 0..3).prop_map(|deployments| {
        let mut ports = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut all = Vec::new();
        for (index, services) in deployments.into_iter().enumerate() {
            let name = ["shop", "mail", "ops"][index % 3];
            let mut before: Vec<ServiceId> = Vec::new();
            let mut list = Vec::new();
            for (id, (mut spec, mut replicas, container_name, edges, healthy)) in services {
                spec.ports.retain(|port| ports.insert(port.host_port));
                let container_name = container_name.filter(|name| names.insert(name.clone()));
                if !spec.ports.is_empty() || container_name.is_some() {
                    replicas = 1;
                }
                let mut service = service(id, &spec.image.clone());
                service.spec = spec;
                service.replicas = replicas;
                service.container_name = container_name;
                for (bit, other) in before.iter().enumerate().filter(|(bit, _)| edges & (1 << bit) != 0) {
                    let reference = ServiceRef { deployment: DeploymentName::new(name), service: other.clone() };
                    let condition = if healthy && bit % 2 == 0 { Condition::Healthy } else { Condition::Started };
                    service.depends_on.insert(reference, Dependency { condition, at: at("deployments/shop.yaml", 20) });
                }
                before.push(service.id.clone());
                list.push(service);
            }
            all.push(deployment(name, list));
        }
        desired(all)
    })
}
