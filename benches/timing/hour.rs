//! A run of an hour at 1 kHz, simulated: 3,600,000 occurrences go through the timeline, the record and the recorder into a
//! real store as fast as they can. Fails when the memory of the process exceeds what a daemon may have.

use crate::figures::{note, verdict};
use setpoint::manifest::compile;
use setpoint::model::{CommitId, FileEntry, FileKind, FileTree, RunId, Schedule, ScheduleName, Timestamp};
use setpoint::runs::{Moment, Recorder, moments};
use setpoint::schedule::{Effect, End, Input, Lane, Record, Timeline};
use setpoint::store::{DueKey, FireOutcome, RunStart, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

const OCCURRENCES: u32 = 3_600_000;
/// Resident at most, in MiB.
const REACH: u64 = 64;
const TOOK: Duration = Duration::from_micros(50);

pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Store::open(folder.path()).unwrap().ledger("default");
    let schedule = schedule();
    let name = ScheduleName::new("hour");
    let (due, now) = (DueKey::Manual(RunId::new("bench")), Timestamp::UNIX_EPOCH);
    ledger.fire(&name, &due, FireOutcome::Started, Some(&RunId::new("r")), now).unwrap();
    let start = RunStart {
        id: RunId::new("r"),
        schedule: name,
        due,
        revision: CommitId::new("bench"),
        strict: false,
        planned_at: now,
        boot: "bench".to_owned(),
        process: None,
    };
    ledger.prepare_run(&start).unwrap();
    ledger.begin_run(&RunId::new("r"), now).unwrap();

    let begin = Instant::now();
    let (mut sender, mut all) = moments(264);
    let recorder = Recorder::new(Some((ledger, RunId::new("r"))), Arc::clone(&schedule));
    let follows = std::thread::spawn(move || {
        let mut settled = 0u32;
        recorder.follow(&mut all, |_| {}, |_| settled += 1);
        settled
    });
    let mut timeline = Timeline::new(&schedule, |_, _| Lane::WRAPPER);
    let (mut record, mut effects, mut ended) = (Record::default(), Vec::new(), None);
    while !timeline.is_over() {
        let next = timeline.next().unwrap_or(Duration::MAX);
        let (at, input) = match ended.take_if(|(at, _)| *at <= next) {
            Some((at, attempt)) => (at, Input::Ended(attempt, End::Success)),
            None => (next, Input::Tick),
        };
        record.input(at, &input);
        sender.send(Moment::Input(at, input));
        timeline.step(at, input, &mut effects);
        for effect in effects.drain(..) {
            record.effect(&schedule, at, &effect);
            sender.send(Moment::Effect(at, effect));
            match effect {
                Effect::Start { attempt, .. } => ended = Some((at + TOOK, attempt)),
                Effect::Settled { task, first, .. } => {
                    // A real run has a millisecond for each: this one waits for who writes it down.
                    sender.settled(record.take(task, first).unwrap());
                    while !sender.hand_over() {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
                _ => {}
            }
        }
    }
    drop(sender);
    assert_eq!(follows.join().unwrap(), OCCURRENCES);
    note("an hour at 1 kHz, simulated in", &format!("{:.0} s", begin.elapsed().as_secs_f64()));
    let most = resident();
    verdict("an hour at 1 kHz, resident at most", &format!("{most} MiB"), &format!("<= {REACH} MiB"), most <= REACH);
    assert!(most <= REACH, "the memory of a long run is not bounded");
}

fn schedule() -> Arc<Schedule> {
    let text = format!(
        "schedule:\n  name: hour\n  tasks: [{{id: t, address: \"h:1\", scheduled_time: 0, period: 1ms, count: {OCCURRENCES}}}]\n"
    );
    let mut tree = FileTree::default();
    let entry = FileEntry {
        oid: String::new(),
        kind: FileKind::Regular,
        size: text.len() as u64,
        content: Some(text.as_bytes().into()),
    };
    tree.files.insert("schedules/hour.yaml".to_owned(), entry);
    Arc::new(compile(&tree).unwrap().schedules.into_values().next().unwrap())
}

/// The most that this process ever had resident, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}
