//! The bytes of a start are those of existing task servers, in both forms.

use super::*;
use serde_json::json;

pub(in crate::wire) fn start() -> Start {
    let Value::Object(parameters) = json!({"n": 1}) else { unreachable!() };
    Start {
        key: AttemptKey { run_id: "r".to_owned(), task_id: TaskId::new("t1"), occurrence: 3, attempt: 2 },
        scheduled: Duration::from_secs(1),
        deadline: Some(Duration::from_millis(250)),
        priority: 50,
        real_time: RealTime { policy: RtPolicy::Fifo { priority: 80 }, cpu: Some(2) },
        strict: false,
        parameters,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// 1 `t1`, 2 1000000, 3 250000.
const HEAD: &str = "0a027431 10c0843d 1890a10f";
/// 6 `fifo`, 7 80, 8 2, 16 `r`, 17 2, 18 3.
const TAIL: &str = "32046669666f 3850 4002 82010172 880102 900103";

fn golden(parts: &[&str]) -> String {
    parts.concat().replace(' ', "")
}

#[test]
fn bytes_of_the_newest_form() {
    // 4 `{"n":1,"task_id":"t1"}`
    let parameters = "2216 7b226e223a312c 227461736b5f6964223a22743122 7d";
    assert_eq!(hex(PreparedStart::new(&start(), TaskProtocol::Json).bytes()), golden(&[HEAD, parameters, TAIL]));
}

#[test]
fn bytes_of_the_older_form() {
    // 4 {1 `n`, 2 `1`}, 4 {1 `task_id`, 2 `t1`}, 5 50
    let parameters = "2206 0a016e 120131 220d 0a077461736b5f6964 12027431 2832";
    assert_eq!(hex(PreparedStart::new(&start(), TaskProtocol::Map).bytes()), golden(&[HEAD, parameters, TAIL]));
}

#[test]
fn no_cpu_is_minus_one_and_no_policy_is_none() {
    let mut start = start();
    start.real_time = RealTime { policy: RtPolicy::Other, cpu: None };
    // 6 `none`, 8 -1 (ten bytes, as int32 asks for)
    let bytes = hex(PreparedStart::new(&start, TaskProtocol::Json).bytes());
    assert!(bytes.contains("32046e6f6e6540ffffffffffffffffff018201"), "{bytes}");
}

#[test]
fn what_arrives_is_what_was_sent() {
    let deadline = RtPolicy::Deadline {
        runtime: Duration::from_micros(200),
        deadline: Duration::from_micros(900),
        period: Duration::from_millis(1),
    };
    let policies = [RtPolicy::Other, RtPolicy::Fifo { priority: 1 }, RtPolicy::RoundRobin { priority: 99 }, deadline];
    for protocol in [TaskProtocol::Json, TaskProtocol::Map] {
        for policy in policies {
            let mut sent = start();
            sent.real_time.policy = policy;
            let bytes = PreparedStart::new(&sent, protocol).bytes().clone();
            let call = StartCall::try_from(StartTaskRequest::decode(bytes).unwrap()).unwrap();
            assert_eq!((&call.key, call.scheduled, call.deadline), (&sent.key, sent.scheduled, sent.deadline));
            assert_eq!(call.real_time, sent.real_time);
            assert_eq!(call.priority, (protocol == TaskProtocol::Map).then_some(50));
            let n = match protocol {
                TaskProtocol::Json => json!(1),
                TaskProtocol::Map => json!("1"),
            };
            let parameters = call.parameters(protocol, 1000).unwrap();
            assert_eq!(Value::Object(parameters), json!({"n": n, "task_id": "t1"}));
        }
    }
}

#[test]
fn a_start_that_is_none_says_why() {
    let fault = |change: fn(&mut StartTaskRequest)| {
        let mut request = start().to_wire(TaskProtocol::Json);
        change(&mut request);
        StartCall::try_from(request).unwrap_err()
    };
    assert_eq!(fault(|request| request.task_id.clear()), StartFault::NoTask);
    assert_eq!(fault(|request| request.rt_policy = "idle".to_owned()), StartFault::Policy("idle".to_owned()));
    assert_eq!(fault(|request| request.rt_priority = 100), StartFault::RtPriority(100));
    assert_eq!(fault(|request| request.rt_priority = 0), StartFault::RtPriority(0));
    assert_eq!(fault(|request| request.rt_policy = "deadline".to_owned()), StartFault::NoDeadlineNumbers);
    assert_eq!(fault(|request| request.priority = -1), StartFault::Priority(-1));
    let mut request = start().to_wire(TaskProtocol::Json);
    request.parameters = vec![Bytes::from_static(b"[1]")];
    let call = StartCall::try_from(request).unwrap();
    assert!(matches!(call.parameters(TaskProtocol::Json, 100), Err(OutputFault::NotJson(_))));
}
