//! Commits come in, the host follows.

use crate::rig::{applied, docker, inspect, instance, kinds, rig, sleeper, until};
use setpoint::daemon::why::End;
use setpoint::model::{CommitId, DeploymentName};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_converges_and_the_next_one_replaces() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", ""), sleeper("api", "depends_on: [web]")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        assert_eq!(inspect(&rig.container("api"), "{{.State.Running}}").as_deref(), Some("true"));
        let old = inspect(&rig.container("web"), "{{.Id}}");
        let second = rig.commit("second", &[sleeper("web", "env: {A: b}"), sleeper("api", "depends_on: [web]")]);
        until(handle, "the second commit", |status| applied(status, &second)).await;
        assert_ne!(inspect(&rig.container("web"), "{{.Id}}"), old);
        let third = rig.commit("third", &[sleeper("web", "env: {A: b}")]);
        until(handle, "the third commit", |status| applied(status, &third)).await;
        assert_eq!(inspect(&rig.container("api"), "{{.Id}}"), None, "it is no longer in git");
        assert!(instance(&handle.status(), "api").is_none());
        let id = instance(&handle.status(), "web").unwrap().instance.clone();
        let why = handle.why(&id).unwrap();
        assert_eq!(why.links.len(), 2, "{:?}", why.links);
        let last = why.links.last().unwrap();
        assert_eq!((last.action.as_str(), last.summary.as_deref()), ("replace", Some("second")));
        assert!(last.changes[0].contains("deployments/shop.yaml:"), "{:?}", last.changes);
        assert!(matches!(last.end, End::Done { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_validate_changes_nothing() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        let bad = rig.commit_text("bad", "deployment:\n  name: x\n  servces: []\n");
        until(handle, "the report", |status| status.revision.rejected.is_some()).await;
        let rejected = handle.status().revision.rejected.unwrap();
        assert_eq!(rejected.revision.commit, CommitId::new(bad));
        assert!(rejected.report.contains("servces"), "{}", rejected.report);
        docker(&["kill", &rig.container("web")]);
        until(handle, "the old one is still kept", |status| {
            instance(status, "web").is_some_and(|it| it.state == "running") && status.reconciled_at.is_some()
        })
        .await;
        let good = rig.commit("good", &[sleeper("web", "env: {A: b}")]);
        until(handle, "the good commit", |status| applied(status, &good)).await;
        assert!(handle.status().revision.rejected.is_none());
        assert_eq!(kinds(handle).await.iter().filter(|kind| *kind == "revision_rejected").count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_leaves_the_old_one_serving() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        let old = inspect(&rig.container("web"), "{{.Id}}");
        let broken = sleeper("web", "").replace("[sleep, \"600\"]", "[sh, \"-c\", \"echo boom; exit 3\"]");
        rig.commit("broken", &[broken]);
        until(handle, "the quarantine", |status| {
            status.applying.is_none() && instance(status, "web").is_some_and(|it| it.quarantined.is_some())
        })
        .await;
        assert_eq!(inspect(&rig.container("web"), "{{.Id}} {{.State.Running}}"), old.map(|id| format!("{id} true")));
        let id = instance(&handle.status(), "web").unwrap().instance.clone();
        let why = handle.why(&id).unwrap();
        let End::Failed { report: Some(report), rolled_back: true, .. } = &why.links.last().unwrap().end else {
            panic!("{:?}", why.links)
        };
        assert!(report.log.iter().any(|line| line.contains("boom")), "{report:?}");
        let tries = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "step_failed").count();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(tries(&kinds(handle).await), 1, "it is not tried again");
        let fixed = rig.commit("fixed", &[sleeper("web", "env: {A: fixed}")]);
        until(handle, "the fix", |status| applied(status, &fixed)).await;
        assert!(instance(&handle.status(), "web").unwrap().quarantined.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_commit_supersedes_a_wait_for_health() {
    let Some(rig) = rig() else { return };
    let never = "healthcheck: {command: \"false\", interval: 60, timeout: 1, retries: 9, start_period: 60}";
    rig.commit("waits", &[sleeper("web", never)]);
    rig.with(async |handle| {
        until(handle, "the wait", |status| status.applying.as_ref().is_some_and(|it| !it.running.is_empty())).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let second = rig.commit("second", &[sleeper("web", "")]);
        let took = until(handle, "the second commit", |status| applied(status, &second)).await;
        assert!(took < Duration::from_secs(10), "{took:?}: the timeout of the first would be 20 s");
        let status = handle.status();
        assert!(instance(&status, "web").unwrap().quarantined.is_none(), "to be superseded is no failure");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_although_the_branch_is_gone() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| until(handle, "the first commit", |status| applied(status, &first)).await).await;
    rig.git(&["branch", "-m", "main", "gone"]);
    docker(&["rm", "-f", &rig.container("web")]);
    rig.with(async |handle| {
        until(handle, "the repair", |status| instance(status, "web").is_some_and(|it| it.state == "running")).await;
        until(handle, "the loss is shown", |status| status.source.reachable == Some(false)).await;
        let status = handle.status();
        assert_eq!(status.revision.wanted.unwrap().commit, CommitId::new(first));
        assert!(status.source.error.unwrap().contains("main"));
        rig.git(&["branch", "-m", "gone", "main"]);
        let second = rig.commit("second", &[sleeper("web", "env: {A: b}")]);
        handle.poke();
        until(handle, "the second commit", |status| applied(status, &second)).await;
        assert_eq!(handle.status().source.reachable, Some(true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_deployment_is_left_alone() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        let name = DeploymentName::new(rig.name.clone());
        assert!(handle.suspend(&name).unwrap());
        until(handle, "the hold", |status| status.deployments.iter().any(|it| it.suspended)).await;
        docker(&["kill", &rig.container("web")]);
        until(handle, "the death", |status| instance(status, "web").is_some_and(|it| it.state.starts_with("exited")))
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(inspect(&rig.container("web"), "{{.State.Running}}").as_deref(), Some("false"));
        assert!(handle.resume(&name).unwrap());
        until(handle, "the start", |status| instance(status, "web").is_some_and(|it| it.state == "running")).await;
    })
    .await;
}
