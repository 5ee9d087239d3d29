//! Telling the end to an orchestrator that is not there yet, or does not want it yet.

use super::*;
use std::sync::Arc;

#[tokio::test]
async fn the_end_is_told_again_until_the_orchestrator_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let address = TaskAddress::Unix(folder.path().join("orchestrator.sock").display().to_string());
    let there = address.clone();
    let runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned()];
        settings.orchestrator = Some(there);
    })
    .await;
    for task in ["one", "two"] {
        runs.start(task, json!({})).await.unwrap();
        // It is idle again although nobody has acknowledged.
        while runs.channel.status(&any(task), BOUND).await.unwrap().elapsed.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let (_, mut notices) = orchestrator(&address).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(tokio::time::timeout(BOUND, notices.recv()).await.unwrap().unwrap().task_id);
    }
    told.sort();
    assert_eq!(told, ["one", "two"]);
}

#[tokio::test]
async fn a_refused_notice_is_told_again_and_holds_up_no_other() {
    let listener = Listener::bind(&anywhere(), None).await.unwrap();
    let address = listener.address().clone();
    let (taken, mut notices) = mpsc::channel(64);
    let tries = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&tries);
    let served = NoticeServer {
        notice: move |notice: EndNotice| {
            if notice.task_id == "one" && seen.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err(NotTaken::Unknown);
            }
            taken.try_send(notice.task_id).map_err(|_| NotTaken::Full)
        },
        health: || Health { running: true, time: Duration::ZERO },
        max_notice: LIMIT,
    };
    spawn(async move { served.serve(listener, BOUND, std::future::pending()).await.unwrap() });
    let runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned()];
        settings.orchestrator = Some(address);
    })
    .await;
    runs.start("one", json!({})).await.unwrap();
    while runs.start("two", json!({})).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tokio::time::timeout(BOUND, notices.recv()).await.unwrap().unwrap(), "two");
    assert_eq!(tokio::time::timeout(BOUND, notices.recv()).await.unwrap().unwrap(), "one");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn patience_ends() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned()];
        settings.orchestrator = Some(TaskAddress::Unix("/nonexistent/orchestrator.sock".to_owned()));
        settings.patience = Duration::from_millis(300);
    })
    .await;
    runs.start("t", json!({})).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let begin = tokio::time::Instant::now();
    runs.close().await;
    assert!(begin.elapsed() < Duration::from_secs(2), "nothing is left to be told: {:?}", begin.elapsed());
}

#[tokio::test]
async fn ends_travel_in_the_form_in_which_the_start_came() {
    let mut runs = Runs::one("echo").await;
    let parameters = json!({"n": 5, "o": {"a": 1}});
    let older = PreparedStart::new(&start("t", parameters.clone()), TaskProtocol::Map);
    runs.channel.start(&older, BOUND).await.unwrap();
    let told = runs.end().await.output(TaskProtocol::Map, LIMIT).unwrap();
    assert_eq!(told, Some(json!({"n": "5", "o": "{\"a\":1}", "task_id": "t"})));
    let mut unmarked = start("t", object(parameters).into());
    unmarked.priority = 0;
    let older = PreparedStart::new(&unmarked, TaskProtocol::Map);
    runs.channel.start(&older, BOUND).await.unwrap();
    assert!(runs.end().await.output(TaskProtocol::Map, LIMIT).unwrap().is_some(), "without a priority too");
    let mut runs = Runs::one("sleep").await;
    let older = PreparedStart::new(&start("t", json!({"ms": 3})), TaskProtocol::Map);
    runs.channel.start(&older, BOUND).await.unwrap();
    assert_eq!(runs.end().await.result, TaskResult::Success, "a text is a number too");
}
