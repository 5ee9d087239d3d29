use super::*;
use crate::model::{
    CommitId, FeasibilityPolicy, Location, Missed, Overlap, RealTime, Release, Repeat, RtPolicy, ScheduleName, Start,
    Target, Task, TaskAddress, TaskId, TaskProtocol, Timestamp,
};
use crate::runs::moments;
use crate::schedule::{Attempt, End, Row, RunVerdict, Try};
use crate::store::{DueKey, FigureKind, FireOutcome, RunStart, Store};

fn schedule(count: u32) -> Arc<Schedule> {
    let at = Location { file: "s.yaml".into(), line: 1, column: 1 };
    let repeat = Some(Repeat { period: Duration::from_millis(1), count });
    let task = Task {
        id: TaskId::new("t"),
        at: at.clone(),
        target: Target::Address(TaskAddress::Unix("/t".to_owned())),
        protocol: TaskProtocol::Json,
        release: Release::Timed { at: Duration::ZERO, repeat },
        needs: Vec::new(),
        deadline: None,
        timeout: Duration::from_secs(3600),
        start_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(10),
        grace: Duration::from_secs(5),
        estimate: None,
        priority: 50,
        max_retries: 0,
        retry_delay: Duration::from_secs(1),
        critical: false,
        real_time: RealTime { policy: RtPolicy::Other, cpu: None },
        parameters: serde_json::Map::new(),
        environment: std::collections::BTreeMap::new(),
    };
    Arc::new(Schedule {
        name: ScheduleName::new("s"),
        title: "s".to_owned(),
        description: None,
        at,
        start: Start::Manual,
        missed: Missed::RunOnce,
        overlap: Overlap::Skip,
        jitter: Duration::ZERO,
        strict: false,
        feasibility: FeasibilityPolicy::Warn,
        tasks: vec![task],
    })
}

fn prepared(ledger: &Ledger) {
    let now = Timestamp::UNIX_EPOCH;
    let due = DueKey::Manual(RunId::new("m"));
    ledger.fire(&ScheduleName::new("s"), &due, FireOutcome::Started, Some(&RunId::new("r")), now).unwrap();
    let start = RunStart {
        id: RunId::new("r"),
        schedule: ScheduleName::new("s"),
        due,
        revision: CommitId::new("c"),
        strict: false,
        planned_at: now,
        boot: "b".to_owned(),
        process: None,
    };
    ledger.prepare_run(&start).unwrap();
    ledger.begin_run(&RunId::new("r"), now).unwrap();
}

fn row(occurrence: u32) -> Row {
    let at = Duration::from_millis(occurrence.into());
    let one =
        Try { released: at, sent: at, armed: false, acknowledged: None, ended: Some(at), end: Some(End::Success) };
    let task = TaskIndex(0);
    let (due, verdict) = (Some(at), Some(Verdict::Succeeded));
    Row { task, occurrence, count: 1, due, tries: vec![one], verdict, missed_deadline: false }
}

#[test]
fn every_settled_occurrence_is_written_once_however_far_the_recorder_is_behind() {
    const COUNT: u32 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let ledger = Store::open(folder.path()).unwrap().ledger("prod");
    prepared(&ledger);
    let (mut sender, mut moments) = moments(64);
    let schedule = schedule(COUNT);
    let recorder = Recorder::new(Some((ledger.clone(), RunId::new("r"))), Arc::clone(&schedule));
    let tells = std::thread::spawn(move || {
        for occurrence in 0..COUNT {
            let attempt = Attempt { task: TaskIndex(0), occurrence, number: 1 };
            let at = Duration::from_millis(occurrence.into());
            sender.send(Moment::Effect(at, Effect::Start { attempt, due: at }));
            sender.send(Moment::Input(at, Input::Ended(attempt, End::Success)));
            sender.settled(row(occurrence));
        }
        sender.send(Moment::Effect(Duration::from_secs(9), Effect::Ended(RunVerdict::Succeeded)));
        while !sender.hand_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let mut seen = 0;
    assert_eq!(recorder.follow(&mut moments, |_| {}, |_| seen += 1), [""; 0]);
    tells.join().unwrap();
    let run = ledger.run(&RunId::new("r")).unwrap().unwrap();
    assert_eq!((run.tasks.len(), seen), (COUNT as usize, COUNT));
    assert!(run.tasks.iter().all(|task| task.verdict == Some(Verdict::Succeeded)));
    let figures = ledger.figures(&schedule.name).unwrap();
    let count = |kind| figures.iter().find(|one| one.kind == kind).map(|one| one.figures.count);
    assert_eq!((count(FigureKind::Sent), count(FigureKind::Duration)), (Some(3_000), Some(3_000)));
    assert_eq!(count(FigureKind::Lateness), None, "nobody stamped a true start");
}

#[test]
fn what_goes_on_is_in_the_store_before_it_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Store::open(folder.path()).unwrap().ledger("prod");
    prepared(&ledger);
    let (sender, mut moments) = moments(64);
    let recorder = Recorder::new(Some((ledger.clone(), RunId::new("r"))), schedule(2));
    let follows = std::thread::spawn(move || recorder.follow(&mut moments, |_| {}, drop));
    let attempt = Attempt { task: TaskIndex(0), occurrence: 1, number: 1 };
    sender.send(Moment::Effect(Duration::ZERO, Effect::Start { attempt, due: Duration::ZERO }));
    let begin = clock::monotonic();
    while ledger.run(&RunId::new("r")).unwrap().unwrap().tasks.is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is not written");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(sender);
    follows.join().unwrap();
    let tasks = ledger.run(&RunId::new("r")).unwrap().unwrap().tasks;
    assert_eq!((tasks.len(), tasks[0].occurrence, tasks[0].verdict), (1, 1, None));
}

/// The memory of a run does not grow with its length, also when the recorder never catches up.
#[test]
fn figures_are_written_while_more_and_more_settles() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Store::open(folder.path()).unwrap().ledger("prod");
    prepared(&ledger);
    let schedule = schedule(1_000_000);
    let mut recorder = Recorder::new(Some((ledger.clone(), RunId::new("r"))), Arc::clone(&schedule));
    for chunk in 0..60 {
        let rows = (chunk * 100..).take(CHUNK).map(row);
        let settled: Vec<Occurrence> = rows.map(|row| Occurrence { row, details: Vec::new() }).collect();
        recorder.record_settled(&settled);
        assert!(!recorder.values.is_enough(), "{} occurrences are held", (chunk + 1) * 100);
    }
    assert!(ledger.figures(&schedule.name).unwrap().iter().any(|one| one.figures.count > 4_000));
}

#[test]
fn fewer_runs_are_kept_of_what_is_large_and_some_of_everything() {
    assert_eq!(
        [1, 2_000, 10_000, 100_000, 10_000_000].map(|count| runs_kept(&schedule(count))),
        [500, 500, 100, 10, 10]
    );
}
