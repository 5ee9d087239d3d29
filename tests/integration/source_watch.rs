//! Hints that a repository changed.

use crate::support::git::{Repo, run};
use crate::support::git_server::HttpServer;
use futures_util::StreamExt;
use setpoint::model::ContextFile;
use setpoint::source::{Source, SourceConfig};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

async fn hinted(hints: &mut Receiver<()>, within: Duration) -> bool {
    timeout(within, hints.recv()).await.is_ok_and(|hint| hint.is_some())
}

/// Lets pass what the set-up of a watch may still report.
async fn quiet(hints: &mut Receiver<()>) {
    while hinted(hints, Duration::from_millis(400)).await {}
}

fn open(address: &str) -> Source {
    let mut config = SourceConfig::new(address).unwrap();
    config.poll = Duration::from_secs(3600);
    Source::open(config).unwrap()
}

#[tokio::test]
async fn a_commit_a_push_and_a_recreated_repository_give_hints() {
    let repo = Repo::with_files();
    let bare = repo.bare();
    let (work_source, bare_source) = (open(repo.work().to_str().unwrap()), open(bare.to_str().unwrap()));
    let (mut work, mut pushed) = (work_source.watch(), bare_source.watch());
    quiet(&mut work).await;
    quiet(&mut pushed).await;

    // Edits and staging are no change of the repository's references.
    repo.write("deployments/shop.yaml", "edited\n");
    repo.git(&["add", "-A"]);
    assert!(!hinted(&mut work, Duration::from_millis(300)).await);

    let start = Instant::now();
    repo.commit("second");
    assert!(hinted(&mut work, Duration::from_secs(5)).await);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    repo.push();
    assert!(hinted(&mut pushed, Duration::from_secs(5)).await);
    quiet(&mut work).await;
    quiet(&mut pushed).await;

    // A new folder of branches, and everything in one packed file.
    repo.git(&["checkout", "-q", "-b", "team/a/topic"]);
    assert!(hinted(&mut work, Duration::from_secs(5)).await);
    quiet(&mut work).await;
    repo.commit("on a branch in new folders");
    assert!(hinted(&mut work, Duration::from_secs(5)).await);
    repo.git(&["pack-refs", "--all"]);
    quiet(&mut work).await;
    repo.commit("after packing");
    assert!(hinted(&mut work, Duration::from_secs(5)).await);

    std::fs::remove_dir_all(&bare).unwrap();
    run(Command::new("git").args(["clone", "-q", "--bare"]).arg(repo.work()).arg(&bare));
    assert!(hinted(&mut pushed, Duration::from_secs(5)).await);
    quiet(&mut pushed).await;
    repo.commit("after recreation");
    repo.push();
    assert!(hinted(&mut pushed, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_repository_whose_folder_vanishes_for_a_while_is_found_again() {
    let repo = Repo::with_files();
    let bare = repo.bare();
    let outer = tempfile::tempdir().unwrap();
    let place = outer.path().join("a/b");
    std::fs::create_dir_all(&place).unwrap();
    let moved = place.join("infra.git");
    std::fs::rename(&bare, &moved).unwrap();
    let source = open(moved.to_str().unwrap());
    let mut hints = source.watch();
    quiet(&mut hints).await;
    std::fs::rename(&moved, repo.folder.path().join("infra.git")).unwrap();
    std::fs::remove_dir_all(outer.path().join("a")).unwrap();
    quiet(&mut hints).await;
    std::fs::create_dir_all(&place).unwrap();
    std::fs::rename(repo.folder.path().join("infra.git"), &moved).unwrap();
    assert!(hinted(&mut hints, Duration::from_secs(5)).await);
    assert!(source.fetch().await.is_ok());
}

#[tokio::test]
async fn a_linked_work_tree_follows_its_own_head_and_the_shared_branches() {
    let repo = Repo::with_files();
    let linked = repo.folder.path().join("linked");
    repo.git(&["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
    let source = open(linked.to_str().unwrap());
    assert_eq!(source.fetch().await.unwrap().reference, "side");
    let mut hints = source.watch();
    quiet(&mut hints).await;
    let commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "side"];
    run(Command::new("git").arg("-C").arg(&linked).args(commit));
    assert!(hinted(&mut hints, Duration::from_secs(5)).await);
    assert_eq!(source.fetch().await.unwrap().summary, "side");

    // The objects are in the shared repository, whoever asks.
    let (_, files) = source.read("HEAD").await.unwrap();
    let file = files.get("deployments/shop.yaml").unwrap();
    let context = ContextFile { path: "f".to_owned(), oid: file.oid.clone(), kind: file.kind, size: file.size };
    let chunks: Vec<_> = source.archive(Arc::new([context])).collect().await;
    assert!(chunks.iter().all(Result::is_ok) && !chunks.is_empty());
}

#[tokio::test]
async fn a_remote_is_polled_and_failures_slow_it_down() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let mut config = SourceConfig::new(&server.url("infra.git")).unwrap();
    config.cache_dir = repo.folder.path().join("cache");
    config.poll = Duration::from_millis(200);
    let source = Source::open(config).unwrap();
    source.fetch().await.unwrap();
    let mut hints = source.watch();
    let start = Instant::now();
    assert!(hinted(&mut hints, Duration::from_secs(2)).await);
    assert!(hinted(&mut hints, Duration::from_secs(2)).await);
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());

    drop(server);
    for _ in 0..4 {
        assert!(source.fetch().await.is_err());
    }
    let _ = hints.try_recv();
    // 200 ms × 2⁴, less the jitter.
    let start = Instant::now();
    assert!(hinted(&mut hints, Duration::from_secs(10)).await);
    assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn hints_wait_in_one_place_and_end_with_the_source() {
    let repo = Repo::with_files();
    let source = open(repo.work().to_str().unwrap());
    let mut hints = source.watch();
    quiet(&mut hints).await;
    for n in 0..3 {
        repo.commit(&n.to_string());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(hinted(&mut hints, Duration::from_secs(5)).await);
    assert!(!hinted(&mut hints, Duration::from_millis(200)).await);
}
