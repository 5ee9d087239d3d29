//! The end of a task, as its task server reports it.

use super::payload::{OutputFault, Payload};
use super::proto;
use super::raw::TaskEndNotification;
use super::time::{micros, since};
use crate::model::TaskProtocol;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// How a task ended, in the words of the task protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskResult {
    /// Not said, or said with a number that has no name.
    Unknown,
    /// It did its work.
    Success,
    /// It did not.
    Failure,
    /// It took too long.
    Timeout,
    /// It was asked to stop.
    Cancelled,
}

/// What a task server reports when a task has ended. Its times are readings of that server's wall clock.
#[derive(Clone, Debug, PartialEq)]
pub struct EndNotice {
    /// The task; existing task servers send the name of their kind of work, whatever they were asked to start.
    pub task_id: String,
    /// The run; empty from existing task servers.
    pub run_id: String,
    /// The occurrence, from 0; 0 from existing task servers.
    pub occurrence: u32,
    /// The try, from 1; 0 from existing task servers.
    pub attempt: u32,
    /// How it ended.
    pub result: TaskResult,
    /// When it started, since 1970; `None` when not said.
    pub start: Option<Duration>,
    /// When it ended, since 1970; `None` when not said.
    pub end: Option<Duration>,
    /// How long it ran; `None` when not said.
    pub duration: Option<Duration>,
    /// What went wrong; empty when nothing did.
    pub error_message: String,
    /// Its figures; [`EndNotice::metrics`] reads them.
    pub raw_metrics: Payload,
    /// Its output; [`EndNotice::output`] reads it.
    pub raw_output: Payload,
    /// Where the notice came from; `None` over a Unix socket. Tells apart task servers that send the same `task_id`.
    pub from: Option<SocketAddr>,
}

impl EndNotice {
    /// A notice that says as little as can be.
    pub fn new(task_id: impl Into<String>, result: TaskResult) -> Self {
        Self {
            task_id: task_id.into(),
            run_id: String::new(),
            occurrence: 0,
            attempt: 0,
            result,
            start: None,
            end: None,
            duration: None,
            error_message: String::new(),
            raw_metrics: Payload::default(),
            raw_output: Payload::default(),
            from: None,
        }
    }

    /// The output by the protocol of the task in flight: any JSON value, or an object of texts; `None` when it gave
    /// none.
    ///
    /// # Errors
    /// When it is larger than `limit` bytes or not of that form.
    pub fn output(&self, protocol: TaskProtocol, limit: usize) -> Result<Option<Value>, OutputFault> {
        self.raw_output.decode(protocol, limit)
    }

    /// The figures, likewise.
    ///
    /// # Errors
    /// As [`EndNotice::output`].
    pub fn metrics(&self, protocol: TaskProtocol, limit: usize) -> Result<Option<Value>, OutputFault> {
        self.raw_metrics.decode(protocol, limit)
    }

    pub(super) fn from_wire(message: TaskEndNotification, from: Option<SocketAddr>) -> Self {
        Self {
            result: TaskResult::from_wire(message.result),
            task_id: message.task_id,
            run_id: message.run_id,
            occurrence: message.occurrence,
            attempt: message.attempt,
            start: since(message.start_time_us),
            end: since(message.end_time_us),
            duration: since(message.execution_duration_us),
            error_message: message.error_message,
            raw_metrics: Payload::from_wire(message.metrics),
            raw_output: Payload::from_wire(message.output),
            from,
        }
    }

    pub(super) fn to_wire(&self) -> TaskEndNotification {
        TaskEndNotification {
            task_id: self.task_id.clone(),
            result: self.result.to_wire(),
            start_time_us: self.start.map_or(0, micros),
            end_time_us: self.end.map_or(0, micros),
            execution_duration_us: self.duration.map_or(0, micros),
            error_message: self.error_message.clone(),
            metrics: self.raw_metrics.clone().into_wire(),
            output: self.raw_output.clone().into_wire(),
            run_id: self.run_id.clone(),
            attempt: self.attempt,
            occurrence: self.occurrence,
        }
    }
}

impl TaskResult {
    pub(super) fn from_wire(number: i32) -> Self {
        match proto::TaskResult::try_from(number) {
            Ok(proto::TaskResult::Success) => Self::Success,
            Ok(proto::TaskResult::Failure) => Self::Failure,
            Ok(proto::TaskResult::Timeout) => Self::Timeout,
            Ok(proto::TaskResult::Cancelled) => Self::Cancelled,
            Ok(proto::TaskResult::Unknown) | Err(_) => Self::Unknown,
        }
    }

    pub(super) fn to_wire(self) -> i32 {
        let result = match self {
            Self::Unknown => proto::TaskResult::Unknown,
            Self::Success => proto::TaskResult::Success,
            Self::Failure => proto::TaskResult::Failure,
            Self::Timeout => proto::TaskResult::Timeout,
            Self::Cancelled => proto::TaskResult::Cancelled,
        };
        result.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use serde_json::json;

    fn read(hex: &str) -> EndNotice {
        let hex = hex.replace(' ', "");
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        EndNotice::from_wire(TaskEndNotification::decode(bytes.as_slice()).unwrap(), None)
    }

    /// 1 `t1`, 2 FAILURE, 3 1, 4 3, 5 2, 6 `e`.
    const HEAD: &str = "0a027431 1002 1801 2003 2802 320165";

    #[test]
    fn bytes_of_the_newest_form_are_read() {
        // 7 `{}`, 8 `[7]`
        let notice = read(&[HEAD, "3a027b7d 42035b375d"].concat());
        assert_eq!((notice.task_id.as_str(), notice.result), ("t1", TaskResult::Failure));
        let micros = |count| Some(Duration::from_micros(count));
        assert_eq!((notice.start, notice.end, notice.duration), (micros(1), micros(3), micros(2)));
        assert_eq!(notice.error_message, "e");
        assert_eq!(notice.metrics(TaskProtocol::Json, 10).unwrap(), Some(json!({})));
        assert_eq!(notice.output(TaskProtocol::Json, 10).unwrap(), Some(json!([7])));
        assert_eq!((notice.run_id.as_str(), notice.occurrence, notice.attempt), ("", 0, 0), "an existing task server");
    }

    #[test]
    fn bytes_of_the_older_form_are_read_by_the_same_reader() {
        // 7 {`a`: `b`}, 8 {`k`: `1`}, 8 {`l`: ``}
        let notice = read(&[HEAD, "3a06 0a0161 120162 4206 0a016b 120131 4203 0a016c"].concat());
        assert_eq!(notice.metrics(TaskProtocol::Map, 100).unwrap(), Some(json!({"a": "b"})));
        assert_eq!(notice.output(TaskProtocol::Map, 100).unwrap(), Some(json!({"k": "1", "l": ""})));
        assert!(matches!(notice.output(TaskProtocol::Json, 100), Err(OutputFault::NotJson(_))));
    }

    #[test]
    fn a_result_without_a_name_is_unknown() {
        assert_eq!(read("1009").result, TaskResult::Unknown);
        for result in
            [TaskResult::Unknown, TaskResult::Success, TaskResult::Failure, TaskResult::Timeout, TaskResult::Cancelled]
        {
            assert_eq!(TaskResult::from_wire(result.to_wire()), result);
        }
    }
}
