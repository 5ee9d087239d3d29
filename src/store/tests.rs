use super::*;
use crate::event::{Event, Fact};
use crate::model::{CommitId, ContainerId, DeploymentName, Health, InstanceId, NodeName, Revision, Timestamp};
use crate::plan::{Base, PlanId, Quarantine, Repair};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn started(subject: &str, second: i64) -> Event {
    let fact = Fact::StepStarted {
        plan: PlanId::new("7c1e42ab"),
        subject: subject.parse().unwrap(),
        action: "create".to_owned(),
        reason: "new".to_owned(),
        changes: Vec::new(),
    };
    Event { at: at(second), fact }
}

fn instance(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn repo(identity: &str, address: &str) -> RepoIdentity {
    RepoIdentity { identity: identity.to_owned(), address: address.to_owned(), origin: address.to_owned() }
}

fn revision(commit: &str) -> Revision {
    Revision {
        commit: CommitId::new(commit),
        reference: "main".to_owned(),
        summary: "api 1.5".to_owned(),
        author: "A <a@example.org>".to_owned(),
        time: at(0),
    }
}

fn running(name: &str, container: &str) -> ObservedInstance {
    ObservedInstance {
        node: NodeName::local(),
        instance: instance(name),
        container: Some(ContainerId::new(container)),
        state: "running".to_owned(),
        health: Health::Healthy,
        revision: Some(CommitId::new("3f2a91c")),
        since: None,
    }
}

#[test]
fn the_installation_id_is_made_once_and_survives_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap().installation().to_owned();
    assert_eq!(first.len(), 16);
    assert_eq!(Store::open(dir.path()).unwrap().installation(), first);
    for file in ["setpoint.db", "setpoint.db-wal", "setpoint.db-shm"] {
        drop(std::fs::remove_file(dir.path().join(file)));
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.installation(), first);
    assert_eq!(store.owner("prod").as_str(), format!("{first}/prod"));
}

#[test]
fn nobody_else_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state")).unwrap();
    store.record(&started("shop/api/1", 0)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("state")), 0o700);
    for file in ["setpoint.db", "setpoint.db-wal", "installation"] {
        assert_eq!(mode(&dir.path().join("state").join(file)), 0o600, "{file}");
    }
}

#[test]
fn events_are_found_by_subject_kind_time_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let ledger = store.ledger("prod");
    let first = ledger.record(&started("shop/api/1", 0)).unwrap();
    ledger.record(&started("shop/api2/1", 1)).unwrap();
    ledger.record(&started("shop/api/2", 2)).unwrap();
    store.record(&Event { at: at(3), fact: Fact::DaemonStopped }).unwrap();
    store.ledger("other").record(&started("shop/api/1", 4)).unwrap();

    let count = |filter: EventFilter| store.events(&filter).unwrap().len();
    let prod = EventFilter { environment: Some("prod".to_owned()), ..EventFilter::default() };
    assert_eq!(count(EventFilter::default()), 5);
    assert_eq!(count(prod.clone()), 4, "its own and those of the daemon");
    assert_eq!(count(EventFilter { subject: Some("shop/api".to_owned()), ..prod.clone() }), 2, "api2 is not below api");
    assert_eq!(count(EventFilter { subject: Some("shop".to_owned()), ..prod.clone() }), 3);
    assert_eq!(count(EventFilter { kind: Some("daemon_stopped".to_owned()), ..EventFilter::default() }), 1);
    assert_eq!(count(EventFilter { since: Some(at(2)), ..prod.clone() }), 2);
    assert_eq!(count(EventFilter { after: Some(first), ..prod.clone() }), 3);
    let newest = store.events(&EventFilter { limit: 2, newest: true, ..prod }).unwrap();
    assert_eq!(newest.iter().map(|event| event.event.at).collect::<Vec<_>>(), [at(2), at(3)]);
    assert_eq!(newest[0].event, started("shop/api/2", 2));
}

#[test]
fn an_event_reads_back_as_json_of_one_level() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.ledger("prod").record(&started("shop/api/1", 0)).unwrap();
    let event = store.events(&EventFilter::default()).unwrap().remove(0);
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(json["kind"], "step_started");
    assert_eq!(json["subject"], "shop/api/1");
    assert_eq!(serde_json::from_value::<Recorded>(json).unwrap(), event);
}

#[test]
fn old_events_are_removed_by_age_and_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for second in 0..10 {
        store.record(&started("shop/api/1", second)).unwrap();
    }
    let by_age = Retention { age: Duration::from_secs(5), rows: 100 };
    assert_eq!(store.prune(by_age, at(10)).unwrap(), 5);
    let by_rows = Retention { age: Duration::from_secs(1000), rows: 2 };
    assert_eq!(store.prune(by_rows, at(10)).unwrap(), 3);
    let left = store.events(&EventFilter::default()).unwrap();
    assert_eq!(left.iter().map(|event| event.event.at).collect::<Vec<_>>(), [at(8), at(9)]);
    assert!(store.record(&started("shop/api/1", 11)).unwrap() > 10, "numbers are never used again");
}

#[test]
fn memory_holds_what_a_plan_needs_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let ledger = store.ledger("prod");
    let api = instance("shop/api/1");
    ledger.saw(&[running("shop/api/1", "c1"), running("shop/db/1", "c2")], "created", at(0)).unwrap();
    let digests = BTreeMap::from([("memory".to_owned(), "aa".to_owned())]);
    let base = Base { asked: digests.clone(), reported: digests };
    ledger.record_base("c1", &base, at(1)).unwrap();
    let failed = Quarantine {
        node: NodeName::local(),
        instance: api.clone(),
        spec: "5ec".to_owned(),
        revision: CommitId::new("3f2a91c"),
        verdict: "exited (1)".to_owned(),
    };
    ledger.quarantine(&failed, at(2)).unwrap();
    assert!(ledger.suspend(&DeploymentName::new("shop"), at(3)).unwrap());
    assert!(!ledger.suspend(&DeploymentName::new("shop"), at(4)).unwrap(), "it already is");
    let repair = |seconds| Repair {
        subject: "shop/api/1".into(),
        fields: "memory".into(),
        wish: "0123456789ab".into(),
        at: at(seconds),
    };
    ledger.repaired(&repair(-100_000)).unwrap();
    ledger.repaired(&repair(500)).unwrap();
    ledger.repaired(&repair(510)).unwrap();
    ledger.not_repaired("shop/api/1").unwrap();
    ledger.not_repaired("shop/web/1").unwrap();

    let memory = ledger.memory(at(601)).unwrap();
    assert_eq!(memory.bases, BTreeMap::from([("c1".to_owned(), base)]));
    assert_eq!(memory.quarantine, [failed]);
    assert!(memory.suspended.contains(&DeploymentName::new("shop")));
    assert_eq!(memory.known.len(), 2);
    assert_eq!(memory.repairs.iter().map(|repair| repair.at).collect::<Vec<_>>(), [at(500)], "a day counts");
    assert_eq!(store.ledger("other").memory(at(601)).unwrap(), crate::plan::Memory::default());

    ledger.forget("c1").unwrap();
    assert!(ledger.release(&NodeName::local(), &api).unwrap());
    assert!(!ledger.release(&NodeName::local(), &api).unwrap());
    assert!(ledger.resume(&DeploymentName::new("shop"), at(5)).unwrap());
    ledger.removed(&NodeName::local(), &api, "no longer in Git", at(6)).unwrap();
    let memory = ledger.memory(at(601)).unwrap();
    assert!(memory.bases.is_empty() && memory.quarantine.is_empty() && memory.suspended.is_empty());
    assert_eq!(memory.known.into_iter().collect::<Vec<_>>(), [instance("shop/db/1")]);
    assert!(memory.repairs.is_empty());
}

#[test]
fn instances_keep_their_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let ledger = store.ledger("prod");
    let api = instance("shop/api/1");
    ledger.saw(&[running("shop/api/1", "c1")], "created", at(0)).unwrap();
    assert!(ledger.saw(&[running("shop/api/1", "c1")], "looked", at(1)).unwrap().is_empty(), "nothing changed");
    let gone =
        ledger.saw(&[ObservedInstance::absent(NodeName::local(), api.clone())], "removed on the host", at(2)).unwrap();
    assert_eq!(gone[0].1.old.as_deref(), Some("running, healthy"));
    let rows = ledger.instances().unwrap();
    assert_eq!((rows[0].state.as_str(), rows[0].since), ("absent", at(2)));
    assert_eq!(rows[0].revision.as_ref().map(CommitId::as_str), Some("3f2a91c"), "the last known commit stays");
    assert!(ledger.memory(at(3)).unwrap().known.contains(&api), "an absent one is still known");
    assert!(
        ledger.saw(&[ObservedInstance::absent(NodeName::local(), api.clone())], "looked", at(3)).unwrap().is_empty()
    );

    let history = ledger.history(&api, 10).unwrap();
    let texts: Vec<(&str, &str)> = history.iter().map(|step| (step.new.as_str(), step.why.as_str())).collect();
    assert_eq!(texts, [("running, healthy", "created"), ("absent", "removed on the host")]);
    let events = ledger.events_about("shop/api/1", 10).unwrap();
    assert_eq!(events.len(), 2, "each change is an event too");
}

#[test]
fn an_environment_belongs_to_one_repo() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let claim = |identity: &str, address: &str, origin: &str, adopt: bool| {
        let repo = RepoIdentity { identity: identity.into(), address: address.into(), origin: origin.into() };
        store.claim_environment("default", &repo, adopt, at(0)).map(drop).map_err(|error| error.to_string())
    };
    let server = "ssh://git@host/infra.git";
    claim("root1", server, server, false).unwrap();
    // A clone on this machine, the same address in another form, a rewritten history.
    claim("root1", "/home/a/infra", "git@host:infra", false).unwrap();
    claim("rewritten", server, server, false).unwrap();
    claim("root1", server, server, false).unwrap();
    // A fork has the same history and another address; so has the repo when it moved.
    let error = claim("root1", "ssh://git@host/fork.git", "ssh://git@host/fork.git", false).unwrap_err();
    for part in ["`default`", "fork.git", "git@host", "setpoint.kdl", "same first commit", "--adopt", "adopt=#true"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    let error = claim("root2", "/home/a/shop", "/home/a/shop", false).unwrap_err();
    assert!(!error.contains("same first commit") && error.contains("/home/a/shop"), "{error}");
    claim("root1", "ssh://git@host/moved.git", "ssh://git@host/moved.git", true).unwrap();
    claim("root1", "ssh://git@host/moved.git", "ssh://git@host/moved.git", false).unwrap();
    claim("root1", server, server, false).unwrap_err();
    // Another folder of the same repo is another repo, as far as an environment is concerned.
    claim("root1:prod", "ssh://git@host/moved.git (prod)", "ssh://git@host/moved.git (prod)", false).unwrap_err();
}

#[test]
fn the_last_good_revision_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let infra = repo("root1", "/infra");
    let ledger = store.claim_environment("prod", &infra, false, at(0)).unwrap();
    ledger.revision(&revision("aaa"), RevisionOutcome::Applied, Some(&PlanId::new("p1")), None, at(1)).unwrap();
    ledger.revision(&revision("bbb"), RevisionOutcome::Rejected, None, Some("1 mistake"), at(2)).unwrap();
    assert_eq!(ledger.last_good().unwrap().unwrap().revision.commit, CommitId::new("aaa"));
    assert_eq!(store.last_good_of("/infra").unwrap().unwrap().1.commit, CommitId::new("aaa"));
    ledger.revision(&revision("ccc"), RevisionOutcome::Accepted, None, None, at(3)).unwrap();
    assert_eq!(store.last_good_of("/infra").unwrap().unwrap(), ("prod".to_owned(), revision("ccc")));
    assert_eq!(ledger.last_applied().unwrap().unwrap().revision.commit, CommitId::new("aaa"));
    assert_eq!(ledger.find_revision(&CommitId::new("bbb")).unwrap().unwrap().outcome, RevisionOutcome::Rejected);
    assert!(store.last_good_of("/other").unwrap().is_none());
}

#[test]
fn two_handles_write_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap()];
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for second in 0..200 {
                    store.record(&started("shop/api/1", second)).unwrap();
                }
            });
        }
    });
    assert_eq!(stores[0].events(&EventFilter::default()).unwrap().len(), 400);
}

#[test]
fn an_older_file_is_brought_up_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let mut db = rusqlite::Connection::open(&path).unwrap();
    schema::migrate(&mut db, &path, &["CREATE TABLE a (x TEXT)"]).unwrap();
    db.execute("INSERT INTO a VALUES ('kept')", []).unwrap();
    let steps = ["CREATE TABLE a (x TEXT)", "ALTER TABLE a ADD COLUMN y TEXT", "UPDATE a SET y = x"];
    schema::migrate(&mut db, &path, &steps).unwrap();
    let y: String = db.query_row("SELECT y FROM a", [], |row| row.get(0)).unwrap();
    assert_eq!(y, "kept");
    let error = schema::migrate(&mut db, &path, &steps[..2]).unwrap_err().to_string();
    assert!(error.contains("newer version (schema 3, this one knows 2)"), "{error}");

    let broken = ["", "", "", "CREATE TABLE b (x TEXT); nonsense"];
    schema::migrate(&mut db, &path, &broken).unwrap_err();
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 3, "a failed step leaves nothing behind");
    db.prepare("SELECT * FROM b").unwrap_err();
}

#[test]
fn a_damaged_file_is_reported_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let id = Store::open(dir.path()).unwrap().installation().to_owned();
    let path = dir.path().join("setpoint.db");
    std::fs::write(&path, vec![7u8; 8192]).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("setpoint.db") && text.contains("Move it") && text.contains(&id), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![7u8; 8192], "never made anew by itself");
}

#[test]
fn a_person_can_read_the_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.ledger("prod").record(&started("shop/api/1", 0)).unwrap();
    let line = store.with("test", |db| {
        db.query_row("SELECT at || ' ' || kind || ' ' || subject || ' ' || text FROM timeline", [], |row| {
            row.get::<_, String>(0)
        })
    });
    assert_eq!(line.unwrap(), "2027-01-15T08:00:00.000Z step_started shop/api/1 create");
}

#[tokio::test]
async fn news_wake_who_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut newest = store.newest();
    assert_eq!(*newest.borrow_and_update(), 0);
    store.record(&started("shop/api/1", 0)).unwrap();
    newest.changed().await.unwrap();
    assert_eq!(*newest.borrow(), 1);
}

#[tokio::test]
async fn one_applies_at_a_time_and_the_other_learns_who() {
    let dir = tempfile::tempdir().unwrap();
    let held = ApplyLock::acquire(dir.path(), "daemon", Duration::ZERO).await.unwrap();
    let error = ApplyLock::acquire(dir.path(), "setpoint apply", Duration::from_millis(60)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("daemon, process {}", std::process::id())), "{text}");
    drop(held);
    ApplyLock::acquire(dir.path(), "setpoint apply", Duration::ZERO).await.unwrap();
}

/// The other process of the test below: announces a step while it holds the lock, and waits to be killed.
#[tokio::test]
#[ignore = "run by `a_killed_process_loses_nothing` in a process of its own"]
async fn announces_and_waits() {
    let Some(dir) = crate::process::config::env("SETPOINT_TEST_STATE_DIR") else { return };
    let dir = Path::new(&dir);
    let store = Store::open(dir).unwrap();
    let lock = ApplyLock::acquire(dir, "setpoint apply", Duration::ZERO).await.unwrap();
    store.ledger("prod").record(&started("shop/api/1", 0)).unwrap();
    std::fs::write(dir.join("ready"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(lock);
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::announces_and_waits", "--ignored"])
        .env("SETPOINT_TEST_STATE_DIR", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..400 {
        if dir.path().join("ready").exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let held = ApplyLock::acquire(dir.path(), "daemon", Duration::ZERO).await.unwrap_err().to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(held.contains(&format!("setpoint apply, process {}", child.id())), "{held}");
    let _lock = ApplyLock::acquire(dir.path(), "daemon", Duration::ZERO).await.unwrap();
    let events = Store::open(dir.path()).unwrap().events(&EventFilter::default()).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, started("shop/api/1", 0), "announced before it was done");
}

#[test]
fn many_may_open_a_new_store_at_once() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path()).map(|store| store.installation().to_owned());
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[test]
fn a_database_that_was_emptied_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Store::open(dir.path()).unwrap().installation().to_owned();
    let path = dir.path().join("setpoint.db");
    for file in ["setpoint.db-wal", "setpoint.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    std::fs::write(&path, "").unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&installation) && error.contains("is empty") && error.contains("remove it"), "{error}");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().installation(), installation);
}
