//! Networks and volumes.

use crate::support::{Rig, rig};
use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use setpoint::engine::{ActError, EngineError};
use setpoint::model::{Attachment, Location, Mount, Network, Volume, digest};
use setpoint::plan::{Action, Milestone, network_settings};
use std::collections::BTreeMap;

pub fn network(name: &str) -> Network {
    Network {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        options: BTreeMap::new(),
        internal: false,
        subnet: None,
        gateway: None,
        labels: BTreeMap::new(),
        external: false,
        at: location(),
    }
}

pub fn location() -> Location {
    Location { file: "deployments/test.yaml".into(), line: 1, column: 1 }
}

pub async fn create(rig: &Rig, name: &str) {
    rig.act(Action::CreateNetwork { network: network(name), deployment: rig.deployment() }).await.unwrap();
}

fn make(rig: &Rig, network: &Network) -> Action {
    Action::CreateNetwork { network: network.clone(), deployment: rig.deployment() }
}

#[tokio::test]
async fn a_network_is_made_once_and_observed_with_its_settings() {
    let Some(rig) = rig().await else { return };
    let mut wanted = network(&rig.name("a"));
    wanted.subnet = Some(rig.subnet());
    wanted.gateway = Some(rig.address(1));
    wanted.internal = true;
    wanted.options = BTreeMap::from([("com.docker.network.driver.mtu".to_owned(), "1400".to_owned())]);
    wanted.labels = BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
    for _ in 0..2 {
        rig.act(make(&rig, &wanted)).await.unwrap();
        assert_eq!(rig.milestones(), [Milestone::Done]);
    }
    let seen = &rig.look().await.networks[&wanted.name];
    assert_eq!(seen.owner.as_ref(), Some(&rig.owner));
    assert_eq!(seen.deployment, Some(rig.deployment()));
    assert_eq!((seen.driver.as_str(), seen.internal), ("bridge", true));
    assert_eq!((&seen.subnets, &seen.gateways), (&vec![rig.subnet()], &vec![rig.address(1)]));
    assert_eq!((&seen.options, &seen.labels), (&wanted.options, &wanted.labels));
    let digests: BTreeMap<String, String> =
        network_settings(&wanted).into_iter().map(|(key, value)| (key, digest(&value))).collect();
    assert_eq!(seen.applied, digests);
    let other = Network { internal: false, ..wanted.clone() };
    assert!(matches!(rig.act(make(&rig, &other)).await, Err(ActError::Stale(_))));
    // A name that only contains this one is another network.
    create(&rig, &rig.name("a-more")).await;
    let id = seen.id.clone();
    for _ in 0..2 {
        rig.act(Action::RemoveNetwork { name: wanted.name.clone(), id: id.clone() }).await.unwrap();
        assert!(!rig.look().await.networks.contains_key(&wanted.name));
    }
}

#[tokio::test]
async fn a_foreign_network_or_volume_is_not_taken_over() {
    let Some(rig) = rig().await else { return };
    let name = rig.name("a");
    let request = NetworkCreateRequest { name: name.clone(), ..Default::default() };
    let id = rig.api.create_network(request).await.unwrap().id;
    assert!(matches!(rig.act(make(&rig, &network(&name))).await, Err(ActError::Stale(_))));
    assert!(matches!(rig.act(Action::RemoveNetwork { name: name.clone(), id }).await, Err(ActError::Stale(_))));
    assert_eq!(rig.look().await.networks[&name].owner, None);
    rig.api.create_volume(VolumeCreateRequest { name: Some(name.clone()), ..Default::default() }).await.unwrap();
    let create = Action::CreateVolume { volume: volume(&name), deployment: rig.deployment() };
    assert!(matches!(rig.act(create).await, Err(ActError::Stale(_))));
    assert_eq!(rig.look().await.volumes[&name].owner, None);
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        former: None,
        driver: "local".to_owned(),
        options: BTreeMap::new(),
        labels: BTreeMap::from([("tier".to_owned(), "db".to_owned())]),
        external: false,
        at: location(),
    }
}

#[tokio::test]
async fn a_volume_is_made_once_and_outlives_its_container() {
    let Some(rig) = rig().await else { return };
    let mut wanted = volume(&rig.name("data"));
    wanted.options = BTreeMap::from([
        ("type".to_owned(), "tmpfs".to_owned()),
        ("device".to_owned(), "tmpfs".to_owned()),
        ("o".to_owned(), "size=1m".to_owned()),
    ]);
    for _ in 0..2 {
        rig.act(Action::CreateVolume { volume: wanted.clone(), deployment: rig.deployment() }).await.unwrap();
    }
    let mut launch = rig.launch("db");
    launch.spec.mounts.insert("/data".to_owned(), Mount::Volume { name: wanted.name.clone(), read_only: false });
    let id = rig.create(&launch).await;
    rig.act(Action::RemoveInstance { container: id, grace: std::time::Duration::ZERO }).await.unwrap();
    let seen = &rig.look().await.volumes[&wanted.name];
    assert_eq!(seen.owner.as_ref(), Some(&rig.owner));
    assert_eq!(seen.deployment, Some(rig.deployment()));
    assert_eq!((&seen.driver, &seen.options, &seen.labels), (&wanted.driver, &wanted.options, &wanted.labels));
}

#[tokio::test]
async fn a_network_is_made_anew_under_its_containers() {
    let Some(rig) = rig().await else { return };
    let mut wanted = network(&rig.name("a"));
    create(&rig, &wanted.name).await;
    create(&rig, &rig.name("b")).await;
    let old = rig.look().await.networks[&wanted.name].id.clone();
    let mut attached = Vec::new();
    let mut launches = Vec::new();
    for service in ["web", "db", "stopped"] {
        let mut launch = rig.launch(service);
        let attachment = Attachment { aliases: [format!("{service}-alias")].into(), ..Default::default() };
        launch.spec.networks.insert(wanted.name.clone(), attachment.clone());
        if service == "db" {
            launch.spec.networks.insert(rig.name("b"), Attachment::default());
        }
        let id =
            if service == "stopped" { rig.docker.prepare(&launch).await.unwrap() } else { rig.create(&launch).await };
        attached.push((id, attachment));
        launches.push(launch);
    }
    wanted.internal = true;
    let recreate =
        Action::RecreateNetwork { network: wanted.clone(), deployment: rig.deployment(), old: old.clone(), attached };
    let mut id = old;
    for round in 0..2 {
        rig.act(recreate.clone()).await.unwrap();
        let observed = rig.look().await;
        let seen = &observed.networks[&wanted.name];
        assert!(seen.internal);
        assert_eq!(seen.id == id, round == 1);
        id.clone_from(&seen.id);
        for launch in &launches {
            let seen = observed.containers.iter().find(|one| one.name == launch.name).unwrap();
            assert_eq!(seen.spec, rig.made_of(&launch.spec));
        }
    }
    // It is of use: the stopped one can start on it.
    let id = rig.one(&rig.name("stopped")).await.id;
    rig.api.start_container(id.as_str(), None).await.unwrap();
    assert!(rig.one(&rig.name("stopped")).await.addresses.contains_key(&wanted.name));
}

#[tokio::test]
async fn a_network_in_use_is_not_removed() {
    let Some(rig) = rig().await else { return };
    let name = rig.name("a");
    create(&rig, &name).await;
    let mut launch = rig.launch("web");
    launch.spec.networks.insert(name.clone(), Attachment::default());
    rig.create(&launch).await;
    let id = rig.look().await.networks[&name].id.clone();
    let error = rig.act(Action::RemoveNetwork { name: name.clone(), id: id.clone() }).await.unwrap_err();
    let ActError::Engine(error @ EngineError::RemoveNetwork { .. }) = error else { panic!("{error}") };
    assert!(error.hint().unwrap().contains("still connected"));
    // A foreign container on it keeps the network as well, and ours are attached to it again.
    let mut wanted = network(&name);
    wanted.internal = true;
    let recreate = Action::RecreateNetwork {
        network: wanted,
        deployment: rig.deployment(),
        old: id.clone(),
        attached: Vec::new(),
    };
    assert!(rig.act(recreate).await.is_err());
    assert_eq!(rig.look().await.networks[&name].id, id);
    assert_eq!(rig.one(&launch.name).await.spec.networks, launch.spec.networks);
}
