//! Where the daemon meets what it does not rule: commits that cannot be read, an engine that is away or is exchanged, a state
//! folder that is taken from it, a repo that is another one.

use crate::relay::Relay;
use crate::rig::{applied, config, docker, inspect, instance, kinds, rig, sleeper, until};
use setpoint::daemon::Daemon;
use setpoint::engine::Engine;
use setpoint::process::error::chain;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_cannot_be_read_leaves_the_last_good_one_kept_up() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    let engine = Engine::connect(None).await.unwrap();
    let daemon = Daemon::new(config(&rig.work(), "deployments", rig.state(), engine)).unwrap();
    rig.with_daemon(daemon, async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        rig.git(&["mv", "deployments", "elsewhere"]);
        rig.git(&["commit", "-q", "-m", "moved"]);
        let moved = rig.git(&["rev-parse", "HEAD"]);
        until(handle, "the report", |status| status.revision.rejected.is_some()).await;
        let rejected = handle.status().revision.rejected.unwrap();
        assert_eq!((rejected.revision.commit.as_str(), rejected.mistakes), (moved.as_str(), 0));
        assert!(rejected.report.contains("has no folder `deployments`"), "{}", rejected.report);
        let started = || inspect(&rig.container("web"), "{{.State.StartedAt}} {{.State.Running}}").unwrap();
        for _ in 0..2 {
            let before = started();
            docker(&["kill", &rig.container("web")]);
            until(handle, "it runs again", |_| started() != before && started().ends_with("true")).await;
            until(handle, "rest", |status| status.applying.is_none() && status.problem.is_none()).await;
        }
        assert_eq!(kinds(handle).await.iter().filter(|kind| *kind == "revision_rejected").count(), 1);
        rig.git(&["mv", "elsewhere", "deployments"]);
        let back = rig.commit("back", &[sleeper("web", "env: {A: b}")]);
        until(handle, "the next good commit", |status| applied(status, &back)).await;
        assert!(handle.status().revision.rejected.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_never_have_one_state_folder() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        let engine = Engine::connect(None).await.unwrap();
        let error = chain(&Daemon::new(config(&rig.work(), "", rig.state(), engine)).err().unwrap());
        assert!(error.contains("another daemon works with the state folder"), "{error}");
    })
    .await;
    // It is free again.
    drop(rig.daemon().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_folder_ends_the_daemon_before_it_changes_anything_more() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    let daemon = rig.daemon().await;
    let (handle, stop) = (daemon.handle(), CancellationToken::new());
    let _ends = stop.clone().drop_guard();
    let running = daemon.run(
        stop.clone(),
        [|_, stop: CancellationToken| async move {
            stop.cancelled().await;
            Ok(())
        }],
    );
    let work = async {
        until(&handle, "the first commit", |status| applied(status, &first)).await;
        std::fs::remove_dir_all(rig.state()).unwrap();
        // Made again at once, as a second daemon would: the path is there, and it is not the folder.
        std::fs::create_dir(rig.state()).unwrap();
        std::fs::write(rig.state().join("setpoint.db"), "").unwrap();
        rig.commit("second", &[sleeper("web", "env: {A: b}")]);
    };
    let before = async {
        let (ended, ()) = futures_util::join!(running, work);
        chain(&ended.unwrap_err())
    };
    let error = tokio::time::timeout(Duration::from_secs(60), before).await.expect("it goes on without its state");
    assert!(error.contains("removed or replaced"), "{error}");
    let env = inspect(&rig.container("web"), "{{.Config.Env}}").unwrap();
    assert!(!env.contains("A=b"), "the second commit was applied all the same: {env}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_at_the_start_is_waited_for() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    let relay = Relay::start().await;
    relay.stop().await;
    let engine = Engine::at(Some(&relay.endpoint())).unwrap();
    let daemon = Daemon::new(config(&rig.work(), "", rig.state(), engine)).unwrap();
    rig.with_daemon(daemon, async |handle| {
        until(handle, "the problem", |status| status.problem.as_ref().is_some_and(|it| it.contains("does not answer")))
            .await;
        assert_eq!(handle.status().engine.reachable, Some(false));
        let relay = relay.again().await;
        until(handle, "the first commit", |status| applied(status, &first)).await;
        assert!(handle.status().problem.is_none());
        relay.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_upgraded_under_the_daemon_is_followed() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    let relay = Relay::start().await;
    let engine = Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let daemon = Daemon::new(config(&rig.work(), "", rig.state(), engine)).unwrap();
    rig.with_daemon(daemon, async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        // On connections that stay open, and then once more after a break.
        relay.upgrade();
        let second = rig.commit("second", &[sleeper("web", "env: {A: b}")]);
        until(handle, "a commit after the upgrade", |status| applied(status, &second)).await;
        let relay = relay.again().await;
        let before = inspect(&rig.container("web"), "{{.State.StartedAt}}");
        docker(&["kill", &rig.container("web")]);
        until(handle, "the repair", |_| inspect(&rig.container("web"), "{{.State.StartedAt}}") != before).await;
        until(handle, "rest", |status| instance(status, "web").is_some_and(|it| it.state == "running")).await;
        relay.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_takes_an_environment_over_only_when_it_is_told_to() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| until(handle, "the first commit", |status| applied(status, &first)).await).await;
    let fork = rig.work().with_file_name("fork");
    rig.git(&["clone", "-q", ".", fork.to_str().unwrap()]);
    let in_fork = |args: &[&str]| {
        let status = std::process::Command::new("git").arg("-C").arg(&fork).args(args).status().unwrap();
        assert!(status.success(), "{args:?}");
    };
    // A clone is the same repo; with another origin it is a fork.
    in_fork(&["remote", "set-url", "origin", "/elsewhere/fork.git"]);
    let engine = Engine::connect(None).await.unwrap();
    let daemon = Daemon::new(config(&fork, "", rig.state(), engine.clone())).unwrap();
    rig.with_daemon(daemon, async |handle| {
        until(handle, "the refusal", |status| status.revision.rejected.is_some()).await;
        let report = handle.status().revision.rejected.unwrap().report;
        assert!(report.contains("--adopt") && report.contains("same first commit"), "{report}");
    })
    .await;
    let mut adopts = config(&fork, "", rig.state(), engine);
    adopts.adopt = true;
    rig.with_daemon(Daemon::new(adopts).unwrap(), async |handle| {
        until(handle, "the takeover", |status| applied(status, &first)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_being_shut_down_is_not_pressed_and_what_it_stopped_comes_back() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| until(handle, "the first commit", |status| applied(status, &first)).await).await;
    // A daemon that has done nothing yet: the first try of a repair is not delayed.
    let relay = Relay::start().await;
    let engine = Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let daemon = Daemon::new(config(&rig.work(), "", rig.state(), engine)).unwrap();
    rig.with_daemon(daemon, async |handle| {
        until(handle, "a look", |status| instance(status, "web").is_some_and(|it| it.state == "running")).await;
        relay.close(true);
        docker(&["kill", &rig.container("web")]);
        until(handle, "a refused start", |_| relay.refused_starts() > 0).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let refused = relay.refused_starts();
        assert!((2..=3).contains(&refused), "{refused} starts within four seconds");
        relay.close(false);
        until(handle, "the repair", |_| inspect(&rig.container("web"), "{{.State.Running}}").unwrap() == "true").await;
        until(handle, "rest", |status| instance(status, "web").is_some_and(|it| it.state == "running")).await;
    })
    .await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_write_is_asked_of_the_daemon() {
    use futures_util::StreamExt;
    use setpoint::daemon::LogsOf;
    let Some(rig) = rig() else { return };
    let talks = sleeper("web", "").replace("[sleep, \"600\"]", "[sh, \"-c\", \"echo one; echo two >&2; sleep 600\"]");
    let first = rig.commit("first", &[talks]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        let of = LogsOf { name: format!("{}/web", rig.name), ..LogsOf::default() };
        let (containers, lines) = rig.client().logs(&of).await.unwrap();
        assert_eq!(containers.len(), 1, "{containers:?}");
        let mut lines: Vec<String> = lines.map(|line| line.unwrap().text).collect().await;
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        let none = LogsOf { name: "none".to_owned(), ..LogsOf::default() };
        assert!(rig.client().logs(&none).await.is_err());
        // One that is followed ends with the daemon, and keeps nobody from ending.
        let (_, mut followed) = rig.client().logs(&LogsOf { follow: true, ..of }).await.unwrap();
        assert_eq!(followed.next().await.unwrap().unwrap().container, containers[0]);
    })
    .await;
}
