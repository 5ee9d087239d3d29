//! Following a repo that cannot be read for a while.

use crate::support::git::Repo;
use setpoint::apply::load::Loader;
use setpoint::daemon::follow::{Head, SourceFollower};
use setpoint::daemon::trigger::Triggers;
use setpoint::model::CommitId;
use setpoint::process::clock;
use setpoint::source::{Source, SourceConfig};
use setpoint::store::Store;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_commit_on_this_machine_ends_the_wait_after_failures() {
    let repo = Repo::empty();
    let source = Source::open(SourceConfig::new(repo.work().to_str().unwrap()).unwrap()).unwrap();
    let store = Store::open(&repo.folder.path().join("state")).unwrap();
    let (head, mut seen) = watch::channel(Head::default());
    let stop = CancellationToken::new();
    let loader = Loader { source: source.clone(), store, adopt: false };
    let follower = SourceFollower { source, loader, triggers: Triggers::default(), head, stop: stop.clone() };
    let follow = follower.run();
    let look = async {
        // The waits double: 2 s, 4 s, 8 s, a fifth of it random.
        let next_try = loop {
            seen.changed().await.unwrap();
            let head = seen.borrow_and_update().clone();
            let next = head.next_try.expect("an empty repo cannot be read");
            if next.duration_since(clock::now()).as_secs() >= 5 {
                break next;
            }
        };
        repo.write("a.yaml", "a\n");
        let commit = repo.commit("the cure");
        let found = async {
            loop {
                seen.changed().await.unwrap();
                let head = seen.borrow_and_update().clone();
                if head.revision.as_ref().is_some_and(|revision| revision.commit == CommitId::new(&*commit)) {
                    break head;
                }
            }
        };
        let head = tokio::time::timeout(Duration::from_secs(30), found).await.unwrap();
        assert!(head.fetched_at.unwrap() < next_try, "it was seen only when the wait was over");
        assert_eq!((head.error, head.next_try), (None, None));
        stop.cancel();
    };
    let (ended, ()) = futures_util::join!(follow, look);
    ended.unwrap();
}
