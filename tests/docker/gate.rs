//! What passes a gate, what does not, and how soon that is known.

use crate::support::{Rig, healthy, rig, shell, words};
use setpoint::engine::{ActError, EngineError, News, Outcome, ProbeResult};
use setpoint::model::{ContainerId, ContainerSpec, Health, HealthReport, Healthcheck, Probe, Restart, Status, Test};
use setpoint::plan::{Action, Gate, Launch, Milestone, Update};
use std::time::{Duration, Instant};

fn launch(rig: &Rig, line: &str, gate: Gate) -> Launch {
    let spec = ContainerSpec { command: shell(line), ..rig.launch("web").spec };
    Launch { gate, ..rig.launch_of("web", spec) }
}

fn checked(mut launch: Launch, line: &str) -> Launch {
    launch.spec.healthcheck = Some(Healthcheck {
        test: Test::Shell(line.to_owned()),
        interval: Some(Duration::from_millis(200)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(2),
        start_period: None,
    });
    launch
}

fn probe(http_path: Option<&str>) -> Probe {
    Probe {
        http_path: http_path.map(str::to_owned),
        port: 80,
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(1),
        retries: 3,
        start_period: Duration::from_secs(10),
    }
}

fn probed(http_path: Option<&str>, timeout: u64) -> Gate {
    let probe = Some(probe(http_path));
    Gate::Healthy { timeout: Duration::from_secs(timeout), window: Duration::from_millis(200), probe }
}

async fn create(rig: &Rig, launch: &Launch) -> Result<Outcome, ActError> {
    rig.act(Action::CreateInstance(Box::new(launch.clone()))).await
}

async fn failure(rig: &Rig, launch: &Launch) -> (HealthReport, Duration) {
    let begin = Instant::now();
    match create(rig, launch).await {
        Err(ActError::Gate { report, rolled_back: false }) => (*report, begin.elapsed()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_window_without_a_check_is_waited_out() {
    let Some(rig) = rig().await else { return };
    let begin = Instant::now();
    let outcome = create(&rig, &launch(&rig, "sleep 60", healthy(20, 700))).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(700));
    assert!(outcome.evidence.unwrap().starts_with("running for 700ms"));
}

#[tokio::test]
async fn the_engines_check_decides() {
    let Some(rig) = rig().await else { return };
    let mut good = checked(launch(&rig, "sleep 1; touch /ok; sleep 60", healthy(30, 300)), "test -f /ok || exit 1");
    good.spec.healthcheck.as_mut().unwrap().retries = Some(50);
    let begin = Instant::now();
    let outcome = create(&rig, &good).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert!(outcome.evidence.unwrap().starts_with("healthy for 300ms"));
    assert_eq!(rig.one(&good.name).await.health, Health::Healthy);
}

#[tokio::test]
async fn an_unhealthy_container_fails_at_once_with_its_checks_output() {
    let Some(rig) = rig().await else { return };
    let bad = checked(launch(&rig, "echo up; sleep 60", healthy(60, 300)), "echo no database; exit 1");
    let (report, took) = failure(&rig, &bad).await;
    assert!(took < Duration::from_secs(45), "{took:?}");
    assert!(report.verdict.starts_with("unhealthy"), "{}", report.verdict);
    assert_eq!(report.check.as_deref(), Some("no database"));
    assert_eq!(report.log, ["up"]);
    assert_eq!(rig.milestones(), [Milestone::Started]);
}

#[tokio::test]
async fn a_restart_loop_fails_at_once() {
    let Some(rig) = rig().await else { return };
    let mut bad = launch(&rig, "echo again; exit 5", healthy(60, 2000));
    bad.spec.restart = Restart::Always;
    let (report, took) = failure(&rig, &bad).await;
    assert!(took < Duration::from_secs(45), "{took:?}");
    assert!(report.verdict.contains("restarted by the engine"), "{}", report.verdict);
    assert!(report.log.iter().all(|line| line == "again"), "{:?}", report.log);
}

#[tokio::test]
async fn a_wait_is_bounded() {
    let Some(rig) = rig().await else { return };
    let mut slow = checked(launch(&rig, "sleep 60", healthy(1, 300)), "exit 1");
    slow.spec.healthcheck.as_mut().unwrap().retries = Some(1000);
    let (report, took) = failure(&rig, &slow).await;
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(45), "{took:?}");
    assert!(report.verdict.starts_with("not healthy within 1s"), "{}", report.verdict);
}

#[tokio::test]
async fn a_probe_from_outside_decides_for_a_container_without_a_check() {
    let Some(rig) = rig().await else { return };
    let line = "sleep 0.5; echo hello > /index.html; httpd -f -p 80 -h /";
    let web = launch(&rig, line, probed(Some("/index.html"), 30));
    let outcome = create(&rig, &web).await.unwrap();
    let evidence = outcome.evidence.unwrap();
    assert!(evidence.starts_with("healthy for 200ms, checked "), "{evidence}");
    let seen = rig.one(&web.name).await;
    assert_eq!(seen.health, Health::Unchecked);
    assert_eq!(rig.docker.probe(&seen, &probe(None)).await, ProbeResult::Good(None));
    let nothing = rig.docker.probe(&seen, &probe(Some("/nothing"))).await;
    assert!(matches!(&nothing, ProbeResult::Bad(what) if what.ends_with("/nothing answered 404")), "{nothing:?}");
    let closed = Probe { port: 81, ..probe(None) };
    let closed = rig.docker.probe(&seen, &closed).await;
    assert!(matches!(&closed, ProbeResult::Silent(what) if what.contains("refused")), "{closed:?}");
}

#[tokio::test]
async fn an_application_that_listens_late_is_starting_and_not_unhealthy() {
    let Some(rig) = rig().await else { return };
    let mut web = launch(&rig, "sleep 2; httpd -f -p 80 -h /etc", probed(Some("/"), 30));
    if let Gate::Healthy { probe: Some(probe), .. } = &mut web.gate {
        // Three failures in a row would be over after 150 ms.
        (probe.start_period, probe.http_path) = (Duration::ZERO, None);
    }
    let evidence = create(&rig, &web).await.unwrap().evidence.unwrap();
    assert!(evidence.starts_with("healthy for 200ms"), "{evidence}");
    let said =
        |line: &str| rig.news.lock().unwrap().iter().any(|one| matches!(one, News::Line(text) if text.contains(line)));
    assert!(said("not healthy yet: ") && said("waiting for up to 30s"), "what is waited for is said");

    // A check that came too early is made again soon, and not after a whole interval.
    let mut soon =
        Launch { name: rig.name("soon"), ..launch(&rig, "sleep 0.5; httpd -f -p 80 -h /etc", probed(None, 60)) };
    if let Gate::Healthy { probe: Some(probe), .. } = &mut soon.gate {
        (probe.start_period, probe.interval) = (Duration::ZERO, Duration::from_secs(45));
    }
    let begin = Instant::now();
    create(&rig, &soon).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(45), "{:?}", begin.elapsed());
    let mut never = Launch { name: rig.name("never"), ..launch(&rig, "sleep 60", probed(None, 1)) };
    if let Gate::Healthy { probe: Some(probe), .. } = &mut never.gate {
        probe.start_period = Duration::ZERO;
    }
    let (report, _) = failure(&rig, &never).await;
    assert!(report.verdict.starts_with("not healthy within 1s ("), "{}", report.verdict);
}

#[tokio::test]
async fn a_container_that_cannot_be_reached_from_here_is_asked_from_inside_or_not_called_unhealthy() {
    let Some(rig) = rig().await else { return };
    let alone = |line: &str, name: &str| {
        let mut launch = Launch { name: rig.name(name), ..launch(&rig, line, probed(Some("/hosts"), 30)) };
        launch.spec.network_mode = Some("none".to_owned());
        launch.spec.networks.clear();
        launch
    };
    let web = alone("httpd -f -p 80 -h /etc", "web");
    let evidence = create(&rig, &web).await.unwrap().evidence.unwrap();
    assert!(evidence.ends_with("checked inside the container"), "{evidence}");
    let seen = rig.one(&web.name).await;
    let nothing = rig.docker.probe(&seen, &probe(Some("/nothing"))).await;
    assert!(matches!(&nothing, ProbeResult::Bad(what) if what.ends_with("answered 404")), "{nothing:?}");
    for path in [Some("/hosts"), None] {
        let closed = rig.docker.probe(&seen, &Probe { port: 81, ..probe(path) }).await;
        assert!(matches!(closed, ProbeResult::Silent(_)), "{closed:?}");
    }
    let open = rig.docker.probe(&seen, &probe(None)).await;
    assert!(matches!(open, ProbeResult::Good(Some(_))), "{open:?}");

    let bare = alone("rm /bin/sh; exec httpd -f -p 80 -h /etc", "bare");
    let result = create(&rig, &bare).await;
    let Err(ActError::Engine(EngineError::CheckUnreachable { why })) = &result else { panic!("{result:?}") };
    assert!(why.contains("no address on any network") && why.contains("publish the port"), "{why}");
}

#[tokio::test]
async fn a_probe_that_goes_on_failing_fails_the_gate() {
    let Some(rig) = rig().await else { return };
    let mut web = launch(&rig, "httpd -f -p 80 -h /", probed(Some("/nothing"), 60));
    if let Gate::Healthy { probe: Some(probe), .. } = &mut web.gate {
        probe.start_period = Duration::ZERO;
    }
    let (report, took) = failure(&rig, &web).await;
    assert!(took < Duration::from_secs(45), "{took:?}");
    assert!(report.verdict.contains("failed 3 times") && report.verdict.contains("404"), "{}", report.verdict);
}

#[tokio::test]
async fn a_job_is_done_when_it_ends_with_0() {
    let Some(rig) = rig().await else { return };
    let gate = || Gate::Completed { timeout: Duration::from_secs(20) };
    let good = launch(&rig, "sleep 0.3", gate());
    let outcome = create(&rig, &good).await.unwrap();
    assert!(outcome.evidence.unwrap().starts_with("completed after 0."));
    let wait = Action::AwaitInstance { container: outcome.container.unwrap(), gate: gate() };
    rig.act(wait).await.unwrap();
    assert_eq!(rig.milestones(), [Milestone::Started, Milestone::Done]);
    let bad = Launch { name: rig.name("bad"), ..launch(&rig, "echo broken; exit 4", gate()) };
    let (report, _) = failure(&rig, &bad).await;
    assert!(report.verdict.starts_with("exited (4) after"), "{}", report.verdict);
    let slow = Launch {
        name: rig.name("slow"),
        ..launch(&rig, "sleep 60", Gate::Completed { timeout: Duration::from_millis(300) })
    };
    assert_eq!(failure(&rig, &slow).await.0.verdict, "did not complete within 300ms");
}

#[tokio::test]
async fn an_instance_that_is_there_already_is_waited_for() {
    let Some(rig) = rig().await else { return };
    let id = rig.create(&rig.launch("web")).await;
    let wait = |gate| Action::AwaitInstance { container: id.clone(), gate };
    rig.act(wait(Gate::Started)).await.unwrap();
    rig.act(wait(healthy(5, 100))).await.unwrap();
    let kill = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        rig.api.kill_container(id.as_str(), None).await.unwrap();
    };
    let (result, ()) = tokio::join!(rig.act(wait(healthy(60, 30_000))), kill);
    let Err(ActError::Gate { report, .. }) = result else { panic!("{result:?}") };
    assert!(report.verdict.starts_with("exited (137) after"), "{}", report.verdict);
    let never = rig.docker.prepare(&Launch { name: rig.name("never"), ..rig.launch("never") }).await.unwrap();
    let result = rig.act(Action::AwaitInstance { container: never, gate: Gate::Started }).await;
    assert!(matches!(result, Err(ActError::Gate { .. })), "{result:?}");
}

#[tokio::test]
async fn want_of_memory_is_named() {
    let Some(rig) = rig().await else { return };
    let mut hungry = launch(&rig, "x=a; while :; do x=$x$x; done", healthy(60, 20_000));
    hungry.spec.resources.memory = Some(16 << 20);
    hungry.spec.resources.memory_swap = Some(16 << 20);
    let (report, _) = failure(&rig, &hungry).await;
    assert!(report.verdict.contains("out of memory"), "{}", report.verdict);
}

#[tokio::test]
async fn paused_stopped_and_killed_containers_come_back() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let id: ContainerId = rig.create(&launch).await;
    let update = |update: Update| Action::UpdateInstance {
        container: id.clone(),
        updates: vec![update],
        gate: healthy(20, 100),
    };
    rig.api.pause_container(id.as_str()).await.unwrap();
    assert_eq!(rig.one(&launch.name).await.status, Status::Paused);
    for _ in 0..2 {
        rig.act(update(Update::Unpause)).await.unwrap();
        assert_eq!(rig.one(&launch.name).await.status, Status::Running);
    }
    rig.api.kill_container(id.as_str(), None).await.unwrap();
    for _ in 0..2 {
        rig.act(update(Update::Start)).await.unwrap();
        assert_eq!(rig.one(&launch.name).await.status, Status::Running);
    }
    let before = rig.one(&launch.name).await.started_at;
    rig.act(update(Update::Restart { grace: Duration::from_secs(1) })).await.unwrap();
    let after = rig.one(&launch.name).await;
    assert!(after.status == Status::Running && after.started_at > before && after.id == id);
    assert_eq!(words(&["sleep", "600"]), after.spec.command.unwrap());
}
