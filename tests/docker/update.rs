//! Changes of a container that stays the same container.

use crate::support::{Rig, rig, shell};
use futures_util::StreamExt;
use setpoint::engine::{ActError, EngineError, LogOptions, Outcome};
use setpoint::model::{Attachment, ConfigFile, ContainerId, OnChange, Resources, Restart, limits_in_place};
use setpoint::plan::{Action, Gate, Update};
use std::time::Duration;

async fn update(rig: &Rig, id: &ContainerId, updates: Vec<Update>) -> Result<Outcome, ActError> {
    rig.act(Action::UpdateInstance { container: id.clone(), updates, gate: Gate::Started }).await
}

fn limits(set: impl Fn(&mut Resources)) -> Resources {
    let mut resources = Resources::default();
    set(&mut resources);
    resources
}

const MIB: u64 = 1 << 20;

/// Each pair is gone through in both directions; where a limit is lifted, the rule must say so and the engine be right.
fn pairs() -> Vec<(Resources, Resources)> {
    let none = Resources::default;
    let memory = |memory: u64, swap: Option<i64>| {
        limits(|limits| {
            limits.memory = Some(memory * MIB);
            limits.memory_swap = swap;
        })
    };
    vec![
        (
            limits(|limits| limits.nano_cpus = Some(500_000_000)),
            limits(|limits| limits.nano_cpus = Some(1_500_000_000)),
        ),
        (none(), limits(|limits| limits.nano_cpus = Some(500_000_000))),
        (memory(64, None), memory(512, None)),
        (none(), memory(64, None)),
        (memory(64, Some(100 << 20)), memory(200, Some(300 << 20))),
        (memory(64, Some(100 << 20)), memory(64, None)),
        (memory(64, Some(-1)), memory(128, None)),
        (memory(64, Some(-1)), memory(32, Some(40 << 20))),
        (none(), memory(64, Some(-1))),
        (
            limits(|limits| limits.memory_reservation = Some(32 * MIB)),
            limits(|limits| limits.memory_reservation = Some(64 * MIB)),
        ),
        (none(), limits(|limits| limits.memory_reservation = Some(32 * MIB))),
        (none(), limits(|limits| limits.pids = Some(50))),
        (limits(|limits| limits.pids = Some(40)), limits(|limits| limits.pids = Some(50))),
        (
            limits(|limits| limits.cpuset = Some("0".to_owned())),
            limits(|limits| limits.cpuset = Some("0-1".to_owned())),
        ),
        (none(), limits(|limits| limits.cpuset = Some("0".to_owned()))),
        (limits(|limits| limits.cpu_shares = Some(512)), limits(|limits| limits.cpu_shares = Some(2048))),
        (none(), limits(|limits| limits.cpu_shares = Some(512))),
    ]
}

#[tokio::test]
async fn limits_change_in_place_where_the_rule_says_so_and_nowhere_else() {
    let Some(rig) = rig().await else { return };
    let mut lifted = 0;
    for (index, (a, b)) in pairs().into_iter().enumerate() {
        for (old, new, way) in [(&a, &b, "there"), (&b, &a, "back")] {
            let mut launch = rig.launch(&format!("{way}{index}"));
            launch.spec.resources = old.clone();
            let id = rig.create(&launch).await;
            let result = update(&rig, &id, vec![Update::Limits { resources: new.clone(), restart: Restart::No }]).await;
            let seen = rig.one(&launch.name).await;
            assert_eq!(seen.id, id);
            if limits_in_place(old, new) {
                assert!(
                    result.is_ok(),
                    "{old:?} → {new:?}: {result:?} {:?}",
                    result.as_ref().map_err(std::error::Error::source)
                );
                assert_eq!(&seen.spec.resources, new, "from {old:?}");
            } else {
                let Err(ActError::Engine(EngineError::LiftLimits { limits, .. })) = result else {
                    panic!("{old:?} → {new:?}: {result:?}")
                };
                assert!(!limits.is_empty());
                assert_eq!(&seen.spec.resources, old);
                lifted += 1;
            }
            rig.act(Action::RemoveInstance { container: id, grace: Duration::ZERO }).await.unwrap();
        }
    }
    assert_eq!(lifted, 8);
}

#[tokio::test]
async fn limits_set_by_hand_are_seen_and_set_back() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    let id = rig.create(&launch).await;
    let by_hand = bollard::models::ContainerUpdateBody {
        cpu_period: Some(50_000),
        cpu_quota: Some(25_000),
        memory: Some(64 << 20),
        memory_swap: Some(64 << 20),
        ..Default::default()
    };
    rig.api.update_container(id.as_str(), by_hand).await.unwrap();
    let seen = rig.one(&launch.name).await.spec.resources;
    assert_eq!((seen.nano_cpus, seen.memory, seen.memory_swap), (Some(500_000_000), Some(64 * MIB), Some(64 << 20)));
    launch.spec.resources = limits(|limits| {
        limits.nano_cpus = Some(1_250_000_000);
        limits.memory = Some(128 * MIB);
    });
    let wanted = Update::Limits { resources: launch.spec.resources.clone(), restart: Restart::Always };
    update(&rig, &id, vec![wanted]).await.unwrap();
    launch.spec.restart = Restart::Always;
    assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
}

#[tokio::test]
async fn restart_policies_change_in_place() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    for restart in [Restart::UnlessStopped, Restart::OnFailure(3), Restart::OnFailure(0), Restart::Always, Restart::No]
    {
        update(&rig, &id, vec![Update::Limits { resources: Resources::default(), restart }]).await.unwrap();
        assert_eq!(rig.one(&launch.name).await.spec.restart, restart);
    }
}

#[tokio::test]
async fn a_container_gets_its_name_back() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    let options = bollard::query_parameters::RenameContainerOptions { name: rig.name("stolen") };
    rig.api.rename_container(id.as_str(), options).await.unwrap();
    assert_eq!(rig.names().await, [rig.name("stolen")]);
    for _ in 0..2 {
        update(&rig, &id, vec![Update::Rename(launch.name.clone())]).await.unwrap();
        assert_eq!(rig.names().await, [launch.name.as_str()]);
    }
    rig.create(&rig.launch("other")).await;
    let taken = update(&rig, &id, vec![Update::Rename(rig.name("other"))]).await;
    assert!(matches!(taken, Err(ActError::Stale(_))), "{taken:?}");
}

#[tokio::test]
async fn networks_are_connected_and_disconnected_in_place() {
    let Some(rig) = rig().await else { return };
    let (a, b) = (rig.name("a"), rig.name("b"));
    crate::network::create(&rig, &a).await;
    crate::network::create(&rig, &b).await;
    let mut launch = rig.launch("web");
    launch.spec.hostname = Some("web".to_owned());
    launch.spec.networks.insert(a.clone(), Attachment::default());
    let id = rig.create(&launch).await;
    assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
    let with = |alias: &str| Attachment { aliases: [alias.to_owned()].into(), ..Default::default() };
    for alias in ["api", "api", "shop"] {
        let connect = Update::Connect { network: b.clone(), attachment: with(alias) };
        update(&rig, &id, vec![connect]).await.unwrap();
        launch.spec.networks.insert(b.clone(), with(alias));
        assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
    }
    for _ in 0..2 {
        update(&rig, &id, vec![Update::Disconnect { network: a.clone() }]).await.unwrap();
        launch.spec.networks.remove(&a);
        assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
    }
}

#[tokio::test]
async fn a_container_that_lost_the_default_bridge_shows_it() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    let request = bollard::models::NetworkDisconnectRequest { container: id.to_string(), force: Some(true) };
    rig.api.disconnect_network("bridge", request).await.unwrap();
    assert_eq!(rig.one(&launch.name).await.spec.network_mode.as_deref(), Some("none"));
}

#[tokio::test]
async fn a_config_file_is_rewritten_and_its_reader_told() {
    let Some(rig) = rig().await else { return };
    let file = |text: &str| ConfigFile {
        source: "web.conf".to_owned(),
        oid: "1f2e3d4c5b6a".to_owned(),
        content: text.as_bytes().into(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        on_change: OnChange::Signal("SIGHUP".to_owned()),
    };
    let mut launch = rig.launch("web");
    let target = "/etc/web/web.conf".to_owned();
    launch.spec.configs.insert(target.clone(), file("first\n"));
    launch.spec.command = shell("trap 'cat /etc/web/web.conf' HUP; cat /etc/web/web.conf; while :; do sleep 0.1; done");
    let id = rig.create(&launch).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let write = Update::WriteConfig { target, file: file("second\n") };
    update(&rig, &id, vec![write, Update::Signal("SIGHUP".to_owned())]).await.unwrap();
    let options = LogOptions { follow: true, ..Default::default() };
    let lines = rig.docker.logs(&id, &options).take(2).map(|line| line.unwrap().text).collect::<Vec<_>>();
    let lines = tokio::time::timeout(Duration::from_secs(10), lines).await.unwrap();
    assert_eq!(lines, ["first", "second"]);
}
