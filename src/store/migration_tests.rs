use super::*;
use crate::model::{CommitId, DeploymentName, InstanceId, RunId, ScheduleName, TaskId, Timestamp};
use rusqlite::Connection;

/// A row in each table as the first schema has them.
const FIRST: &str = r#"
INSERT INTO meta VALUES ('installation', '0123456789abcdef');
INSERT INTO environments VALUES ('prod', 'i1', 'file:///repo', '2026-01-01T00:00:00.000Z', 'c1');
INSERT INTO events (at, environment, kind, subject, revision, json)
    VALUES ('2026-01-01T00:00:00.000Z', '', 'daemon_stopped', NULL, NULL,
            '{"at":"2026-01-01T00:00:00Z","kind":"daemon_stopped"}');
INSERT INTO revisions VALUES
    ('prod', 'c2', 'main', 's', 'a', '2026-01-02T00:00:00.000Z', 'applied', '2026-01-02T00:00:00.000Z', 'p1', NULL),
    ('prod', 'c1', 'main', 's', 'a', '2026-01-01T00:00:00.000Z', 'applied', '2026-01-01T00:00:00.000Z', NULL, 'n');
INSERT INTO instances VALUES ('prod', 'shop/api/1', 'k1', 'running', 'healthy', 'c1', '2026-01-01T00:00:00.000Z');
INSERT INTO instance_history (environment, instance, at, container, old_state, new_state, why, revision)
    VALUES ('prod', 'shop/api/1', '2026-01-01T00:00:00.000Z', 'k1', NULL, 'running', 'created', 'c1');
INSERT INTO quarantine VALUES ('prod', 'shop/api/2', 'aa', 'c1', 'exited (1)', '2026-01-01T00:00:00.000Z');
INSERT INTO suspended VALUES ('prod', 'blog', '2026-01-01T00:00:00.000Z');
INSERT INTO applied VALUES ('prod', 'k1', 'memory', 'd1', '2026-01-01T00:00:00.000Z');
INSERT INTO repairs (environment, instance, fields, at) VALUES ('prod', 'shop/api/1', 'memory', '2026-01-01T00:00:00.000Z');
INSERT INTO plans VALUES ('p1', '2026-01-01T00:00:00.000Z', 'text');
INSERT INTO schedules VALUES ('prod', 'nightly', 'd1', 'c1', '2026-01-01T00:00:00.000Z');
INSERT INTO fires VALUES
    ('prod', 'nightly', '2026-01-02T02:00:00Z', 'started', NULL, NULL, 'r1', '2026-01-02T01:59:57.000Z'),
    ('prod', 'nightly', '2026-01-03T02:00:00Z', 'started', NULL, NULL, 'r2', '2026-01-03T01:59:57.000Z');
INSERT INTO fires_removed VALUES ('prod', 'nightly', '2026-01-01T02:00:00Z');
INSERT INTO runs (id, environment, schedule, due, revision, strict, planned_at, started_at, state, verdict, ended_at)
    VALUES ('r1', 'prod', 'nightly', '2026-01-02T02:00:00Z', 'c1', 0, '2026-01-02T02:00:00.000000Z',
            '2026-01-02T02:00:00.000100Z', 'ended', 'succeeded', '2026-01-02T02:00:01.000Z'),
           ('r2', 'prod', 'nightly', '2026-01-03T02:00:00Z', 'c1', 0, '2026-01-03T02:00:00.000000Z',
            '2026-01-03T02:00:00.000100Z', 'running', NULL, NULL);
INSERT INTO run_tasks (run, task_index, task, occurrence, count, due_ns, verdict, missed_deadline, tries)
    VALUES ('r1', 0, 'dose', 0, 1, 0, 'succeeded', 0, '[{"released_ns":0,"sent_ns":5}]');
INSERT INTO task_figures VALUES
    ('prod', 'nightly', 'dose', 'lateness', 1, 5, 5, 5, x'0101', '2026-01-02T02:00:01.000Z');
"#;

#[test]
fn everything_of_the_first_schema_is_there_in_the_present_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("setpoint.db");
    let mut db = Connection::open(&path).unwrap();
    schema::migrate(&mut db, &path, &schema::MIGRATIONS[..1]).unwrap();
    db.execute_batch(FIRST).unwrap();
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    for table in tables {
        let rows: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{table} has no row to bring along");
    }
    drop(db);
    std::fs::write(dir.path().join("installation"), "0123456789abcdef\n").unwrap();

    let store = Store::open(dir.path()).unwrap();
    let ledger = store.ledger("prod");
    let now: Timestamp = "2026-01-04T00:00:00Z".parse().unwrap();
    assert_eq!(store.installation(), "0123456789abcdef");
    assert_eq!(store.events(&EventFilter::default()).unwrap().len(), 1);
    assert_eq!(ledger.in_force().unwrap(), Some(CommitId::new("c1")));
    assert_eq!(ledger.last_good().unwrap().unwrap().revision.commit, CommitId::new("c2"));
    assert_eq!(ledger.find_revision(&CommitId::new("c1")).unwrap().unwrap().note.as_deref(), Some("n"));
    let memory = ledger.memory("2026-01-01T00:00:01Z".parse().unwrap()).unwrap();
    assert_eq!(memory.bases["k1"].asked["memory"], "d1");
    assert_eq!(memory.quarantine[0].instance, "shop/api/2".parse::<InstanceId>().unwrap());
    assert!(memory.suspended.contains(&DeploymentName::new("blog")));
    assert_eq!((memory.known.len(), memory.repairs[0].subject.as_str()), (1, "shop/api/1"));
    let nightly = ScheduleName::new("nightly");
    let seen = ledger.see_schedules([(&nightly, "1:d2".to_owned())], &CommitId::new("c3"), now).unwrap();
    assert_eq!(seen[&nightly].revision, CommitId::new("c1"), "the program was exchanged, not the schedule");
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(ledger.settled(&nightly, now).unwrap(), Some(at("2026-01-03T02:00:00Z")));
    assert!(ledger.is_settled(&nightly, at("2025-12-24T02:00:00Z")).unwrap(), "what was removed by age counts");
    let interrupted = ledger.interrupted_runs("b1").unwrap();
    assert_eq!(interrupted.iter().map(|run| (run.run.as_str(), run.began)).collect::<Vec<_>>(), [("r2", true)]);
    assert_eq!(ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks[0].task, TaskId::new("dose"));
    assert_eq!(ledger.figures(&nightly).unwrap()[0].figures.histogram, [1, 1]);
}

#[test]
fn a_word_that_this_version_does_not_know_is_an_error_that_says_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("setpoint.db");
    let mut db = Connection::open(&path).unwrap();
    schema::migrate(&mut db, &path, &schema::MIGRATIONS[..1]).unwrap();
    db.execute_batch(FIRST).unwrap();
    drop(db);
    let store = Store::open(dir.path()).unwrap();
    let ledger = store.ledger("prod");
    let nightly = ScheduleName::new("nightly");
    let changes = [
        ("revisions", "outcome"),
        ("instances", "health"),
        ("fires", "outcome"),
        ("runs", "state"),
        ("runs", "verdict"),
        ("run_tasks", "verdict"),
        ("run_tasks", "cause"),
        ("task_figures", "kind"),
    ];
    for (table, column) in changes {
        let before = store
            .with("test", |db| {
                // The checks of this version stand in for the want of those of another one.
                db.pragma_update(None, "ignore_check_constraints", true)?;
                let before: Option<String> =
                    db.query_row(&format!("SELECT {column} FROM {table} LIMIT 1"), [], |row| row.get(0))?;
                db.execute(&format!("UPDATE {table} SET {column} = 'paused'"), [])?;
                Ok(before)
            })
            .unwrap();
        let error = match table {
            "revisions" => ledger.last_good().unwrap_err(),
            "instances" => ledger.instances().unwrap_err(),
            "fires" => ledger.fires(None, 9).unwrap_err(),
            "runs" => ledger.runs(&RunFilter::default()).unwrap_err(),
            "run_tasks" => ledger.run(&RunId::new("r1")).unwrap_err(),
            _ => ledger.figures(&nightly).unwrap_err(),
        };
        let text = error.to_string();
        assert!(text.contains(&format!("`paused` in {table}.{column}")), "{text}");
        store
            .with("test", |db| db.execute(&format!("UPDATE {table} SET {column} = ?1"), rusqlite::params![before]))
            .unwrap();
    }
}
