//! Events and logs.

use crate::engine::{Kind, engine};
use crate::support::{Rig, rig, shell};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use setpoint::engine::{EngineEvent, LogLine, LogOptions, LogStream};
use setpoint::model::{ContainerId, Healthcheck, Test};
use setpoint::plan::{Action, Gate};
use std::time::Duration;

type Events = BoxStream<'static, EngineEvent>;

/// The next event that fits; panics after a while. Where streams break all the time a gap will do: it asks for a look, which
/// shows what happened meanwhile.
async fn wait_for(events: &mut Events, fits: impl Fn(&EngineEvent) -> bool) -> Vec<EngineEvent> {
    let mut seen = Vec::new();
    let breaks = engine().kind == Kind::Proxy;
    let wait = async {
        while let Some(event) = events.next().await {
            let found = fits(&event) || breaks && event == EngineEvent::Gap;
            seen.push(event);
            if found {
                return;
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(15), wait).await;
    assert!(waited.is_ok(), "saw only {seen:?}");
    seen
}

fn is(id: &ContainerId, word: &str) -> impl Fn(&EngineEvent) -> bool {
    let expected = EngineEvent::Container { id: id.clone(), action: word.to_owned() };
    move |event| *event == expected
}

async fn open(rig: &Rig) -> Events {
    let mut events = rig.docker.events(&rig.owner);
    assert_eq!(events.next().await, Some(EngineEvent::Gap));
    events
}

#[tokio::test]
async fn what_happens_to_our_containers_is_told() {
    let Some(rig) = rig().await else { return };
    let mut events = open(&rig).await;
    let launch = rig.launch("web");
    let id = rig.create(&launch).await;
    wait_for(&mut events, is(&id, "start")).await;
    rig.api.pause_container(id.as_str()).await.unwrap();
    wait_for(&mut events, is(&id, "pause")).await;
    rig.api.unpause_container(id.as_str()).await.unwrap();
    wait_for(&mut events, is(&id, "unpause")).await;
    let options = bollard::query_parameters::RenameContainerOptions { name: rig.name("stolen") };
    rig.api.rename_container(id.as_str(), options).await.unwrap();
    wait_for(&mut events, is(&id, "rename")).await;
    rig.api
        .update_container(
            id.as_str(),
            bollard::models::ContainerUpdateBody { cpu_shares: Some(9), ..Default::default() },
        )
        .await
        .unwrap();
    wait_for(&mut events, is(&id, "update")).await;
    rig.api.kill_container(id.as_str(), None).await.unwrap();
    wait_for(&mut events, is(&id, "die")).await;
    rig.act(Action::RemoveInstance { container: id.clone(), grace: Duration::ZERO }).await.unwrap();
    wait_for(&mut events, is(&id, "destroy")).await;
}

#[tokio::test]
async fn health_is_told_and_its_checks_wake_nobody() {
    let Some(rig) = rig().await else { return };
    let mut events = open(&rig).await;
    let mut launch = rig.launch("web");
    launch.spec.healthcheck = Some(Healthcheck {
        test: Test::Shell("test -f /ok".to_owned()),
        interval: Some(Duration::from_millis(200)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(1),
        start_period: None,
    });
    launch.spec.command = shell("touch /ok; sleep 2; busybox rm /ok; sleep 60");
    let id = rig.create(&launch).await;
    let mut seen = wait_for(&mut events, is(&id, "health_status: healthy")).await;
    seen.extend(wait_for(&mut events, is(&id, "health_status: unhealthy")).await);
    let exec =
        |event: &&EngineEvent| matches!(event, EngineEvent::Container { action, .. } if action.starts_with("exec"));
    assert_eq!(seen.iter().find(exec), None);
}

#[tokio::test]
async fn networks_volumes_and_images_are_told_without_a_name() {
    let Some(rig) = rig().await else { return };
    let mut events = open(&rig).await;
    let name = rig.name("a");
    let request = bollard::models::VolumeCreateRequest { name: Some(name.clone()), ..Default::default() };
    rig.api.create_volume(request).await.unwrap();
    rig.api.remove_volume(&name, None::<bollard::query_parameters::RemoveVolumeOptions>).await.unwrap();
    wait_for(&mut events, |event| *event == EngineEvent::Other).await;
}

#[tokio::test]
async fn containers_of_others_are_not_told() {
    let Some(rig) = rig().await else { return };
    let other = setpoint::model::OwnerId::new("sptest-eng/other");
    let mut events = rig.docker.events(&other);
    assert_eq!(events.next().await, Some(EngineEvent::Gap));
    let id = rig.create(&rig.launch("web")).await;
    let look = async {
        while let Some(event) = events.next().await {
            assert!(!matches!(&event, EngineEvent::Container { id: seen, .. } if *seen == id), "{event:?}");
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(500), look).await.is_err());
}

#[tokio::test]
async fn the_stream_opens_itself_again_and_says_that_it_had_a_gap() {
    let Some(rig) = rig().await else { return };
    let relay = crate::relay::Relay::of(rig.engine.socket()).await;
    let docker = setpoint::engine::Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let mut events = docker.events(&rig.owner);
    assert_eq!(events.next().await, Some(EngineEvent::Gap));
    let id = rig.create(&rig.launch("web")).await;
    wait_for(&mut events, is(&id, "start")).await;
    relay.stop().await;
    // What others did to networks and images before the break may still come; nothing else does.
    let told = async {
        loop {
            match events.next().await {
                Some(EngineEvent::Other) => {}
                event => break event,
            }
        }
    };
    let waiting = tokio::time::timeout(Duration::from_millis(700), told).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let relay = relay.again().await;
    wait_for(&mut events, |event| *event == EngineEvent::Gap).await;
    rig.api.kill_container(id.as_str(), None).await.unwrap();
    wait_for(&mut events, is(&id, "die")).await;
    relay.stop().await;
}

#[tokio::test]
async fn an_engine_that_accepts_and_cuts_is_asked_ever_less_often() {
    let Some(rig) = rig().await else { return };
    let relay = crate::relay::Relay::of(rig.engine.socket()).await;
    relay.cut_events();
    let docker = setpoint::engine::Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let mut events = docker.events(&rig.owner);
    let gaps = async {
        let mut gaps = 0;
        while let Some(event) = events.next().await {
            gaps += u32::from(event == EngineEvent::Gap);
            if gaps == 8 {
                return;
            }
        }
    };
    // Without longer pauses each round takes half a second.
    assert!(tokio::time::timeout(Duration::from_secs(6), gaps).await.is_err(), "{} streams in 6 s", relay.streams());
    assert!(relay.streams() >= 4, "it is asked again");
    relay.stop().await;
}

#[tokio::test]
async fn after_a_break_another_version_is_agreed_on_before_the_stream_opens() {
    let Some(rig) = rig().await else { return };
    let relay = crate::relay::Relay::of(rig.engine.socket()).await;
    let docker = setpoint::engine::Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let before = docker.info().await.unwrap().api_version;
    let mut events = docker.events(&rig.owner);
    assert_eq!(events.next().await, Some(EngineEvent::Gap));
    relay.stop().await;
    relay.upgrade();
    let relay = relay.again().await;
    wait_for(&mut events, |event| *event == EngineEvent::Gap).await;
    assert_eq!(docker.info().await.unwrap().api_version, "1.44");
    assert_ne!(before, "1.44");
    let id = rig.create(&rig.launch("web")).await;
    wait_for(&mut events, is(&id, "start")).await;
    relay.stop().await;
}

async fn lines(rig: &Rig, id: &ContainerId, options: &LogOptions) -> Vec<LogLine> {
    let read = rig.docker.logs(id, options).map(Result::unwrap).collect();
    tokio::time::timeout(Duration::from_secs(15), read).await.unwrap()
}

#[tokio::test]
async fn a_log_is_read_line_by_line() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.command =
        shell("echo one; sleep 0.2; echo two >&2; sleep 1.2; echo; sleep 0.2; printf 'no end'; exit 0");
    launch.gate = Gate::Completed { timeout: Duration::from_secs(20) };
    let id = rig.create(&launch).await;
    let all = lines(&rig, &id, &LogOptions { timestamps: true, ..Default::default() }).await;
    let texts: Vec<(LogStream, &str)> = all.iter().map(|line| (line.stream, line.text.as_str())).collect();
    use LogStream::{Stderr, Stdout};
    assert_eq!(texts, [(Stdout, "one"), (Stderr, "two"), (Stdout, ""), (Stdout, "no end")]);
    let times: Vec<_> = all.iter().map(|line| line.at.unwrap()).collect();
    assert!(times.is_sorted());
    let tail = lines(&rig, &id, &LogOptions { tail: Some(2), ..Default::default() }).await;
    assert_eq!(tail.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["", "no end"]);
    assert_eq!(tail[0].at, None);
    let since = lines(&rig, &id, &LogOptions { since: Some(times[2]), ..Default::default() }).await;
    assert!(since.len() < 4 && since.last().unwrap().text == "no end", "{since:?}");
}

#[tokio::test]
async fn a_terminals_log_is_read_too_and_followed_to_the_end() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.tty = true;
    launch.spec.command = shell("for i in 1 2 3; do echo line $i; sleep 0.3; done");
    let id = rig.create(&launch).await;
    let all = lines(&rig, &id, &LogOptions { follow: true, ..Default::default() }).await;
    assert_eq!(all.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["line 1", "line 2", "line 3"]);
}

#[tokio::test]
async fn a_long_line_stays_one_line() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.command = shell(
        "x=0123456789; x=$x$x$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x$x$x; echo $x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x$x; echo end",
    );
    launch.gate = Gate::Completed { timeout: Duration::from_secs(20) };
    let id = rig.create(&launch).await;
    let all = lines(&rig, &id, &LogOptions::default()).await;
    assert_eq!(all.iter().map(|line| line.text.len()).collect::<Vec<_>>(), [40_000, 3]);
}
