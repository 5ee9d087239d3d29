//! An apply that is asked of the daemon, over its socket.

use crate::rig::{applied, instance, kinds, rig, sleeper, until};
use setpoint::api::ClientError;
use setpoint::api::dto::{ApplyOrder, StepResult};
use setpoint::daemon::Handle;
use std::time::Duration;

/// A new version of `web` that is found to be unhealthy after three seconds.
fn sick() -> String {
    sleeper("web", "healthcheck: {command: \"false\", interval: 1, timeout: 1, retries: 3}")
}

fn order(plan: &str, allow: &[&str]) -> ApplyOrder {
    ApplyOrder { plan: plan.to_owned(), allow: allow.iter().map(|text| (*text).to_owned()).collect() }
}

/// What the daemon says when it refuses.
fn refusal(error: ClientError) -> (u16, String) {
    let ClientError::Refused { status, problem } = error else { panic!("{error}") };
    (status, problem.error)
}

/// The plan that a refusal names.
fn named(error: ClientError) -> String {
    let (status, text) = refusal(error);
    assert!(status == 409 && text.contains("is stale, nothing was changed; the plan is now "), "{status} {text}");
    text.split_whitespace().last().unwrap().to_owned()
}

async fn failures(handle: &Handle) -> usize {
    kinds(handle).await.iter().filter(|kind| *kind == "step_failed").count()
}

async fn quarantined(handle: &Handle) {
    until(handle, "the quarantine", |status| {
        status.applying.is_none() && instance(status, "web").is_some_and(|it| it.quarantined.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_lifted_for_the_plan_that_was_asked_for_and_for_no_later_look() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        rig.commit(
            "broken",
            &[sleeper("web", "restart: \"no\"").replace("[sleep, \"600\"]", "[sh, \"-c\", \"exit 3\"]")],
        );
        quarantined(handle).await;
        let (client, retry) = (rig.client(), format!("retry:{}/web", rig.name));
        // Another plan is not carried out, and named.
        let due = named(client.apply(&order("000000000000", &[&retry])).await.unwrap_err());
        let held = handle.status().plan.unwrap();
        assert_ne!(due, held, "with the guard it is another plan");
        assert_eq!(named(client.apply(&order(&due, &[])).await.unwrap_err()), held, "without the guard");
        let other = format!("retry:{}/other", rig.name);
        assert_eq!(named(client.apply(&order(&due, &[&other])).await.unwrap_err()), held, "with another one");
        assert_eq!(failures(handle).await, 1, "nothing was tried");

        let carried = client.apply(&order(&due, &[&retry])).await.unwrap();
        assert!(carried.plan.starts_with(&due));
        assert_eq!((carried.done, carried.failed, carried.skipped), (0, 1, 0), "{carried:?}");
        let StepResult::Failed { rolled_back: true, report: Some(report), .. } = &carried.steps[0].result else {
            panic!("{carried:?}")
        };
        assert!(report.verdict.contains("exited (3)"), "{report:?}");
        assert_eq!(failures(handle).await, 2);
        // Later looks are as before.
        for _ in 0..3 {
            client.poke().await.unwrap();
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        assert_eq!((failures(handle).await, handle.status().held.len()), (2, 1), "{:?}", handle.status());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_apply_is_asked_for_at_a_time_and_goes_on_without_its_caller() {
    let Some(rig) = rig() else { return };
    let first = rig.commit("first", &[sleeper("web", "")]);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        rig.commit("sick", &[sick()]);
        quarantined(handle).await;
        let due = named(rig.client().apply(&order("000000000000", &["retry"])).await.unwrap_err());
        let (client, asked) = (rig.client(), order(&due, &["retry"]));
        let caller = tokio::spawn(async move { client.apply(&asked).await });
        until(handle, "it is carried out", |status| status.applying.is_some()).await;
        let (status, text) = refusal(rig.client().apply(&order(&due, &["retry"])).await.unwrap_err());
        assert!(status == 409 && text.contains("is not through"), "{status} {text}");
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        quarantined(handle).await;
        assert_eq!(failures(handle).await, 2, "it went to its end");
        let now = handle.status().plan.unwrap();
        assert_eq!(named(rig.client().apply(&order("000000000000", &[])).await.unwrap_err()), now, "the next is taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_before_the_next_try_is_tried_when_a_person_asks() {
    let Some(rig) = rig() else { return };
    rig.commit("no image", &[format!("{{id: web, image: \"127.0.0.1:1/{}:1\"}}", rig.name)]);
    rig.with(async |handle| {
        let waits = |status: &setpoint::daemon::status::Status| {
            status.applying.is_none() && status.waiting.iter().any(|it| it.tried >= 3)
        };
        until(handle, "it waits for seconds", waits).await;
        let plan = handle.status().plan.unwrap();
        let carried = rig.client().apply(&order(&plan, &[])).await.unwrap();
        assert_eq!(carried.failed, 1, "{carried:?}");
    })
    .await;
}
