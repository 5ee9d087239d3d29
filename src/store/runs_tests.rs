use super::*;
use crate::model::TaskId;
use crate::process::clock;
use crate::schedule::{Cause, End, Row, SkipCause, TaskIndex, Try, Verdict};
use crate::store::{FireOutcome, Fired, Store, TryRecord};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn nightly() -> ScheduleName {
    ScheduleName::new("nightly")
}

fn ledger(dir: &Path) -> Ledger {
    Store::open(dir).unwrap().ledger("prod")
}

fn run(id: &str, schedule: &str, second: i64) -> RunStart {
    RunStart {
        id: RunId::new(id),
        schedule: ScheduleName::new(schedule),
        due: DueKey::Instant(at(second)),
        revision: CommitId::new("3f2a91c"),
        strict: true,
        planned_at: at(second),
        boot: "b1".to_owned(),
        process: None,
    }
}

/// Fires and begins a run.
fn begin(ledger: &Ledger, id: &str, schedule: &str, second: i64) {
    let run = run(id, schedule, second);
    let fired = ledger.fire(&run.schedule, &run.due, FireOutcome::Started, Some(&RunId::new(id)), at(second)).unwrap();
    assert_eq!(fired, Fired::Recorded);
    ledger.prepare_run(&run).unwrap();
    ledger.begin_run(&RunId::new(id), at(second) + jiff::SignedDuration::from_micros(85)).unwrap();
}

fn row(task: u32, occurrence: u32, verdict: Option<Verdict>) -> Row {
    let sent = Duration::from_nanos(1_000_085_001);
    let one = Try {
        released: Duration::from_secs(1),
        sent,
        armed: false,
        acknowledged: Some(sent + Duration::from_micros(300)),
        ended: Some(sent + Duration::from_millis(20)),
        end: Some(End::Success),
    };
    Row {
        task: TaskIndex(task),
        occurrence,
        count: 1,
        due: Some(Duration::from_secs(1)),
        tries: vec![one],
        verdict,
        missed_deadline: false,
    }
}

fn as_row(record: TaskRecord) -> Row {
    Row::from(&crate::api::dto::TaskRecord::from(record))
}

fn record(task: u32, occurrence: u32) -> TaskRecord {
    TaskRecord::new(TaskId::new(format!("t{task}")), &row(task, occurrence, Some(Verdict::Succeeded)))
}

/// Every verdict. The match has no arm for «others», so that a new one has to be entered.
fn verdicts() -> Vec<Verdict> {
    let known = |verdict: &Verdict| match verdict {
        Verdict::Succeeded | Verdict::Cancelled => {}
        Verdict::Failed(cause) | Verdict::TimedOut(cause) => match cause {
            Cause::Reported
            | Cause::Refused
            | Cause::Unacknowledged
            | Cause::Lost
            | Cause::NoticeLost
            | Cause::Deadline
            | Cause::Timeout => {}
        },
        Verdict::Skipped(cause) => match cause {
            SkipCause::NeedFailed(_) | SkipCause::NotNeeded(_) | SkipCause::Overrun | SkipCause::Aborted => {}
        },
    };
    let from_task = [Cause::Reported, Cause::Refused, Cause::Unacknowledged, Cause::Lost, Cause::NoticeLost];
    let causes = from_task.into_iter().chain([Cause::Deadline, Cause::Timeout]);
    let skips = [
        SkipCause::NeedFailed(TaskIndex(0)),
        SkipCause::NotNeeded(TaskIndex(7)),
        SkipCause::Overrun,
        SkipCause::Aborted,
    ];
    let mut all = vec![Verdict::Succeeded, Verdict::Cancelled];
    all.extend(causes.flat_map(|cause| [Verdict::Failed(cause), Verdict::TimedOut(cause)]));
    all.extend(skips.into_iter().map(Verdict::Skipped));
    all.iter().for_each(known);
    all
}

#[test]
fn every_verdict_of_a_task_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 0);
    let verdicts: Vec<Option<Verdict>> = verdicts().into_iter().map(Some).chain([None]).collect();
    let rows: Vec<Row> = (0..).zip(&verdicts).map(|(task, verdict)| row(task, 0, *verdict)).collect();
    let records: Vec<TaskRecord> = rows.iter().map(|row| TaskRecord::new(TaskId::new("t"), row)).collect();
    ledger.record_rows(&RunId::new("r1"), &records).unwrap();
    let read = ledger.run(&RunId::new("r1")).unwrap().unwrap();
    assert_eq!(read.tasks, records);
    assert_eq!(read.tasks.iter().cloned().map(as_row).collect::<Vec<_>>(), rows, "as the timeline knew them");
    let json = serde_json::to_value(&read).unwrap();
    assert_eq!(json["id"], "r1", "the run is not nested");
    assert_eq!(serde_json::from_value::<RunRecord>(json).unwrap(), read);
}

#[test]
fn every_verdict_of_a_run_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let verdicts = [RunVerdict::Succeeded, RunVerdict::Failed, RunVerdict::Aborted, RunVerdict::Cancelled];
    for (second, verdict) in (0..).zip(verdicts) {
        let id = format!("r{second}");
        begin(&ledger, &id, "nightly", second);
        let begun = ledger.run(&RunId::new(id.clone())).unwrap().unwrap().run;
        assert_eq!((begun.state, begun.verdict, begun.ended_at, begun.strict), (RunState::Running, None, None, true));
        assert_eq!(begun.started_at.unwrap().duration_since(begun.planned_at).as_micros(), 85);
        assert!(ledger.end_run(&RunId::new(id.clone()), verdict, Some("as told"), at(second + 1)).unwrap());
        assert!(!ledger.end_run(&RunId::new(id.clone()), verdict, None, at(second + 2)).unwrap(), "it has ended");
        let ended = ledger.run(&RunId::new(id.clone())).unwrap().unwrap().run;
        assert_eq!(
            (ended.state, ended.verdict, ended.ended_at),
            (RunState::Ended, Some(verdict), Some(at(second + 1)))
        );
        assert_eq!(ended.note.as_deref(), Some("as told"));
    }
    assert!(ledger.run(&RunId::new("r9")).unwrap().is_none());
    assert!(ledger.store().ledger("test").run(&RunId::new("r1")).unwrap().is_none(), "another environment");
    assert!(ledger.prepare_run(&run("r1", "nightly", 9)).is_err(), "an id is used once");
    assert!(ledger.begin_run(&RunId::new("r1"), at(9)).is_err(), "a run begins once");
    assert!(ledger.begin_run(&RunId::new("r8"), at(9)).is_err(), "and is prepared before");
    assert!(ledger.record_rows(&RunId::new("r9"), &[record(0, 0)]).is_err(), "a run that is not there has no tasks");
}

#[test]
fn an_occurrence_is_written_again_as_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 0);
    let going = TaskRecord { verdict: None, tries: Vec::new(), ..record(0, 0) };
    ledger.record_rows(&RunId::new("r1"), &[going, record(0, 1)]).unwrap();
    let mut done = record(0, 0);
    let one = TryRecord { armed: true, started_ns: Some(-40), error: Some("busy".to_owned()), ..done.tries[0].clone() };
    done.tries.push(one);
    done.output = Some(json!({ "volume_ml": 12.5, "ok": true }));
    done.missed_deadline = true;
    ledger.record_rows(&RunId::new("r1"), std::slice::from_ref(&done)).unwrap();
    ledger.record_rows(&RunId::new("r1"), &[]).unwrap();
    done.output_bytes = Some(28);
    assert_eq!(ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks, [done, record(0, 1)]);
}

#[test]
fn what_is_too_long_is_cut_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 0);
    let string = |bytes: usize| Some(Value::String("a".repeat(bytes - 2)));
    let mut fits = TaskRecord { output: string(TaskRecord::OUTPUT_LIMIT), ..record(0, 0) };
    fits.tries[0].error = Some("e".repeat(TaskRecord::ERROR_LIMIT));
    let mut long = TaskRecord { output: string(TaskRecord::OUTPUT_LIMIT + 1), ..record(1, 0) };
    long.tries[0].error = Some("ä".repeat(TaskRecord::ERROR_LIMIT));
    ledger.record_rows(&RunId::new("r1"), &[fits.clone(), long]).unwrap();
    let tasks = ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks;
    assert_eq!((&tasks[0].output, &tasks[0].tries), (&fits.output, &fits.tries));
    assert_eq!((&tasks[1].output, tasks[1].output_bytes), (&None, Some(TaskRecord::OUTPUT_LIMIT as u64 + 1)));
    let error = tasks[1].tries[0].error.as_deref().unwrap();
    assert!(error.len() <= TaskRecord::ERROR_LIMIT && error.ends_with("ä…"), "{}", error.len());
    ledger.record_rows(&RunId::new("r1"), &tasks).unwrap();
    assert_eq!(ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks, tasks, "what was read can be written");
}

#[test]
fn runs_are_found_by_schedule_state_and_time_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 100);
    begin(&ledger, "r2", "hourly", 200);
    // The wall clock was put back.
    begin(&ledger, "r3", "nightly", 50);
    begin(&ledger.store().ledger("test"), "r4", "nightly", 300);
    ledger.end_run(&RunId::new("r1"), RunVerdict::Failed, None, at(101)).unwrap();
    let ids = |filter: RunFilter| -> Vec<String> {
        ledger.runs(&filter).unwrap().into_iter().map(|run| run.id.to_string()).collect()
    };
    let of = |schedule: &str| RunFilter { schedule: Some(ScheduleName::new(schedule)), ..RunFilter::default() };
    assert_eq!(ids(RunFilter::default()), ["r3", "r2", "r1"]);
    assert_eq!(ids(RunFilter { limit: 1, ..RunFilter::default() }), ["r3"]);
    assert_eq!(ids(of("nightly")), ["r3", "r1"]);
    assert_eq!(ids(RunFilter { state: Some(RunState::Running), ..of("nightly") }), ["r3"]);
    assert_eq!(ids(RunFilter { state: Some(RunState::Ended), ..RunFilter::default() }), ["r1"]);
    assert_eq!(ids(RunFilter { since: Some(at(100)), ..RunFilter::default() }), ["r2", "r1"]);
    assert!(ids(of("daily")).is_empty());
}

#[test]
fn interrupted_runs_are_closed_once_and_those_that_never_began_get_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let before = ledger(dir.path());
    begin(&before, "r1", "nightly", 0);
    before.record_rows(&RunId::new("r1"), &[TaskRecord { verdict: None, ..record(0, 0) }]).unwrap();
    before.fire(&nightly(), &DueKey::Instant(at(60)), FireOutcome::Started, Some(&RunId::new("r2")), at(61)).unwrap();
    begin(&before, "r3", "nightly", 120);
    before.end_run(&RunId::new("r3"), RunVerdict::Succeeded, None, at(121)).unwrap();
    drop(before);

    let ledger = ledger(dir.path());
    let found = ledger.interrupted_runs("b1").unwrap();
    assert_eq!(
        found.iter().map(|run| (run.run.as_str(), run.began)).collect::<Vec<_>>(),
        [("r1", true), ("r2", false)]
    );
    for run in &found {
        let settle = || ledger.settle_interrupted(&run.run, RunVerdict::Aborted, "the daemon was killed", at(200));
        assert!(settle().unwrap());
        assert!(!settle().unwrap(), "once");
    }
    assert!(ledger.interrupted_runs("b1").unwrap().is_empty());
    assert!(
        !ledger.settle_interrupted(&RunId::new("r3"), RunVerdict::Failed, "no", at(201)).unwrap(),
        "it came to its end"
    );
    assert!(!ledger.settle_interrupted(&RunId::new("r9"), RunVerdict::Failed, "no", at(201)).unwrap());
    let closed = ledger.runs(&RunFilter { state: Some(RunState::Interrupted), ..RunFilter::default() }).unwrap();
    assert_eq!(closed.len(), 2);
    assert_eq!((closed[0].id.as_str(), closed[0].started_at, closed[0].planned_at), ("r2", None, at(61)));
    assert!(closed.iter().all(|run| run.verdict == Some(RunVerdict::Aborted) && run.ended_at == Some(at(200))));
    assert_eq!(
        ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks[0].verdict,
        None,
        "what was not known is not invented"
    );
}

#[test]
fn the_newest_runs_of_each_schedule_stay_and_nothing_fires_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "running", "nightly", 0);
    for second in 1..=25 {
        let id = format!("n{second}");
        begin(&ledger, &id, "nightly", second);
        ledger.record_rows(&RunId::new(id.clone()), &[record(0, 0)]).unwrap();
        ledger.end_run(&RunId::new(id.clone()), RunVerdict::Succeeded, None, at(second)).unwrap();
    }
    let commit = DueKey::Commit(CommitId::new("3f2a91c"));
    let waiting = DueKey::Instant(at(-10));
    for (due, outcome, run) in [(&commit, FireOutcome::Skipped, None), (&waiting, FireOutcome::Queued, Some("q"))] {
        ledger.fire(&nightly(), due, outcome, run.map(RunId::new).as_ref(), at(-20)).unwrap();
    }
    begin(&ledger, "h1", "hourly", 1);
    ledger.end_run(&RunId::new("h1"), RunVerdict::Succeeded, None, at(2)).unwrap();

    assert_eq!(ledger.prune_runs(&nightly(), 3).unwrap(), 22);
    assert_eq!(ledger.prune_runs(&nightly(), 3).unwrap(), 0);
    let ids: Vec<String> =
        ledger.runs(&RunFilter::default()).unwrap().into_iter().map(|run| run.id.to_string()).collect();
    assert_eq!(ids, ["h1", "n25", "n24", "n23", "running"]);
    let tasks: i64 =
        ledger.store().with("test", |db| db.query_row("SELECT count(*) FROM run_tasks", [], |row| row.get(0))).unwrap();
    assert_eq!(tasks, 3, "their tasks go with them");
    let left: Vec<String> =
        ledger.fires(Some(&nightly()), 100).unwrap().iter().map(|row| row.due.to_string()).collect();
    let expected = [DueKey::Instant(at(25)), DueKey::Instant(at(24)), DueKey::Instant(at(23)), DueKey::Instant(at(0))];
    let expected: Vec<String> = expected.iter().chain([&commit, &waiting]).map(ToString::to_string).collect();
    assert_eq!(left, expected);

    assert_eq!(ledger.interrupted_runs("b1").unwrap().len(), 1, "a removed run was not interrupted");
    let fire =
        |due: &DueKey| ledger.fire(&nightly(), due, FireOutcome::Started, Some(&RunId::new("again")), at(30)).unwrap();
    assert_eq!(fire(&DueKey::Instant(at(5))), Fired::AlreadyThere(None), "its row is gone, its due time is settled");
    assert_eq!(fire(&DueKey::Instant(at(24))), Fired::AlreadyThere(Some(FireOutcome::Started)));
    assert_eq!(fire(&commit), Fired::AlreadyThere(Some(FireOutcome::Skipped)));
    ledger.end_run(&RunId::new("running"), RunVerdict::Succeeded, None, at(31)).unwrap();
    assert_eq!(ledger.prune_runs(&nightly(), 0).unwrap(), 4);
    assert_eq!(ledger.settled(&nightly(), at(100)).unwrap(), Some(at(25)), "also without any row");
    assert_eq!(ledger.queued().unwrap().len(), 1);
    assert_eq!(fire(&DueKey::Instant(at(26))), Fired::Recorded);
}

#[test]
fn many_rows_are_written_fast() {
    const ROWS: u32 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 0);
    let begin = clock::monotonic();
    for first in (0..ROWS).step_by(10) {
        let rows: Vec<TaskRecord> = (first..first + 10).map(|occurrence| record(0, occurrence)).collect();
        ledger.record_rows(&RunId::new("r1"), &rows).unwrap();
    }
    let took = begin.elapsed();
    println!("{ROWS} rows, ten in a transaction: {took:?}, {:?} for a row", took / ROWS);
    let begin = clock::monotonic();
    assert_eq!(ledger.run(&RunId::new("r1")).unwrap().unwrap().tasks.len(), ROWS as usize);
    println!("{ROWS} rows read in {:?}", begin.elapsed());
    let fire = |outcome, due: u32| {
        let begin = clock::monotonic();
        ledger.fire(&nightly(), &DueKey::Instant(at(due.into())), outcome, Some(&RunId::new("f")), at(0)).unwrap();
        begin.elapsed()
    };
    let mut starts: Vec<Duration> = (1..101).map(|due| fire(FireOutcome::Started, due)).collect();
    starts.sort_unstable();
    let skipped = (101..201).map(|due| fire(FireOutcome::Skipped, due)).max();
    println!("a hundred starts, on the disk: median {:?}, slowest {:?}", starts[50], starts[99]);
    println!("the slowest of a hundred fires that start nothing: {skipped:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn more_rows_than_an_answer_holds_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 0);
    let limit = u32::try_from(RunRecord::LIMIT).unwrap();
    let bare = |occurrence| TaskRecord { tries: Vec::new(), ..record(0, occurrence) };
    ledger.record_rows(&RunId::new("r1"), &(0..limit).map(bare).collect::<Vec<_>>()).unwrap();
    assert_eq!(ledger.run(&RunId::new("r1")).unwrap().unwrap().left_out, 0);
    ledger.record_rows(&RunId::new("r1"), &[bare(limit), bare(limit + 1)]).unwrap();
    let read = ledger.run(&RunId::new("r1")).unwrap().unwrap();
    assert_eq!((read.tasks.len(), read.left_out), (RunRecord::LIMIT, 2));
}

#[test]
fn two_processes_write_runs_and_read_those_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let ledgers = [ledger(dir.path()), ledger(dir.path())];
    std::thread::scope(|scope| {
        for (number, ledger) in ledgers.iter().enumerate() {
            scope.spawn(move || {
                let id = format!("r{number}");
                ledger.prepare_run(&run(&id, "nightly", number as i64)).unwrap();
                ledger.begin_run(&RunId::new(id.clone()), at(number as i64)).unwrap();
                for occurrence in 0..100 {
                    ledger.record_rows(&RunId::new(id.clone()), &[record(0, occurrence)]).unwrap();
                    ledger.runs(&RunFilter::default()).unwrap();
                }
                ledger.end_run(&RunId::new(id.clone()), RunVerdict::Succeeded, None, at(9)).unwrap();
            });
        }
    });
    for (ledger, other) in [(&ledgers[0], "r1"), (&ledgers[1], "r0")] {
        let read = ledger.run(&RunId::new(other)).unwrap().unwrap();
        assert_eq!((read.run.state, read.tasks.len()), (RunState::Ended, 100));
    }
}

/// Rows of a query as a person sees them in the shell.
fn shell(ledger: &Ledger, sql: &str) -> Vec<String> {
    let read = ledger.store().with("test", |db| {
        let mut statement = db.prepare(sql)?;
        let columns = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
            let cells = (0..columns).map(|column| {
                Ok(match row.get::<_, rusqlite::types::Value>(column)? {
                    rusqlite::types::Value::Null => String::new(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Real(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    rusqlite::types::Value::Blob(bytes) => format!("{} bytes", bytes.len()),
                })
            });
            Ok(cells.collect::<rusqlite::Result<Vec<String>>>()?.join("|"))
        };
        statement.query_map([], line)?.collect::<rusqlite::Result<Vec<String>>>()
    });
    read.unwrap()
}

#[test]
fn the_queries_in_the_documentation_answer_what_they_say() {
    let page = include_str!("../../docs/daemon.md");
    let queries: Vec<&str> =
        page.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap_or_default()).collect();
    let [not_run, latest] = queries.as_slice() else { panic!("two queries expected: {queries:?}") };
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    begin(&ledger, "r1", "nightly", 120);
    let now = clock::now();
    for (second, outcome) in [(60, FireOutcome::Missed { missed_from: at(0), missed: 2 }), (180, FireOutcome::Skipped)]
    {
        ledger.fire(&nightly(), &DueKey::Instant(at(second)), outcome, None, now).unwrap();
    }
    let long_ago = now - jiff::SignedDuration::from_hours(8 * 24);
    ledger.fire(&nightly(), &DueKey::Instant(at(0)), FireOutcome::Skipped, None, long_ago).unwrap();
    let lines = shell(&ledger, not_run);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("2027-01-15T08:01:00Z|missed|2|"), "{lines:?}");
    assert!(lines[1].starts_with("2027-01-15T08:03:00Z|skipped||"), "{lines:?}");

    let mut late = TaskRecord { verdict: Some(Verdict::Failed(Cause::Reported)), ..record(1, 4) };
    late.tries[0].started_ns = Some(1_002_500_000);
    late.tries[0].ended_ns = Some(1_012_500_000);
    late.tries[0].error = Some("valve stuck".to_owned());
    ledger.record_rows(&RunId::new("r1"), &[record(0, 0), late]).unwrap();
    let lines = shell(&ledger, latest);
    assert_eq!(lines, ["r1|t1|4|2.5|10|failed|reported|valve stuck", "r1|t0|0|0.085001|20|succeeded||"]);
}
