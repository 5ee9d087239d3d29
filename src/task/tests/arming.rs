//! Starts ahead of their instant: never early, taken back, missed, and told to watchers.

use super::*;
use crate::rt::{Lateness, Monotonic};
use crate::task::clock::stamp;
use crate::wire::{Arm, Disarmed, Happened, TaskEvent, TaskState, WatchFrom};

/// For whichever runner it is sent to.
fn arm(task: &str, parameters: Value, after: Duration) -> Arm {
    let release = stamp().monotonic + after;
    Arm { start: start(task, parameters), instance: String::new(), release, late_limit: Duration::from_secs(2) }
}

/// Watches the run of these tests, which then needs no notices.
fn own_run() -> WatchFrom {
    WatchFrom { run: "run".to_owned(), ..WatchFrom::default() }
}

async fn armed(runs: &Runs, arm: &Arm) -> Result<(), CallError> {
    let instance = runs.channel.clock(BOUND).await.unwrap().instance;
    runs.channel.arm(&Arm { instance, ..arm.clone() }, TaskProtocol::Json, BOUND).await
}

async fn next(events: &mut crate::wire::Events<'_>) -> TaskEvent {
    tokio::time::timeout(BOUND, events.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn an_armed_start_is_never_early_and_is_told() {
    let mut runs = Runs::one("echo").await;
    let channel = TaskChannel::new(runs.channel.address().clone(), None, None);
    let mut events = channel.watch(&own_run(), BOUND).await.unwrap();
    let mut lateness = Lateness::new();
    for round in 0..20u64 {
        let arm = arm("t", json!({"round": round}), Duration::from_millis(15));
        armed(&runs, &arm).await.unwrap();
        let started = next(&mut events).await;
        let ended = next(&mut events).await;
        let (Happened::Started { start }, Happened::Ended(end)) = (started.what, ended.what) else {
            panic!("a start, then an end")
        };
        assert_eq!((started.sequence, ended.sequence), (2 * round + 1, 2 * round + 2));
        assert_eq!((&started.key, &ended.key), (&arm.start.key, &arm.start.key));
        assert_eq!((end.start, end.result), (start, TaskResult::Success));
        assert!(end.output_json.contains("\"round\"") && end.end.monotonic >= start.monotonic);
        assert!(start.monotonic >= arm.release, "early: {start:?} {arm:?}");
        lateness.record(start.monotonic - arm.release);
    }
    eprintln!("armed: p50 {:?} max {:?} late", lateness.percentile(50.0), lateness.max());
    assert!(runs.notices.try_recv().is_err(), "who watches is told once");
}

#[tokio::test]
async fn an_end_that_nobody_watches_is_told_with_its_lateness() {
    let mut runs = Runs::one("echo").await;
    armed(&runs, &arm("t", json!({}), Duration::from_millis(5))).await.unwrap();
    let notice = runs.end().await;
    assert!(notice.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap()["late_ns"].is_u64());
}

#[tokio::test]
async fn what_is_taken_back_does_not_start() {
    let runs = Runs::one("echo").await;
    let arm = arm("t", json!({}), Duration::from_millis(100));
    let key = &arm.start.key;
    assert_eq!(runs.channel.disarm(key, BOUND).await.unwrap(), Disarmed::NotArmed);
    armed(&runs, &arm).await.unwrap();
    armed(&runs, &arm).await.expect("the same again is the same");
    assert_eq!(runs.channel.status(&any("t"), BOUND).await.unwrap().state, TaskState::Starting);
    assert_eq!(runs.channel.disarm(key, BOUND).await.unwrap(), Disarmed::Disarmed);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut events = runs.channel.watch(&WatchFrom::default(), BOUND).await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
    assert!(silent.is_err(), "nothing has happened: {silent:?}");
    assert_eq!(runs.channel.disarm(key, BOUND).await.unwrap(), Disarmed::NotArmed);
}

#[tokio::test]
async fn what_has_started_cannot_be_taken_back() {
    let mut runs = Runs::one("sleep").await;
    let arm = arm("t", json!({"ms": 200}), Duration::from_millis(1));
    armed(&runs, &arm).await.unwrap();
    while runs.channel.status(&any("t"), BOUND).await.unwrap().state != TaskState::Running {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(runs.channel.disarm(&arm.start.key, BOUND).await.unwrap(), Disarmed::Started);
    assert_eq!(runs.end().await.result, TaskResult::Success);
    assert_eq!(runs.channel.disarm(&arm.start.key, BOUND).await.unwrap(), Disarmed::Started, "over is started too");
    assert!(matches!(armed(&runs, &arm).await, Err(CallError::Refused { .. })), "and does not start again");
}

#[tokio::test]
async fn an_instant_on_the_clock_of_another_runner_is_refused() {
    let runs = Runs::one("echo").await;
    let arm = Arm { instance: "the one before".to_owned(), ..arm("t", json!({}), Duration::from_millis(50)) };
    let error = runs.channel.arm(&arm, TaskProtocol::Json, BOUND).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("another runner")), "{error:?}");
}

#[tokio::test]
async fn a_stop_that_names_its_attempt_leaves_the_same_task_of_another_run_alone() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["sleep".to_owned()];
        settings.parallel = std::num::NonZeroUsize::new(2).unwrap();
    })
    .await;
    let of = |run: &str| {
        let mut start = start("sleep", json!({"ms": 300}));
        start.key.run_id = run.to_owned();
        start
    };
    let (first, second) = (of("one"), of("two"));
    for start in [&first, &second] {
        runs.channel.start(&PreparedStart::new(start, TaskProtocol::Json), BOUND).await.unwrap();
    }
    runs.channel.stop(&second.key, Duration::from_secs(1), BOUND).await.unwrap();
    assert_eq!(runs.channel.status(&first.key, BOUND).await.unwrap().state, TaskState::Running);
    assert_eq!(runs.channel.status(&second.key, BOUND).await.unwrap().state, TaskState::Stopped);
    let (one, two) = (runs.end().await, runs.end().await);
    assert_eq!((one.run_id.as_str(), one.result), ("two", TaskResult::Cancelled));
    assert_eq!((two.run_id.as_str(), two.result), ("one", TaskResult::Success));
}

#[tokio::test]
async fn an_attempt_that_was_stopped_before_it_came_is_not_begun() {
    let runs = Runs::one("echo").await;
    let start = start("echo", json!({}));
    runs.channel.stop(&start.key, Duration::ZERO, BOUND).await.unwrap();
    let prepared = PreparedStart::new(&start, TaskProtocol::Json);
    let answer = runs.channel.start(&prepared, BOUND).await;
    assert_eq!(refused(answer), "it was stopped before it came");
    let ahead = Arm { start, ..arm("echo", json!({}), Duration::from_millis(10)) };
    assert!(matches!(armed(&runs, &ahead).await, Err(CallError::Refused { .. })));
}

#[tokio::test]
async fn a_stop_takes_back_what_is_armed() {
    let runs = Runs::one("echo").await;
    let arm = arm("t", json!({}), Duration::from_secs(60));
    armed(&runs, &arm).await.unwrap();
    runs.channel.stop(&any("t"), Duration::ZERO, BOUND).await.unwrap();
    assert_eq!(runs.channel.disarm(&arm.start.key, BOUND).await.unwrap(), Disarmed::NotArmed);
}

#[tokio::test]
async fn an_arm_that_comes_too_late_is_refused() {
    let runs = Runs::one("echo").await;
    let now = stamp();
    let ago = Duration::from_millis(500);
    let mut late = arm("t", json!({}), Duration::ZERO);
    late.release = now.monotonic - ago;
    late.late_limit = Duration::from_millis(100);
    let error = armed(&runs, &late).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("100ms")), "{error:?}");
    late.late_limit = Duration::from_secs(60);
    armed(&runs, &late).await.expect("late, and within the limit");
}

#[tokio::test]
async fn a_place_that_is_taken_at_the_instant_is_waited_for_up_to_the_limit() {
    let mut runs = Runs::one("sleep").await;
    let mut patient = arm("patient", json!({"ms": 1}), Duration::from_millis(400));
    let mut hasty = arm("hasty", json!({"ms": 1}), Duration::from_millis(400));
    patient.late_limit = Duration::from_secs(5);
    hasty.late_limit = Duration::from_millis(20);
    armed(&runs, &patient).await.unwrap();
    armed(&runs, &hasty).await.unwrap();
    runs.start("long", json!({"ms": 800})).await.expect("what is armed leaves the runner idle");
    let ends = [runs.end().await, runs.end().await];
    assert_eq!([&ends[0].task_id, &ends[1].task_id], ["long", "patient"]);
    assert!(ends[1].start >= ends[0].end, "one at a time");
    let mut events = runs.channel.watch(&WatchFrom::default(), BOUND).await.unwrap();
    let mut missed = None;
    while missed.is_none() {
        let event = next(&mut events).await;
        if let Happened::Missed { late } = event.what {
            missed = Some((event.key, late));
        }
    }
    let (key, late) = missed.unwrap();
    assert_eq!(key, hasty.start.key);
    assert!(late >= Duration::from_millis(20), "{late:?}");
}

#[tokio::test]
async fn more_than_its_limit_is_not_armed_and_the_end_of_the_runner_takes_all_back() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned()];
        settings.max_armed = 3;
    })
    .await;
    let begin = Monotonic::now();
    for round in 0..4 {
        let answer = armed(&runs, &arm(&format!("t{round}"), json!({}), Duration::from_secs(60))).await;
        assert_eq!(answer.is_ok(), round < 3, "{answer:?}");
    }
    runs.start("now", json!({})).await.expect("there is a worker for it");
    assert_eq!(runs.end().await.task_id, "now");
    runs.close().await;
    assert!(Monotonic::now().since(begin) < Duration::from_secs(20));
    assert!(runs.notices.try_recv().is_err(), "none of them ran");
}

/// Each is taken back at about its instant: it starts or it was taken back, never both and never neither, and no place
/// is lost over it.
#[tokio::test]
async fn every_armed_task_has_one_fate() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned(), "sleep".to_owned()];
        settings.parallel = std::num::NonZeroUsize::new(2).unwrap();
    })
    .await;
    let watching = TaskChannel::new(runs.channel.address().clone(), None, None);
    let mut events = watching.watch(&own_run(), BOUND).await.unwrap();
    let (mut back, mut ran) = (0, 0);
    for round in 0..150u64 {
        let arm = arm("echo", json!({}), Duration::from_millis(9));
        armed(&runs, &arm).await.unwrap();
        let instant = Monotonic::from_nanos(u64::try_from(arm.release.as_nanos()).unwrap());
        // From six milliseconds before the instant to half of one after it; the call takes some of that.
        while Monotonic::now() + Duration::from_millis(6) < instant + Duration::from_micros(round * 43) {
            std::hint::spin_loop();
        }
        match runs.channel.disarm(&arm.start.key, BOUND).await.unwrap() {
            Disarmed::Disarmed => back += 1,
            Disarmed::Started => {
                ran += 1;
                let (started, ended) = (next(&mut events).await, next(&mut events).await);
                assert_eq!((&started.key, &ended.key), (&arm.start.key, &arm.start.key));
                assert!(matches!(ended.what, Happened::Ended(_)), "{ended:?}");
            }
            Disarmed::NotArmed => panic!("it was armed"),
        }
    }
    eprintln!("{back} taken back, {ran} ran");
    assert!(back > 0 && ran > 0, "{back} taken back, {ran} ran: not about the instant");
    assert!(runs.notices.try_recv().is_err(), "nothing ran that was taken back");
    for task in ["a", "b"] {
        runs.start(task, json!({"ms": 100, "task_type": "sleep"})).await.expect("both places are there");
    }
    assert!(refused(runs.start("c", json!({"task_type": "sleep"})).await).starts_with("not in IDLE"));
}

#[tokio::test]
async fn many_are_armed_at_once_and_each_has_a_worker_of_its_own() {
    let runs = Runs::one("echo").await;
    let channel = TaskChannel::new(runs.channel.address().clone(), None, None);
    let mut events = channel.watch(&WatchFrom::default(), BOUND).await.unwrap();
    let arms: Vec<Arm> = (0..24).map(|_| arm("t", json!({}), Duration::from_millis(400))).collect();
    let answers = futures_util::future::join_all(arms.iter().map(|arm| armed(&runs, arm))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut ended = 0;
    while ended < arms.len() {
        ended += usize::from(matches!(next(&mut events).await.what, Happened::Ended(_)));
    }
}

/// The settings of a task, and whether it insists on them.
fn wish(mut start: Start, policy: RtPolicy, cpu: Option<u32>, strict: bool) -> Start {
    (start.real_time, start.strict) = (RealTime { policy, cpu }, strict);
    start
}

/// A CPU that no machine of these tests has.
const NO_CPU: Option<u32> = Some(8000);

#[tokio::test]
async fn what_cannot_be_had_is_told_with_the_end_or_refused_before_the_start() {
    let mut runs = Runs::one("echo").await;
    let channel = TaskChannel::new(runs.channel.address().clone(), None, None);
    let plain =
        |strict| PreparedStart::new(&wish(start("t", json!({})), RtPolicy::Other, NO_CPU, strict), TaskProtocol::Json);
    let refused = refused(runs.channel.start(&plain(true), BOUND).await);
    assert!(refused.starts_with("cpu 8000 was not applied: there is no such CPU online"), "{refused}");
    let ahead = arm("t", json!({}), Duration::from_millis(100));
    let strict = Arm { start: wish(ahead.start.clone(), RtPolicy::Other, NO_CPU, true), ..ahead.clone() };
    let error = armed(&runs, &strict).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("cpu 8000")), "{error}");

    runs.channel.start(&plain(false), BOUND).await.unwrap();
    let notice = runs.end().await;
    assert_eq!(notice.result, TaskResult::Success);
    let mut events = channel.watch(&WatchFrom::default(), BOUND).await.unwrap();
    let Happened::Started { .. } = next(&mut events).await.what else { panic!("a start") };
    let Happened::Ended(ended) = next(&mut events).await.what else { panic!("an end") };
    assert!(ended.remarks.len() == 1 && ended.remarks[0].starts_with("cpu 8000 was not applied"), "{ended:?}");
}

#[tokio::test]
async fn a_runner_says_ahead_what_its_tasks_could_not_have() {
    let runs = Runs::one("echo").await;
    let other = RtPolicy::Other;
    let wishes = [(other, None), (other, NO_CPU), (RtPolicy::Fifo { priority: 99 }, None)];
    let wishes = wishes.map(|(policy, cpu)| RealTime { policy, cpu });
    let known = runs.channel.capabilities(&wishes, BOUND).await.unwrap();
    let [(1, cpu), (2, fifo)] = known.not_applied.as_slice() else { panic!("{:?}", known.not_applied) };
    assert!(cpu.starts_with("cpu 8000") && fifo.starts_with("fifo 99"), "{cpu}, {fifo}");
}

#[tokio::test]
async fn the_server_stands_above_a_task_that_computes_and_comes_down_after_it() {
    let policy = || crate::rt::current().unwrap().policy;
    let mut runs = Runs::one("busy").await;
    let fifo = RtPolicy::Fifo { priority: 30 };
    let one = wish(start("t", json!({"ms": 60_000})), fifo, None, false);
    runs.channel.start(&PreparedStart::new(&one, TaskProtocol::Json), BOUND).await.unwrap();
    // The runner serves on this very thread.
    let (during, end) = (policy(), runs.channel.stop(&any("t"), Duration::from_secs(1), BOUND).await);
    assert!(end.is_ok(), "{end:?}");
    let notice = runs.end().await;
    assert_eq!(notice.result, TaskResult::Cancelled);
    let metrics = notice.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap();
    if metrics["not_applied"].is_array() {
        eprintln!("skipped: {}", metrics["not_applied"]);
        return;
    }
    assert_eq!((during, policy()), (RtPolicy::Fifo { priority: 31 }, RtPolicy::Other));
}
