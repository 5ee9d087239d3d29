//! The two messages of which some fields have two forms on the wire.
//!
//! A JSON text and the entries of a map are both length-delimited there, so fields 4, 7 and 8 are read as the byte
//! strings that came, and understood later by the protocol of the task they belong to ([`super::payload`]). Field 5
//! exists in the older form only. All other numbers are those of `orchestrator.proto`.

use super::proto::RtDeadline;
use bytes::Bytes;

/// `StartTaskRequest` in either form.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct StartTaskRequest {
    /// Which task.
    #[prost(string, tag = "1")]
    pub task_id: String,
    /// Microseconds after the start of the run.
    #[prost(int64, tag = "2")]
    pub scheduled_time_us: i64,
    /// Microseconds; 0 is none.
    #[prost(int64, tag = "3")]
    pub deadline_us: i64,
    /// One JSON text, or map entries.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub parameters: Vec<Bytes>,
    /// 0 to 100; older form only.
    #[prost(int32, tag = "5")]
    pub priority: i32,
    /// `none`, `fifo`, `rr` or `deadline`.
    #[prost(string, tag = "6")]
    pub rt_policy: String,
    /// 1 to 99.
    #[prost(int32, tag = "7")]
    pub rt_priority: i32,
    /// -1 is none.
    #[prost(int32, tag = "8")]
    pub cpu_affinity: i32,
    /// The run it belongs to.
    #[prost(string, tag = "16")]
    pub run_id: String,
    /// Counted from 1.
    #[prost(uint32, tag = "17")]
    pub attempt: u32,
    /// Counted from 0.
    #[prost(uint32, tag = "18")]
    pub occurrence: u32,
    /// With `deadline` only.
    #[prost(message, optional, tag = "19")]
    pub rt_deadline: Option<RtDeadline>,
    /// Refused without its policy and CPU.
    #[prost(bool, tag = "20")]
    pub strict: bool,
}

/// `TaskEndNotification` in either form.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct TaskEndNotification {
    /// Which task, or the name of the kind of work.
    #[prost(string, tag = "1")]
    pub task_id: String,
    /// A `TaskResult`.
    #[prost(int32, tag = "2")]
    pub result: i32,
    /// Microseconds since 1970.
    #[prost(int64, tag = "3")]
    pub start_time_us: i64,
    /// Microseconds since 1970.
    #[prost(int64, tag = "4")]
    pub end_time_us: i64,
    /// Microseconds.
    #[prost(int64, tag = "5")]
    pub execution_duration_us: i64,
    /// Empty when there is none.
    #[prost(string, tag = "6")]
    pub error_message: String,
    /// One JSON text, or map entries.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub metrics: Vec<Bytes>,
    /// One JSON text, or map entries.
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub output: Vec<Bytes>,
    /// The run it belongs to.
    #[prost(string, tag = "16")]
    pub run_id: String,
    /// Counted from 1.
    #[prost(uint32, tag = "17")]
    pub attempt: u32,
    /// Counted from 0.
    #[prost(uint32, tag = "18")]
    pub occurrence: u32,
}

/// An entry of a `map<string, string>`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct MapEntry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}
