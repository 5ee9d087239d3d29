//! New containers, and what is observed of them.

use crate::support::{Rig, healthy, image, rig, shell, words};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;
use setpoint::engine::ActError;
use setpoint::model::{Attachment, ConfigFile, Health, OnChange, Protocol, Status};
use setpoint::plan::{Action, Gate, Guard, Milestone};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

async fn foreign(rig: &Rig, name: &str) -> String {
    let body = ContainerCreateBody { image: Some(image()), cmd: Some(words(&["sleep", "60"])), ..Default::default() };
    let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
    rig.api.create_container(Some(options), body).await.unwrap().id
}

#[tokio::test]
async fn a_created_instance_is_observed_with_its_labels() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.needs = vec![rig.instance("db").service];
    let id = rig.create(&launch).await;
    assert_eq!(rig.milestones(), [Milestone::Started, Milestone::Done]);
    let seen = rig.one(&launch.name).await;
    assert_eq!(seen.id, id);
    assert_eq!(seen.owner.as_ref(), Some(&rig.owner));
    assert_eq!(seen.instance.as_ref(), Some(&launch.instance));
    assert_eq!(seen.revision.as_ref().map(setpoint::model::CommitId::as_str), Some("0123456789"));
    assert_eq!(seen.applied, launch.applied);
    assert_eq!(seen.needs, launch.needs);
    assert_eq!(seen.status, Status::Running);
    assert_eq!(seen.health, Health::Unchecked);
    assert!(seen.started_at.is_some());
    assert!(seen.addresses.contains_key("bridge"));
    assert_eq!(seen.spec, rig.made_of(&launch.spec));
    let observed = rig.look().await;
    let by_name = &observed.images[&image()];
    assert_eq!(by_name, &observed.images[&seen.image_id]);
    assert_eq!(by_name.id, seen.image_id);
}

#[tokio::test]
async fn a_foreign_container_is_listed_and_keeps_its_name() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = foreign(&rig, &launch.name).await;
    let error = rig.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap_err();
    assert!(matches!(&error, ActError::Stale(text) if text.contains("not managed by setpoint")), "{error}");
    let seen = rig.one(&launch.name).await;
    assert_eq!((seen.id.as_str(), seen.owner, seen.spec.image), (id.as_str(), None, image()));
    assert_eq!(seen.spec.command, None);
}

#[tokio::test]
async fn a_former_try_of_the_same_launch_is_taken_over() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let left = rig.docker.prepare(&launch).await.unwrap();
    assert_eq!(rig.one(&launch.name).await.status, Status::Created);
    assert_eq!(rig.create(&launch).await, left);
    assert_eq!(rig.create(&launch).await, left);
    let mut other = launch.clone();
    other.applied.insert("env A".to_owned(), "000000000000".to_owned());
    let error = rig.act(Action::CreateInstance(Box::new(other))).await.unwrap_err();
    assert!(matches!(&error, ActError::Stale(text) if text.contains(&launch.instance.to_string())), "{error}");
}

#[tokio::test]
async fn a_guard_that_does_not_hold_stops_the_step() {
    let Some(rig) = rig().await else { return };
    let name = rig.name("foreign");
    let id = setpoint::model::ContainerId::new(foreign(&rig, &name).await);
    let remove = Action::RemoveInstance { container: id.clone(), grace: Duration::ZERO };
    let ours = Guard::Ours { container: id, owner: rig.owner.clone() };
    assert!(matches!(rig.act_if(remove.clone(), ours).await, Err(ActError::Stale(_))));
    // Neither without the guard.
    assert!(matches!(rig.act(remove).await, Err(ActError::Stale(_))));
    assert!(rig.find(&name).await.is_some());
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    let restore = Action::RestoreInstance { container: id, name: name.clone() };
    assert!(matches!(rig.act_if(restore, Guard::NameFree(name)).await, Err(ActError::Stale(_))));
}

#[tokio::test]
async fn several_networks_and_config_files_are_there_before_the_start() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    for name in ["a", "b"] {
        let name = rig.name(name);
        crate::network::create(&rig, &name).await;
        let aliases = ["api".to_owned()].into();
        launch.spec.networks.insert(name, Attachment { aliases, ..Default::default() });
    }
    let file = |text: &str, mode, uid, gid| ConfigFile {
        source: "web.conf".to_owned(),
        oid: "1f2e3d4c5b6a".to_owned(),
        content: text.as_bytes().into(),
        mode,
        uid,
        gid,
        on_change: OnChange::Recreate,
    };
    launch.spec.configs = BTreeMap::from([
        ("/etc/new/deep/web.conf".to_owned(), file("hello", 0o640, 7, 8)),
        ("/bin/tool".to_owned(), file("tool", 0o755, 0, 0)),
    ]);
    launch.spec.command = shell(
        "cat /etc/new/deep/web.conf && test $(stat -c %a:%u:%g /etc/new/deep/web.conf) = 640:7:8 \
         && test $(stat -c %a /etc/new) = 755 && cat /bin/tool && test -x /bin/busybox",
    );
    launch.gate = Gate::Completed { timeout: Duration::from_secs(20) };
    let outcome = rig.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap();
    assert!(outcome.evidence.unwrap().starts_with("completed after"));
    let seen = rig.one(&launch.name).await;
    assert_eq!(seen.spec.networks, launch.spec.networks);
    assert_eq!(rig.names().await, [launch.name]);
}

#[tokio::test]
async fn a_file_for_a_read_only_root_is_refused_with_a_remedy() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.read_only = true;
    let file = ConfigFile {
        source: "web.conf".to_owned(),
        oid: "1f2e3d4c5b6a".to_owned(),
        content: b"hello".as_slice().into(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        on_change: OnChange::Recreate,
    };
    launch.spec.configs = BTreeMap::from([("/data/web.conf".to_owned(), file)]);
    let error = rig.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap_err();
    let ActError::Engine(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("/data/web.conf"));
    assert!(error.hint().unwrap().contains("mount a volume"), "{error:?}");
    assert_eq!(rig.names().await, Vec::<String>::new());
    let volume = setpoint::model::Mount::Volume { name: rig.name("data"), read_only: false };
    launch.spec.mounts.insert("/data".to_owned(), volume);
    launch.spec.command = shell("test $(cat /data/web.conf) = hello");
    launch.gate = Gate::Completed { timeout: Duration::from_secs(20) };
    rig.create(&launch).await;
}

#[tokio::test]
async fn a_container_that_cannot_start_does_not_keep_the_name() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.command = Some(words(&["/no/such/program"]));
    let error = rig.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap_err();
    let ActError::Engine(error) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), format!("cannot start container {}", launch.name));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("/no/such/program"));
    assert!(!error.is_retryable());
    assert_eq!(rig.names().await, Vec::<String>::new());
    launch.spec.image = rig.name("nowhere");
    let error = rig.act(Action::CreateInstance(Box::new(launch))).await.unwrap_err();
    let ActError::Engine(error) = error else { panic!("{error}") };
    assert_eq!((error.status(), error.hint().is_some()), (Some(404), true));
}

#[tokio::test]
async fn a_published_port_is_seen_of_ours_and_of_others() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.ports.insert(setpoint::model::PortBinding {
        container_port: 80,
        protocol: Protocol::Tcp,
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: None,
    });
    rig.create(&launch).await;
    assert_eq!(rig.one(&launch.name).await.spec.ports, launch.spec.ports);
    let other = setpoint::engine::Scope {
        owner: setpoint::model::OwnerId::new("sptest-eng/other"),
        images: Default::default(),
    };
    let observed = rig.docker.observe(&other).await.unwrap();
    let seen = observed.containers.into_iter().find(|one| one.name == launch.name).unwrap();
    assert_eq!(seen.owner, Some(rig.owner.clone()));
    let port = seen.spec.ports.first().unwrap();
    assert_eq!((port.container_port, port.host_ip.as_deref()), (80, Some("127.0.0.1")));
    assert!(port.host_port.is_some());
}

#[tokio::test]
async fn stop_and_remove_can_be_done_again() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    for _ in 0..2 {
        rig.act(Action::StopInstance { container: id.clone(), grace: Duration::from_secs(1) }).await.unwrap();
        assert!(matches!(rig.one(&launch.name).await.status, Status::Exited { code: 137, .. }));
    }
    let guard = Guard::Ours { container: id.clone(), owner: rig.owner.clone() };
    for _ in 0..2 {
        let remove = Action::RemoveInstance { container: id.clone(), grace: Duration::from_secs(1) };
        rig.act_if(remove, guard.clone()).await.unwrap();
        assert_eq!(rig.names().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_frozen_container_is_stopped_and_removed_like_any_other() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    rig.api.pause_container(id.as_str()).await.unwrap();
    rig.act(Action::StopInstance { container: id.clone(), grace: Duration::from_secs(1) }).await.unwrap();
    assert!(matches!(rig.one(&launch.name).await.status, Status::Exited { .. }));
    rig.api.start_container(id.as_str(), None).await.unwrap();
    rig.api.pause_container(id.as_str()).await.unwrap();
    rig.act(Action::RemoveInstance { container: id, grace: Duration::from_secs(1) }).await.unwrap();
    assert_eq!(rig.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_instance_that_exits_fails_its_gate_at_once_and_says_why() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.command = shell("echo out of luck; sleep 0.2; echo really >&2; exit 3");
    launch.gate = healthy(60, 500);
    let begin = Instant::now();
    let error = rig.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(45));
    let ActError::Gate { report, rolled_back: false } = error else { panic!("{error}") };
    assert!(report.verdict.starts_with("exited (3) after"), "{}", report.verdict);
    assert_eq!(report.log, ["out of luck", "really"]);
}
