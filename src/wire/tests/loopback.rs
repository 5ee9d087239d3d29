//! Both directions, over TCP, TLS and a Unix socket, in both forms.

use crate::model::{TaskId, TaskProtocol};
use crate::wire::start::tests::start;
use crate::wire::testing::{BOUND, addresses, orchestrator, runner, tls};
use crate::wire::{
    Arm, AttemptKey, CallError, Capabilities, ClockReading, Disarmed, EndNotice, Happened, Health, KeepAlive, NoAnswer,
    OrchestratorChannel, Payload, PreparedStart, Stamp, Stopped, TaskCall, TaskChannel, TaskEvent, TaskResult,
    TaskState, TaskStatus, Waiting, WatchFrom,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_start_arrives_whole_and_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    for address in addresses(&folder) {
        let (seen, mut starts) = mpsc::channel(4);
        let answer = move |call| match call {
            TaskCall::Start(call, reply) => {
                seen.try_send(call).unwrap();
                reply.send(Ok(Duration::from_micros(42))).unwrap();
            }
            other => panic!("{other:?}"),
        };
        let (address, _stop, _) = runner(&address, answer).await;
        let channel = TaskChannel::new(address, None, tls());
        for protocol in [TaskProtocol::Json, TaskProtocol::Map] {
            let ack = channel.start(&PreparedStart::new(&start(), protocol), BOUND).await.unwrap();
            assert_eq!((ack.task_id.as_str(), ack.started), ("t1", Some(Duration::from_micros(42))));
            let call = starts.recv().await.unwrap();
            assert_eq!(call.key, start().key);
            assert_eq!(call.parameters(protocol, 1000).unwrap()["task_id"], json!("t1"));
        }
    }
}

#[tokio::test]
async fn stop_and_status_carry_all_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let status = TaskStatus {
        task_id: "t1".to_owned(),
        state: TaskState::Running,
        started: Some(Duration::from_micros(1)),
        elapsed: Some(Duration::from_micros(2)),
        cpu_percent: 12.5,
        memory_bytes: 3,
    };
    let stopped = Stopped { at: Some(Duration::from_micros(4)), message: "asked".to_owned() };
    for address in addresses(&folder) {
        let (said_status, said_stopped) = (status.clone(), stopped.clone());
        let answer = move |call| match call {
            TaskCall::Status(key, reply) => {
                assert!(key == start().key || key == AttemptKey::of_task(TaskId::new("setpoint.warm")), "{key:?}");
                reply.send(said_status.clone()).unwrap();
            }
            TaskCall::Stop { key, grace, reply } => {
                assert_eq!((key, grace), (start().key, Duration::from_millis(1500)), "a stop names the attempt");
                reply.send(Ok(said_stopped.clone())).unwrap();
            }
            other => panic!("{other:?}"),
        };
        let (address, _stop, _) = runner(&address, answer).await;
        let channel = TaskChannel::new(address, None, tls());
        channel.warm(BOUND).await.unwrap();
        assert_eq!(channel.status(&start().key, BOUND).await.unwrap(), status);
        assert_eq!(channel.stop(&start().key, Duration::from_millis(1500), BOUND).await.unwrap(), stopped);
    }
}

#[tokio::test]
async fn a_runner_is_armed_disarmed_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = Stamp { monotonic: Duration::from_secs(5), realtime: Duration::from_secs(50) };
    let capabilities = Capabilities {
        name: "setpoint".to_owned(),
        version: "1".to_owned(),
        functions: vec!["task_1".to_owned()],
        boot_id: "b".to_owned(),
        protocols: vec![TaskProtocol::Json, TaskProtocol::Map],
        instance: "i".to_owned(),
        parallel: std::num::NonZeroU32::new(3).unwrap(),
        not_applied: vec![(1, "cpu 9 was not applied".to_owned())],
    };
    let event = TaskEvent {
        instance: "i".to_owned(),
        sequence: 3,
        key: start().key,
        what: Happened::Missed { late: Duration::from_nanos(9) },
    };
    let reading = ClockReading { instance: "i".to_owned(), boot_id: "b".to_owned(), now: stamp };
    for address in addresses(&folder) {
        let (known, told, read) = (capabilities.clone(), event.clone(), reading.clone());
        let answer = move |call| match call {
            TaskCall::Capabilities(_, reply) => reply.send(known.clone()).unwrap(),
            TaskCall::Arm(call, reply) => {
                assert_eq!((call.instance.as_str(), call.release), ("i", stamp.monotonic));
                assert_eq!(call.late_limit, Duration::from_millis(1));
                reply.send(Ok(())).unwrap();
            }
            TaskCall::Clock(reply) => reply.send(read.clone()).unwrap(),
            TaskCall::Disarm(key, reply) => {
                assert_eq!(key, start().key);
                reply.send(Disarmed::Started).unwrap();
            }
            TaskCall::Watch(from, reply) => {
                assert_eq!(from, WatchFrom { instance: "i".to_owned(), after: 2, run: "r".to_owned() });
                let (events, stream) = mpsc::channel(1);
                let room = Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
                events.try_send(Waiting { event: Arc::new(told.clone()), room }).unwrap();
                reply.send(stream).unwrap();
            }
            other => panic!("{other:?}"),
        };
        let (address, _stop, _) = runner(&address, answer).await;
        let keep_alive = KeepAlive { interval: Duration::from_millis(50), timeout: BOUND };
        let channel = TaskChannel::new(address, Some(keep_alive), tls());
        assert_eq!(channel.capabilities(&[], BOUND).await.unwrap(), capabilities);
        assert_eq!(channel.clock(BOUND).await.unwrap(), reading);
        let (release, late_limit) = (stamp.monotonic, Duration::from_millis(1));
        let arm = Arm { start: start(), instance: "i".to_owned(), release, late_limit };
        channel.arm(&arm, TaskProtocol::Json, BOUND).await.unwrap();
        assert_eq!(channel.disarm(&start().key, BOUND).await.unwrap(), Disarmed::Started);
        let from = WatchFrom { instance: "i".to_owned(), after: 2, run: "r".to_owned() };
        let mut events = channel.watch(&from, BOUND).await.unwrap();
        assert_eq!(events.next().await.unwrap(), Some(event.clone()));
        assert_eq!(events.next().await.unwrap(), None, "the runner dropped this watcher");
    }
}

#[tokio::test]
async fn one_endpoint_takes_notices_of_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    for address in addresses(&folder) {
        let over_tcp = !matches!(address, crate::model::TaskAddress::Unix(_));
        let (address, mut notices) = orchestrator(&address, 1).await;
        let channel = OrchestratorChannel::new(address, tls());
        for (protocol, output) in [(TaskProtocol::Json, json!({"k": [1]})), (TaskProtocol::Map, json!({"k": "[1]"}))] {
            let notice = notice(&json!({"k": [1]}), protocol);
            channel.notify(&notice, BOUND).await.unwrap();
            let taken = notices.recv().await.unwrap();
            assert_eq!(taken.output(protocol, 1000).unwrap(), Some(output));
            assert_eq!(taken.from.is_some(), over_tcp, "the peer's address tells task servers apart");
            assert_eq!(EndNotice { from: None, ..taken }, notice);
        }
    }
}

#[tokio::test]
async fn a_full_queue_leaves_a_notice_unacknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let [address, ..] = addresses(&folder);
    let (address, mut notices) = orchestrator(&address, 1).await;
    let channel = OrchestratorChannel::new(address, tls());
    let notice = notice(&json!(1), TaskProtocol::Json);
    channel.notify(&notice, BOUND).await.unwrap();
    let error = channel.notify(&notice, BOUND).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { message, .. } if message == "busy; try again"), "{error}");
    notices.recv().await.unwrap();
    channel.notify(&notice, BOUND).await.unwrap();
    drop(notices);
    let error = channel.notify(&notice, BOUND).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("stopping")), "{error}");
}

#[tokio::test]
async fn a_notice_over_the_limit_of_the_server_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [address, ..] = addresses(&folder);
    let (address, mut notices) = orchestrator(&address, 1).await;
    let channel = OrchestratorChannel::new(address, tls());
    let error = channel.notify(&notice(&json!("x".repeat(1 << 16)), TaskProtocol::Json), BOUND).await.unwrap_err();
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::Status { .. }, .. }), "{error:?}");
    channel.notify(&notice(&json!("x"), TaskProtocol::Json), BOUND).await.unwrap();
    assert_eq!(notices.recv().await.unwrap().output(TaskProtocol::Json, 10).unwrap(), Some(json!("x")));
}

#[tokio::test]
async fn an_orchestrator_says_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let [_, address, _] = addresses(&folder);
    let (address, _notices) = orchestrator(&address, 1).await;
    let channel = OrchestratorChannel::new(address, tls());
    let time = Duration::from_micros(7);
    assert_eq!(channel.health("x", BOUND).await.unwrap(), Health { running: true, time });
    assert_eq!(channel.health("x", BOUND).await.unwrap(), Health { running: false, time });
}

fn notice(output: &Value, protocol: TaskProtocol) -> EndNotice {
    EndNotice {
        task_id: "t1".to_owned(),
        run_id: "r".to_owned(),
        occurrence: 3,
        attempt: 2,
        result: TaskResult::Success,
        start: Some(Duration::from_micros(1)),
        end: Some(Duration::from_micros(3)),
        duration: Some(Duration::from_micros(2)),
        error_message: "none".to_owned(),
        raw_metrics: Payload::encode(&json!({"m": 1}), protocol),
        raw_output: Payload::encode(output, protocol),
        from: None,
    }
}
