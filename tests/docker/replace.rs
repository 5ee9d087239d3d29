//! Replacement: the old container serves until the new one has proved itself, and comes back when it does not.

use crate::support::{Rig, healthy, rig, shell, words};
use setpoint::engine::{ActError, Interrupt, Interruption, Outcome};
use setpoint::model::{Attachment, ContainerId, PortBinding, Protocol, Restart, Status};
use setpoint::plan::{Action, Gate, Launch, Milestone, Update};
use std::time::{Duration, Instant};

async fn replace(
    rig: &Rig,
    old: &ContainerId,
    launch: &Launch,
    stop_first: bool,
    rollback: bool,
) -> Result<Outcome, ActError> {
    rig.act(Action::ReplaceInstance {
        old: old.clone(),
        launch: Box::new(launch.clone()),
        stop_first,
        grace: Duration::from_secs(1),
        rollback,
    })
    .await
}

/// The same instance with another setting.
fn newer(rig: &Rig, launch: &Launch) -> Launch {
    let mut spec = launch.spec.clone();
    spec.env.insert("VERSION".to_owned(), "2".to_owned());
    Launch { name: launch.name.clone(), gate: healthy(20, 200), ..rig.launch_of("web", spec) }
}

/// A new version whose process ends by itself.
fn broken(rig: &Rig, launch: &Launch) -> Launch {
    let mut new = newer(rig, launch);
    new.spec.command = shell("echo cannot open the database; exit 7");
    new
}

fn running(status: Status) -> bool {
    status == Status::Running
}

#[tokio::test]
async fn the_new_container_takes_name_and_place() {
    let Some(rig) = rig().await else { return };
    for stop_first in [false, true] {
        let mut launch = rig.launch("web");
        launch.name = rig.name(if stop_first { "stop" } else { "start" });
        let old = rig.create(&launch).await;
        let new = newer(&rig, &launch);
        let outcome = replace(&rig, &old, &new, stop_first, true).await.unwrap();
        assert_eq!(rig.milestones(), [Milestone::Started, Milestone::Done]);
        assert!(outcome.evidence.unwrap().starts_with("running for 200ms"));
        let seen = rig.one(&launch.name).await;
        assert_eq!(Some(&seen.id), outcome.container.as_ref());
        assert_ne!(seen.id, old);
        assert!(running(seen.status));
        assert_eq!(seen.spec, rig.made_of(&new.spec));
    }
    assert_eq!(rig.names().await, [rig.name("start"), rig.name("stop")]);
}

#[tokio::test]
async fn a_failing_new_version_leaves_the_old_one_serving() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let old = rig.create(&launch).await;
    let started_at = rig.one(&launch.name).await.started_at;
    for stop_first in [false, true] {
        let error = replace(&rig, &old, &broken(&rig, &launch), stop_first, true).await.unwrap_err();
        let ActError::Gate { report, rolled_back: true } = error else { panic!("{error}") };
        assert!(report.verdict.starts_with("exited (7) after"), "{}", report.verdict);
        assert_eq!(report.log, ["cannot open the database"]);
        let seen = rig.one(&launch.name).await;
        assert_eq!((&seen.id, seen.status), (&old, Status::Running));
        // Started first, the new one never touched the old one.
        assert_eq!(seen.started_at == started_at, !stop_first);
        assert_eq!(rig.names().await, [launch.name.as_str()]);
    }
}

#[tokio::test]
async fn without_rollback_the_new_one_takes_the_place_all_the_same() {
    let Some(rig) = rig().await else { return };
    for stop_first in [false, true] {
        let mut launch = rig.launch("web");
        launch.name = rig.name(if stop_first { "stop" } else { "start" });
        let old = rig.create(&launch).await;
        let error = replace(&rig, &old, &broken(&rig, &launch), stop_first, false).await.unwrap_err();
        assert!(matches!(error, ActError::Gate { rolled_back: false, .. }), "{error}");
        assert_ne!(rig.one(&launch.name).await.id, old);
        assert!(rig.names().await.iter().all(|name| !name.ends_with(".prev") && !name.ends_with(".next")));
    }
}

#[tokio::test]
async fn whatever_fails_the_old_one_comes_back() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let old = rig.create(&launch).await;
    for stop_first in [false, true] {
        let mut no_image = newer(&rig, &launch);
        no_image.spec.image = rig.name("nowhere");
        let mut no_program = newer(&rig, &launch);
        no_program.spec.command = Some(words(&["/no/such/program"]));
        let mut no_network = newer(&rig, &launch);
        no_network.spec.networks.insert(rig.name("nowhere"), Attachment::default());
        for new in [no_image, no_program, no_network] {
            let error = replace(&rig, &old, &new, stop_first, true).await.unwrap_err();
            assert!(matches!(error, ActError::Engine(_)), "{error}");
            let seen = rig.one(&launch.name).await;
            assert_eq!((&seen.id, seen.status), (&old, Status::Running));
            assert_eq!(rig.names().await, [launch.name.as_str()]);
        }
    }
}

#[tokio::test]
async fn an_interruption_ends_the_wait_and_puts_the_old_one_back() {
    let Some(mut rig) = rig().await else { return };
    let launch = rig.launch("web");
    let old = rig.create(&launch).await;
    for (stop_first, why) in [(false, Interruption::Superseded), (true, Interruption::Stopped)] {
        let mut new = newer(&rig, &launch);
        new.gate = healthy(120, 60_000);
        rig.interrupt = Interrupt::default();
        let begin = Instant::now();
        let end = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            match why {
                Interruption::Superseded => rig.interrupt.superseded.cancel(),
                Interruption::Stopped => rig.interrupt.stop.cancel(),
            }
        };
        let (result, ()) = tokio::join!(replace(&rig, &old, &new, stop_first, false), end);
        assert!(matches!(result, Err(ActError::Interrupted(reason)) if reason == why), "{result:?}");
        assert!(begin.elapsed() < Duration::from_secs(45));
        let seen = rig.one(&launch.name).await;
        assert_eq!((&seen.id, seen.status), (&old, Status::Running));
        assert_eq!(rig.names().await, [launch.name.as_str()]);
    }
}

/// Its fix must reach a container that fails all the time, also while the engine pauses before the next try.
#[tokio::test]
async fn one_that_ends_again_and_again_is_replaced_and_renamed() {
    let Some(rig) = rig().await else { return };
    let mut fails = rig.launch("web");
    fails.spec.command = Some(words(&["false"]));
    fails.spec.restart = Restart::Always;
    let pauses = async |name: &str| {
        let deadline = Instant::now() + Duration::from_secs(40);
        // The pauses grow from a tenth of a second on.
        loop {
            let seen = rig.one(name).await;
            if seen.restart_count > 3 && seen.status == Status::Restarting {
                return seen.id;
            }
            assert!(Instant::now() < deadline, "it is never between two tries: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    for stop_first in [false, true] {
        fails.name = rig.name(if stop_first { "stop" } else { "start" });
        rig.create(&fails).await;
        let old = pauses(&fails.name).await;
        let new = newer(&rig, &Launch { name: fails.name.clone(), ..rig.launch("web") });
        let outcome = replace(&rig, &old, &new, stop_first, true).await.unwrap();
        let seen = rig.one(&fails.name).await;
        assert_eq!((Some(&seen.id), seen.status), (outcome.container.as_ref(), Status::Running));
    }
    fails.name = rig.name("name");
    rig.create(&fails).await;
    let id = pauses(&fails.name).await;
    let rename = Update::Rename(rig.name("other"));
    let update = Action::UpdateInstance { container: id.clone(), updates: vec![rename], gate: Gate::Started };
    rig.act(update).await.unwrap();
    let count = rig.one(&rig.name("other")).await.restart_count;
    let deadline = Instant::now() + Duration::from_secs(20);
    while rig.one(&rig.name("other")).await.restart_count <= count.min(1) {
        assert!(Instant::now() < deadline, "the engine goes on restarting it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.names().await, [rig.name("other"), rig.name("start"), rig.name("stop")]);
}

#[tokio::test]
async fn one_host_port_goes_from_the_old_to_the_new() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    let host_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    launch.spec.ports.insert(PortBinding {
        container_port: 80,
        protocol: Protocol::Tcp,
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(host_port),
    });
    let old = rig.create(&launch).await;
    let new = newer(&rig, &launch);
    // A plan that overlooked the port: the old one goes on.
    let error = replace(&rig, &old, &new, false, true).await.unwrap_err();
    let ActError::Engine(error) = error else { panic!("{error}") };
    assert!(error.hint().unwrap().contains("choose another port"), "{error:?}");
    assert_eq!(rig.one(&launch.name).await.id, old);
    let outcome = replace(&rig, &old, &new, true, true).await.unwrap();
    assert_eq!(Some(rig.one(&launch.name).await.id), outcome.container);
}

#[tokio::test]
async fn network_aliases_and_a_fixed_address_move_along() {
    let Some(rig) = rig().await else { return };
    let mut network = crate::network::network(&rig.name("a"));
    network.subnet = Some(rig.subnet());
    rig.act(Action::CreateNetwork { network, deployment: rig.deployment() }).await.unwrap();
    let mut launch = rig.launch("web");
    launch.spec.hostname = Some("web".to_owned());
    let attachment = Attachment { aliases: ["api".to_owned()].into(), ipv4: Some(rig.address(9)), ipv6: None };
    launch.spec.networks.insert(rig.name("a"), attachment);
    let old = rig.create(&launch).await;
    assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
    let new = newer(&rig, &launch);
    replace(&rig, &old, &new, true, true).await.unwrap();
    let seen = rig.one(&launch.name).await;
    assert_eq!(seen.spec, rig.made_of(&new.spec));
    assert_eq!(seen.addresses[&rig.name("a")].ip.to_string(), rig.address(9));
}

#[tokio::test]
async fn a_renamed_old_container_is_replaced_under_the_right_name() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let mut misnamed = launch.clone();
    misnamed.name = rig.name("other");
    let old = rig.create(&misnamed).await;
    replace(&rig, &old, &newer(&rig, &launch), false, true).await.unwrap();
    assert_eq!(rig.names().await, [launch.name]);
}

#[tokio::test]
async fn an_old_container_under_the_name_of_a_new_one_is_not_lost() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let old = rig.create(&Launch { name: format!("{}.next", launch.name), ..launch.clone() }).await;
    let error = replace(&rig, &old, &broken(&rig, &launch), true, true).await.unwrap_err();
    assert!(matches!(error, ActError::Gate { rolled_back: true, .. }), "{error}");
    let seen = rig.one(&launch.name).await;
    assert_eq!((seen.id, seen.status), (old, Status::Running));
    assert_eq!(rig.names().await, [launch.name.as_str()]);
}

#[tokio::test]
async fn an_interrupted_replacement_can_be_done_again() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let old = rig.create(&launch).await;
    let new = newer(&rig, &launch);
    // Interrupted after the new one was made.
    let half = Launch { name: format!("{}.next", launch.name), ..new.clone() };
    rig.docker.prepare(&half).await.unwrap();
    let id = replace(&rig, &old, &new, true, true).await.unwrap().container.unwrap();
    assert_eq!(rig.names().await, [launch.name.as_str()]);
    // Interrupted after the new one got its name and before the old one went.
    let older = Launch { name: format!("{}.prev", launch.name), ..launch.clone() };
    let left = rig.create(&older).await;
    let outcome = replace(&rig, &left, &new, true, true).await.unwrap();
    assert_eq!(outcome.container, Some(id));
    assert_eq!(rig.names().await, [launch.name.as_str()]);
}

/// The new version had its name already, and turns out to be bad: the old one is put back, as if nothing had come between.
#[tokio::test]
async fn an_interrupted_replacement_by_a_bad_version_puts_the_old_one_back() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let older = Launch { name: format!("{}.prev", launch.name), ..launch.clone() };
    let old = rig.create(&older).await;
    rig.api.stop_container(old.as_str(), None).await.unwrap();
    let bad = broken(&rig, &launch);
    rig.docker.prepare(&bad).await.unwrap();
    let error = replace(&rig, &old, &bad, true, true).await.unwrap_err();
    assert!(matches!(error, ActError::Gate { rolled_back: true, .. }), "{error:?}");
    assert_eq!(rig.names().await, [launch.name.as_str()]);
    let seen = rig.one(&launch.name).await;
    assert_eq!((seen.id, seen.status), (old, Status::Running));
}

/// The daemon may be killed at any moment. What the engine was asked for last goes on, and the step is done again.
#[tokio::test]
async fn a_step_that_was_cut_anywhere_ends_well_when_it_is_done_again() {
    let Some(rig) = rig().await else { return };
    for cut in [1, 10, 60, 250] {
        for stop_first in [false, true] {
            let mut launch = rig.launch("web");
            launch.name = rig.name(&format!("cut{cut}-{stop_first}"));
            launch.spec.networks.insert(rig.name("a"), Attachment::default());
            launch.spec.networks.insert("bridge".to_owned(), Attachment::default());
            if cut == 1 && !stop_first {
                crate::network::create(&rig, &rig.name("a")).await;
            }
            let create = || rig.act(Action::CreateInstance(Box::new(launch.clone())));
            let _ = tokio::time::timeout(Duration::from_millis(cut), create()).await;
            let old = create().await.unwrap().container.unwrap();
            assert_eq!(rig.one(&launch.name).await.spec, rig.made_of(&launch.spec));
            let mut new = newer(&rig, &launch);
            new.gate = healthy(30, 50);
            let _ = tokio::time::timeout(Duration::from_millis(cut), replace(&rig, &old, &new, stop_first, true)).await;
            // Cut at its very end, there is nothing left to do but to see that it was done.
            if rig.look().await.containers.iter().any(|one| one.id == old) {
                replace(&rig, &old, &new, stop_first, true).await.unwrap();
            }
            let seen = rig.one(&launch.name).await;
            assert_eq!(
                (seen.status, &seen.spec),
                (Status::Running, &rig.made_of(&new.spec)),
                "cut after {cut} ms, {stop_first}"
            );
            assert_eq!(rig.names().await, [launch.name.as_str()]);
            rig.act(Action::RemoveInstance { container: seen.id, grace: Duration::ZERO }).await.unwrap();
        }
    }
}

#[tokio::test]
async fn leftovers_are_discarded_or_restored() {
    let Some(rig) = rig().await else { return };
    let launch = rig.launch("web");
    let next = rig.create(&Launch { name: format!("{}.next", launch.name), ..launch.clone() }).await;
    let prev = rig.docker.prepare(&Launch { name: format!("{}.prev", launch.name), ..launch.clone() }).await.unwrap();
    let restore = Action::RestoreInstance { container: prev.clone(), name: launch.name.clone() };
    for _ in 0..2 {
        rig.act(Action::DiscardLeftover { container: next.clone() }).await.unwrap();
        rig.act(restore.clone()).await.unwrap();
        assert_eq!(rig.names().await, [launch.name.as_str()]);
        let seen = rig.one(&launch.name).await;
        assert_eq!((&seen.id, seen.status), (&prev, Status::Running));
    }
    // It is no leftover any more.
    assert!(matches!(rig.act(Action::DiscardLeftover { container: prev }).await, Err(ActError::Stale(_))));
    assert_eq!(rig.names().await, [launch.name]);
}

#[tokio::test]
async fn a_replaced_job_completes() {
    let Some(rig) = rig().await else { return };
    let mut launch = rig.launch("web");
    launch.spec.command = Some(words(&["true"]));
    launch.gate = Gate::Completed { timeout: Duration::from_secs(20) };
    let old = rig.create(&launch).await;
    let mut new = newer(&rig, &launch);
    new.gate = launch.gate.clone();
    replace(&rig, &old, &new, true, true).await.unwrap();
    let mut failing = new.clone();
    failing.spec.command = shell("exit 2");
    let old = rig.one(&launch.name).await.id;
    let error = replace(&rig, &old, &failing, true, true).await.unwrap_err();
    assert!(matches!(error, ActError::Gate { rolled_back: true, .. }), "{error}");
    // The old one had ended, and is not started again.
    let seen = rig.one(&launch.name).await;
    assert_eq!((seen.id, seen.status), (old, Status::Exited { code: 0, oom: false }));
}
