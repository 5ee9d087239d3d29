use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

fn supervisor() -> Supervisor {
    Supervisor::new(CancellationToken::new())
}

#[tokio::test]
async fn an_essential_task_takes_everything_along() {
    let tasks = supervisor();
    let stop = tasks.stop_token();
    tasks.spawn("waits", Policy::Essential, move || {
        let stop = stop.clone();
        async move {
            stop.cancelled().await;
            Ok(())
        }
    });
    tasks.spawn("breaks", Policy::Essential, || async { Err("no more".into()) });
    let lost = tasks.run(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(lost, Lost::Essential { task: "breaks".to_owned(), error: "no more".to_owned() });
}

/// Who waits for something that another task says ends with it, and often before it; the cause is what is reported.
#[tokio::test]
async fn a_task_whose_counterpart_is_gone_hides_no_cause() {
    for is_reported in [true, false] {
        let tasks = supervisor();
        let (says, hears) = tokio::sync::watch::channel(0);
        let mut says = Some(says);
        let stop = tasks.stop_token();
        tasks.spawn("says", Policy::Essential, move || {
            let (says, stop) = (says.take(), stop.clone());
            async move {
                drop(says);
                if is_reported {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return Err("the folder is lost".into());
                }
                stop.cancelled().await;
                Ok(())
            }
        });
        tasks.spawn("hears", Policy::Essential, move || {
            let mut hears = hears.clone();
            async move { Ok(hears.changed().await?) }
        });
        let lost = tasks.run(Duration::from_secs(5)).await.unwrap_err();
        let (task, error) = if is_reported { ("says", "the folder is lost") } else { ("hears", "channel closed") };
        assert_eq!(lost, Lost::Essential { task: task.to_owned(), error: error.to_owned() });
    }
}

#[tokio::test]
async fn an_essential_task_may_not_return_early() {
    let tasks = supervisor();
    tasks.spawn("short", Policy::Essential, || async { Ok(()) });
    let lost = tasks.run(Duration::from_secs(5)).await.unwrap_err();
    assert!(lost.to_string().contains("returned before"), "{lost}");
}

#[tokio::test]
async fn a_panic_is_an_error_and_restart_tries_again() {
    let tasks = supervisor();
    let stop = tasks.stop_token();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
    tasks.spawn("shaky", Policy::Restart(backoff), move || {
        let (counted, stop) = (Arc::clone(&counted), stop.clone());
        async move {
            assert!(counted.fetch_add(1, Ordering::SeqCst) >= 3, "not yet");
            stop.cancel();
            Ok(())
        }
    });
    tasks.run(Duration::from_secs(5)).await.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_finished_task_leaves_the_others_alone() {
    let tasks = supervisor();
    tasks.spawn("once", Policy::Finish, || async { Err("does not matter".into()) });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!tasks.stop_token().is_cancelled());
    tasks.drain(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn the_deadline_cuts_off_who_does_not_stop() {
    let tasks = supervisor();
    tasks.spawn("deaf", Policy::Finish, || async {
        std::future::pending::<()>().await;
        Ok(())
    });
    let lost = tasks.drain(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(lost, Lost::Deadline { deadline: Duration::from_millis(20), tasks: vec!["deaf".to_owned()] });
}

#[test]
fn causes_are_joined_without_repetition() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("inner"));
    assert_eq!(chain(&error), "outer: inner");
}
