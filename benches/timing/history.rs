//! Whether runs begin as late with 50,000 runs on record as with none: each second ten are due, and each one's end removes
//! an old one.

use crate::cron::{Daemon, commit, now};
use crate::figures::{note, verdict};
use crate::rig::runner;
use setpoint::model::{RunId, ScheduleName, Timestamp};
use setpoint::schedule::RunVerdict;
use setpoint::store::{DueKey, FireOutcome, Store};
use std::path::Path;
use std::time::Duration;

const SCHEDULES: u32 = 10;
const RUNS: u32 = 50_000;
const WATCHED: Duration = Duration::from_secs(60);
/// With a history at most so many times as late, or this much later.
const REACH: f64 = 1.3;
const NOISE: Duration = Duration::from_micros(500);

pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let (_runner, address) = runner(folder.path(), 16);
    let repo = commit(folder.path(), "history", &address, SCHEDULES, |_| "* * * * * *".to_owned());
    let mut late = Vec::new();
    for (name, runs) in [("none", 0), ("many", RUNS)] {
        fill(&folder.path().join(format!("{name}-state")), runs);
        let daemon = Daemon::start(folder.path(), name, &repo);
        let begin = now();
        std::thread::sleep(WATCHED);
        let end = now();
        std::thread::sleep(Duration::from_secs(3));
        let times = daemon.late(begin, end);
        let due = u64::from(SCHEDULES) * (end.as_second() - begin.as_second()).unsigned_abs();
        // A due time that was skipped or refused must not improve the figure by that.
        assert_eq!(times.count() as u64, due, "due times without a run");
        note(&format!("{runs} runs on record, due time to the true start"), &times.micros());
        late.push(times.quantile(0.99));
    }
    let [none, many] = late.as_slice() else { return };
    let good = *many <= none.mul_f64(REACH).max(*none + NOISE);
    let measured = format!("{:.2} ms / {:.2} ms", many.as_secs_f64() * 1e3, none.as_secs_f64() * 1e3);
    verdict("lateness with 50,000 runs on record / with none, p99", &measured, "<= 1.3 x", good);
    assert!(good, "the history makes runs late");
}

/// Runs that were closed long ago: made in memory, since each of them is waited for until it is on the disk.
fn fill(state: &Path, runs: u32) {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    write(memory.path(), runs);
    std::fs::create_dir(state).unwrap();
    for entry in std::fs::read_dir(memory.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), state.join(entry.file_name())).unwrap();
    }
}

fn write(state: &Path, runs: u32) {
    let ledger = Store::open(state).unwrap().ledger("default");
    for run in 0..runs {
        let due = Timestamp::from_second(1_600_000_000 + i64::from(run)).unwrap();
        let (schedule, id) = (ScheduleName::new(format!("s{}", run % SCHEDULES)), format!("old-{run}"));
        ledger
            .fire(&schedule, &DueKey::Instant(due), FireOutcome::Started, Some(&RunId::new(id.clone())), due)
            .unwrap();
        ledger.settle_interrupted(&RunId::new(id.clone()), RunVerdict::Aborted, "of a benchmark", due).unwrap();
    }
}
