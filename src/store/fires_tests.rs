use super::*;
use crate::model::{Cadence, Missed, Start};
use crate::schedule::agenda::due;
use crate::store::{Interrupted, RunStart, Store};
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The folder of the store, for tests that run in a process of their own.
const STATE_DIR: &str = "SETPOINT_TEST_STATE_DIR";
/// How many keys the processes of a race fire.
const KEYS: i64 = 40;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn key(second: i64) -> DueKey {
    DueKey::Instant(at(second))
}

fn nightly() -> ScheduleName {
    ScheduleName::new("nightly")
}

fn ledger(dir: &Path) -> Ledger {
    Store::open(dir).unwrap().ledger("prod")
}

fn start(ledger: &Ledger, due: &DueKey, run: &str, now: Timestamp) -> Fired {
    ledger.fire(&nightly(), due, FireOutcome::Started, Some(&RunId::new(run)), now).unwrap()
}

/// A test of this file in a process of its own.
fn process(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::fires::tests::{test}"), "--ignored"])
        .env(STATE_DIR, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(file: &Path) {
    for _ in 0..400 {
        if file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{} did not come", file.display());
}

#[test]
fn a_key_reads_back_from_its_text() {
    for text in ["2027-01-15T08:00:00Z", "2027-01-15T08:00:00.0005Z", "commit:3f2a91c", "manual:a:b"] {
        let key: DueKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(serde_json::from_value::<DueKey>(serde_json::to_value(&key).unwrap()).unwrap(), key);
    }
    for text in ["", "commit:", "manual:", "tomorrow", "2027-01-15T08:00:00"] {
        assert_eq!(text.parse::<DueKey>(), Err(ParseDueError(text.to_owned())));
    }
}

#[test]
fn a_key_fires_once_for_its_schedule_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let other = ledger.store().ledger("test");
    for due in [key(0), DueKey::Commit(CommitId::new("3f2a91c")), DueKey::Manual(RunId::new("m1"))] {
        assert_eq!(start(&ledger, &due, "r1", at(0)), Fired::Recorded);
        let again = ledger.fire(&nightly(), &due, FireOutcome::Skipped, None, at(1)).unwrap();
        assert_eq!(again, Fired::AlreadyThere(Some(FireOutcome::Started)));
        let row = ledger.fire_of(&nightly(), &due).unwrap().unwrap();
        assert_eq!(
            (row.outcome, row.run.as_ref().map(RunId::as_str), row.recorded_at),
            (FireOutcome::Started, Some("r1"), at(0))
        );
        let hourly = ledger.fire(&ScheduleName::new("hourly"), &due, FireOutcome::Skipped, None, at(1)).unwrap();
        assert_eq!(hourly, Fired::Recorded, "another schedule");
        assert_eq!(start(&other, &due, "r2", at(1)), Fired::Recorded, "another environment");
    }
    assert_eq!(ledger.fires(Some(&nightly()), 10).unwrap().len(), 3);
    assert_eq!(ledger.fires(None, 10).unwrap().len(), 6);
    assert_eq!(ledger.fires(None, 2).unwrap().len(), 2);
}

#[test]
fn every_outcome_reads_back_from_the_table_and_from_json() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let outcomes = [
        FireOutcome::Started,
        FireOutcome::Queued,
        FireOutcome::Skipped,
        FireOutcome::Missed { missed_from: at(-600), missed: 11 },
        FireOutcome::Replaced,
    ];
    for (second, outcome) in (0..).zip(outcomes) {
        ledger.fire(&nightly(), &key(second), outcome, None, at(second)).unwrap();
        let row = ledger.fire_of(&nightly(), &key(second)).unwrap().unwrap();
        assert_eq!(row.outcome, outcome);
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["due"], key(second).to_string());
        assert!(json["outcome"].is_string(), "{json}");
        assert_eq!(serde_json::from_value::<FireRow>(json).unwrap(), row);
    }
    let newest = ledger.fires(None, 1).unwrap();
    assert_eq!(newest[0].outcome, FireOutcome::Replaced);
}

#[test]
fn the_latest_due_time_is_settled_whatever_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), None);
    start(&ledger, &DueKey::Commit(CommitId::new("3f2a91c")), "r0", at(900));
    start(&ledger, &DueKey::Manual(RunId::new("m1")), "r1", at(900));
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), None, "these are no due times");
    start(&ledger, &key(60), "r2", at(900));
    let missed = FireOutcome::Missed { missed_from: at(0), missed: 60 };
    ledger.fire(&nightly(), &key(59), missed, None, at(901)).unwrap();
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), Some(at(60)));
    for nanos in [500_000, 250_000_000, 120] {
        let due = at(60) + SignedDuration::from_nanos(nanos);
        ledger.fire(&nightly(), &DueKey::Instant(due), FireOutcome::Skipped, None, at(902)).unwrap();
    }
    let latest = at(60) + SignedDuration::from_nanos(250_000_000);
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), Some(latest), "to the nanosecond");
    assert_eq!(ledger.settled(&ScheduleName::new("hourly"), at(10_000)).unwrap(), None);
}

#[test]
fn a_queue_outlives_its_process_and_each_of_it_starts_once() {
    let dir = tempfile::tempdir().unwrap();
    let before = ledger(dir.path());
    for second in [10, 20] {
        before.fire(&nightly(), &key(second), FireOutcome::Queued, Some(&RunId::new("q")), at(second)).unwrap();
    }
    drop(before);
    let ledger = ledger(dir.path());
    let queued = ledger.queued().unwrap();
    assert_eq!(queued.iter().map(|row| row.due.clone()).collect::<Vec<_>>(), [key(10), key(20)]);
    let go = |run: &str| {
        ledger
            .refire(&nightly(), &key(10), FireOutcome::Queued, FireOutcome::Started, Some(&RunId::new(run)), at(30))
            .unwrap()
    };
    assert!(go("r1"));
    assert!(!go("r2"), "it does not wait any more");
    assert_eq!(ledger.fire_of(&nightly(), &key(10)).unwrap().unwrap().run.as_ref().map(RunId::as_str), Some("r1"));
    assert!(ledger.refire(&nightly(), &key(20), FireOutcome::Queued, FireOutcome::Replaced, None, at(31)).unwrap());
    assert_eq!(ledger.fire_of(&nightly(), &key(20)).unwrap().unwrap().outcome, FireOutcome::Replaced);
    assert!(ledger.queued().unwrap().is_empty());
}

#[test]
fn a_schedule_is_known_anew_when_its_content_changes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let see = |digest: &str, second| known_since(&ledger, &nightly(), digest, at(second));
    assert_eq!(see("a", 0), at(0));
    assert_eq!(see("a", 10), at(0));
    assert_eq!(see("b", 20), at(20));
    assert_eq!(see("a", 30), at(30), "an earlier form is new again");
    let hourly = ScheduleName::new("hourly");
    known_since(&ledger, &hourly, "h", at(40));
    known_since(&ledger.store().ledger("test"), &nightly(), "a", at(41));
    start(&ledger, &key(35), "r1", at(35));
    assert_eq!(ledger.forget_schedules([&hourly]).unwrap(), [nightly()]);
    assert!(ledger.forget_schedules([&hourly]).unwrap().is_empty());
    assert_eq!(see("a", 50), at(50), "known since it came back");
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), Some(at(35)), "its fires stay");
    let test = ledger.store().ledger("test");
    assert_eq!(known_since(&test, &nightly(), "a", at(60)), at(41), "of another environment");
}

#[test]
fn of_many_that_fire_a_key_at_once_one_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledgers: Vec<Ledger> = (0..4).map(|_| ledger(dir.path())).collect();
    let recorded = |ledger: &Ledger| -> usize {
        let fired = (0..KEYS).map(|second| start(ledger, &key(second), "r", at(second)));
        fired.filter(|fired| *fired == Fired::Recorded).count()
    };
    let wins: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = ledgers.iter().map(|ledger| scope.spawn(move || recorded(ledger))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(wins.iter().sum::<usize>(), KEYS as usize, "{wins:?}");
}

/// A process of the test below: fires every key and writes down which were its own.
#[test]
#[ignore = "run by `of_processes_that_fire_a_key_at_once_one_is_first` in processes of their own"]
fn fires_every_key() {
    let Some(dir) = crate::process::config::env(STATE_DIR) else { return };
    let dir = Path::new(&dir);
    let ledger = ledger(dir);
    std::fs::write(dir.join(format!("ready-{}", std::process::id())), "").unwrap();
    wait_for(&dir.join("go"));
    let own = (0..KEYS).filter(|second| start(&ledger, &key(*second), "r", at(*second)) == Fired::Recorded);
    let own: Vec<String> = own.map(|second| second.to_string()).collect();
    std::fs::write(dir.join(format!("own-{}", std::process::id())), own.join("\n")).unwrap();
}

#[test]
fn of_processes_that_fire_a_key_at_once_one_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3).map(|_| process("fires_every_key", dir.path())).collect();
    for child in &children {
        wait_for(&dir.path().join(format!("ready-{}", child.id())));
    }
    std::fs::write(dir.path().join("go"), "").unwrap();
    let mut own: Vec<i64> = Vec::new();
    for mut child in children {
        assert!(child.wait().unwrap().success());
        let text = std::fs::read_to_string(dir.path().join(format!("own-{}", child.id()))).unwrap();
        own.extend(text.lines().map(|line| line.parse::<i64>().unwrap()));
    }
    own.sort_unstable();
    assert_eq!(own, (0..KEYS).collect::<Vec<_>>(), "each key is somebody's, and nobody else's");
}

#[test]
fn what_was_flushed_outlives_a_power_cut_and_the_rest_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let before = ledger(&dir.path().join("before"));
    before.store().keep_log().unwrap();
    start(&before, &key(0), "r0", at(0));
    start(&before, &key(1), "r1", at(1));
    before.flush().unwrap();
    start(&before, &key(2), "r2", at(2));
    let after = dir.path().join("after");
    before.store().power_cut(&after).unwrap();
    let ledger = ledger(&after);
    let runs: Vec<Option<RunId>> = ledger.fires(None, 9).unwrap().into_iter().map(|row| row.run).collect();
    assert_eq!(runs, ["r1", "r0"].map(|id| Some(RunId::new(id))));
}

#[test]
fn a_clock_that_was_ahead_leaves_due_times_that_settle_themselves_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let years = 10 * 365 * 24 * 3600;
    start(&ledger, &key(0), "r0", at(0));
    let missed = FireOutcome::Missed { missed_from: at(60), missed: 1000 };
    ledger.fire(&nightly(), &key(years), missed, None, at(years)).unwrap();
    for minute in 1..5 {
        let due = years + 60 * minute;
        ledger.fire(&nightly(), &key(due), FireOutcome::Skipped, None, at(due)).unwrap();
    }
    let settled = |ledger: &Ledger| ledger.settled(&nightly(), at(90)).unwrap();
    assert_eq!(settled(&ledger), Some(at(0)));
    assert!(ledger.is_settled(&nightly(), at(years + 60)).unwrap() && !ledger.is_settled(&nightly(), at(60)).unwrap());
    // Also when their rows are gone.
    ledger.settle_interrupted(&RunId::new("r0"), crate::schedule::RunVerdict::Aborted, "", at(1)).unwrap();
    ledger.prune_runs(&nightly(), 0).unwrap();
    assert!(ledger.fires(None, 9).unwrap().len() <= 1);
    assert_eq!(settled(&ledger), Some(at(0)));
    assert_eq!(start(&ledger, &key(60), "r1", at(90)), Fired::Recorded);
    assert_eq!(start(&ledger, &key(years + 60), "r2", at(90)), Fired::AlreadyThere(None));
}

#[test]
fn a_schedule_that_was_first_known_by_a_clock_ahead_is_known_since_the_clock_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    assert_eq!(known_since(&ledger, &nightly(), "a", at(9_000)), at(9_000));
    assert_eq!(known_since(&ledger, &nightly(), "a", at(10)), at(10));
    assert_eq!(known_since(&ledger, &nightly(), "a", at(20)), at(10));
}

#[test]
fn a_digest_of_another_encoding_changes_no_schedule() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let see = |digest: &str, commit: &str, second| {
        ledger.see_schedules([(&nightly(), digest.to_owned())], &CommitId::new(commit), at(second)).unwrap()[&nightly()]
            .clone()
    };
    let first = see("3f2a91", "c1", 0);
    assert_eq!(see("1:aaaa", "c2", 10), first, "of an earlier version");
    assert_eq!(see("1:aaaa", "c3", 20), first);
    let changed = see("1:bbbb", "c4", 30);
    assert_eq!((changed.since, changed.revision.as_str()), (at(30), "c4"));
}

/// The process of the test below: fires, begins one of two runs, and waits to be killed.
#[test]
#[ignore = "run by `a_run_that_was_killed_before_it_began_is_found` in a process of its own"]
fn fires_and_waits() {
    let Some(dir) = crate::process::config::env(STATE_DIR) else { return };
    let dir = Path::new(&dir);
    let ledger = ledger(dir);
    start(&ledger, &key(0), "began", at(0));
    let run = RunStart {
        id: RunId::new("began"),
        schedule: nightly(),
        due: key(0),
        revision: CommitId::new("3f2a91c"),
        strict: false,
        planned_at: at(0),
        boot: "b1".to_owned(),
        process: None,
    };
    ledger.prepare_run(&run).unwrap();
    ledger.begin_run(&RunId::new("began"), at(0)).unwrap();
    start(&ledger, &key(40), "ready", at(40));
    let ready = RunStart { id: RunId::new("ready"), due: key(40), planned_at: at(40), ..run };
    ledger.prepare_run(&ready).unwrap();
    ledger.fire(&nightly(), &key(30), FireOutcome::Skipped, None, at(30)).unwrap();
    start(&ledger, &key(60), "fired", at(60));
    std::fs::write(dir.join("ready"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_run_that_was_killed_before_it_began_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = process("fires_and_waits", dir.path());
    wait_for(&dir.path().join("ready"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ledger = ledger(dir.path());
    let found = |run: &str, second, began| Interrupted {
        run: RunId::new(run),
        schedule: nightly(),
        due: key(second),
        since: at(second),
        began,
        process: None,
    };
    let in_this_boot = [found("began", 0, true), found("ready", 40, false), found("fired", 60, false)];
    assert_eq!(ledger.interrupted_runs("b1").unwrap(), in_this_boot);
    let in_another = [found("began", 0, true), found("ready", 40, true), found("fired", 60, false)];
    assert_eq!(ledger.interrupted_runs("b2").unwrap(), in_another, "its start may have been lost with the power");
    assert_eq!(start(&ledger, &key(60), "r", at(61)), Fired::AlreadyThere(Some(FireOutcome::Started)));
    assert_eq!(ledger.settled(&nightly(), at(10_000)).unwrap(), Some(at(60)), "it does not come again by itself");
    assert!(ledger.store().ledger("test").interrupted_runs("b1").unwrap().is_empty());
}

/// What happens to a scheduler.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The wall clock is this many seconds later, or earlier, and it looks at what is due.
    Look(i64),
    /// Its process dies and another begins.
    Restart,
    /// Old runs and fires are removed.
    Prune(usize),
    /// The schedule changes.
    Change,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (-200i64..600).prop_map(Happening::Look),
        1 => Just(Happening::Restart),
        1 => (0usize..4).prop_map(Happening::Prune),
        1 => Just(Happening::Change),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_due_time_starts_at_most_once(
        happenings in prop::collection::vec(happening(), 1..25),
        policy in prop_oneof![Just(Missed::Skip), Just(Missed::RunOnce), Just(Missed::RunAll(3))],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path());
        let cron = Start::Cron(Cadence::parse("* * * * *", "UTC").unwrap());
        let (mut now, mut form, mut started) = (at(0), 0, BTreeSet::new());
        for (step, happening) in happenings.into_iter().enumerate() {
            match happening {
                Happening::Look(seconds) => now += SignedDuration::from_secs(seconds),
                Happening::Restart => ledger = self::ledger(dir.path()),
                Happening::Prune(keep) => { ledger.prune_runs(&nightly(), keep).unwrap(); }
                Happening::Change => form += 1,
            }
            let seen = known_since(&ledger, &nightly(), &form.to_string(), now);
            let settled = ledger.settled(&nightly(), now).unwrap();
            let answer = due(&cron, policy, seen, settled, now);
            if let Some(span) = answer.missed {
                let missed = FireOutcome::Missed { missed_from: span.first, missed: span.count };
                let key = DueKey::Instant(span.last);
                prop_assert_eq!(ledger.fire(&nightly(), &key, missed, None, now).unwrap(), Fired::Recorded);
            }
            for (index, at) in answer.run.iter().enumerate() {
                let (key, run) = (DueKey::Instant(*at), format!("{step}-{index}"));
                prop_assert_eq!(start(&ledger, &key, &run, now), Fired::Recorded, "what is due was never fired");
                prop_assert!(started.insert(*at), "{} started twice", at);
                ledger.settle_interrupted(&RunId::new(run.clone()), crate::schedule::RunVerdict::Aborted, "", now).unwrap();
            }
            for at in &started {
                let again = start(&ledger, &DueKey::Instant(*at), "again", now);
                prop_assert!(matches!(again, Fired::AlreadyThere(_)), "{} could start again", at);
            }
        }
    }
}

/// Since when a schedule is known in this form.
fn known_since(ledger: &Ledger, schedule: &ScheduleName, digest: &str, now: Timestamp) -> Timestamp {
    ledger.see_schedules([(schedule, digest.to_owned())], &CommitId::new("3f2a91c"), now).unwrap()[schedule].since
}
