// @generated from `orchestrator.proto`: `UPDATE_PROTO=1 cargo test --test generated` writes it again.
/// The numbers of SCHED_DEADLINE.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RtDeadline {
    #[prost(uint64, tag = "1")]
    pub runtime_ns: u64,
    #[prost(uint64, tag = "2")]
    pub deadline_ns: u64,
    #[prost(uint64, tag = "3")]
    pub period_ns: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct StartTaskResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    /// Why not.
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
    /// Wall clock of the task server, since 1970.
    #[prost(int64, tag = "3")]
    pub actual_start_time_us: i64,
    #[prost(string, tag = "4")]
    pub task_id: ::prost::alloc::string::String,
    /// Whether trying again may help. Existing task servers do not say it.
    #[prost(enumeration = "StartRefusal", tag = "16")]
    pub refusal: i32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct StopTaskRequest {
    #[prost(string, tag = "1")]
    pub task_id: ::prost::alloc::string::String,
    /// Time between the request to stop and the forced end.
    #[prost(int32, tag = "2")]
    pub timeout_ms: i32,
    /// Our own runner stops this attempt alone, and does not begin one that it has not got yet. Without a run, as from
    /// existing orchestrators, it stops whatever has that id.
    #[prost(string, tag = "16")]
    pub run_id: ::prost::alloc::string::String,
    #[prost(uint32, tag = "17")]
    pub attempt: u32,
    #[prost(uint32, tag = "18")]
    pub occurrence: u32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct StopTaskResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
    /// Wall clock of the task server, since 1970.
    #[prost(int64, tag = "3")]
    pub stop_time_us: i64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TaskStatusRequest {
    #[prost(string, tag = "1")]
    pub task_id: ::prost::alloc::string::String,
    /// As in StopTaskRequest.
    #[prost(string, tag = "16")]
    pub run_id: ::prost::alloc::string::String,
    #[prost(uint32, tag = "17")]
    pub attempt: u32,
    #[prost(uint32, tag = "18")]
    pub occurrence: u32,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct TaskStatusResponse {
    #[prost(string, tag = "1")]
    pub task_id: ::prost::alloc::string::String,
    #[prost(enumeration = "TaskState", tag = "2")]
    pub state: i32,
    /// Wall clock of the task server, since 1970; 0: not started.
    #[prost(int64, tag = "3")]
    pub start_time_us: i64,
    #[prost(int64, tag = "4")]
    pub elapsed_time_us: i64,
    /// 100 is one CPU.
    #[prost(double, tag = "5")]
    pub cpu_usage_percent: f64,
    #[prost(int64, tag = "6")]
    pub memory_usage_bytes: i64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TaskEndResponse {
    #[prost(bool, tag = "1")]
    pub acknowledged: bool,
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub service_name: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HealthCheckResponse {
    #[prost(bool, tag = "1")]
    pub healthy: bool,
    /// running or stopped.
    #[prost(string, tag = "2")]
    pub status: ::prost::alloc::string::String,
    /// Wall clock, since 1970.
    #[prost(int64, tag = "3")]
    pub timestamp_us: i64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CapabilitiesRequest {
    /// Real-time settings that tasks will ask for: whether this runner could give them.
    #[prost(message, repeated, tag = "1")]
    pub wishes: ::prost::alloc::vec::Vec<Wish>,
}
/// Real-time settings, as in StartTaskRequest.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Wish {
    #[prost(string, tag = "1")]
    pub rt_policy: ::prost::alloc::string::String,
    #[prost(int32, tag = "2")]
    pub rt_priority: i32,
    #[prost(int32, tag = "3")]
    pub cpu_affinity: i32,
    #[prost(message, optional, tag = "4")]
    pub rt_deadline: ::core::option::Option<RtDeadline>,
}
/// A wish that could not be had, and why.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct NotApplied {
    /// Its place among the wishes, from 0.
    #[prost(uint32, tag = "1")]
    pub wish: u32,
    #[prost(string, tag = "2")]
    pub why: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CapabilitiesResponse {
    /// Name and version of the program.
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub version: ::prost::alloc::string::String,
    /// The kinds of work it can do.
    #[prost(string, repeated, tag = "3")]
    pub functions: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// /proc/sys/kernel/random/boot_id of its host.
    #[prost(string, tag = "4")]
    pub boot_id: ::prost::alloc::string::String,
    /// Forms of parameters and outputs it understands: json, map.
    #[prost(string, repeated, tag = "5")]
    pub protocols: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Chosen anew at each start of the program; sequence numbers of events count within it.
    #[prost(string, tag = "6")]
    pub instance: ::prost::alloc::string::String,
    /// How many tasks it runs at once; 0 from a runner that does not say it, which is 1.
    #[prost(uint32, tag = "7")]
    pub parallel: u32,
    /// What of the wishes could not be had.
    #[prost(message, repeated, tag = "8")]
    pub not_applied: ::prost::alloc::vec::Vec<NotApplied>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ClockRequest {}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ClockResponse {
    /// As in CapabilitiesResponse.
    #[prost(string, tag = "1")]
    pub instance: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub boot_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub now: ::core::option::Option<Stamp>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ArmRequest {
    #[prost(message, optional, tag = "1")]
    pub start: ::core::option::Option<crate::wire::raw::StartTaskRequest>,
    /// Later than this after the instant it is not started, and reported as missed.
    #[prost(uint64, tag = "5")]
    pub late_limit_ns: u64,
    /// The runner whose clock the instant is of; refused by another one, whose clock may be another as well.
    #[prost(string, tag = "6")]
    pub instance: ::prost::alloc::string::String,
    /// The release instant on the monotonic clock of the runner's host.
    #[prost(uint64, tag = "7")]
    pub release_ns: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ArmResponse {
    #[prost(bool, tag = "1")]
    pub accepted: bool,
    /// Why not.
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
}
/// One try of one occurrence of one task of one run.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AttemptKey {
    #[prost(string, tag = "1")]
    pub run_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub task_id: ::prost::alloc::string::String,
    #[prost(uint32, tag = "3")]
    pub occurrence: u32,
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DisarmRequest {
    #[prost(message, optional, tag = "1")]
    pub key: ::core::option::Option<AttemptKey>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DisarmResponse {
    #[prost(enumeration = "disarm_response::Outcome", tag = "1")]
    pub outcome: i32,
}
/// Nested message and enum types in `DisarmResponse`.
pub mod disarm_response {
    #[derive(
        Clone,
        Copy,
        Debug,
        PartialEq,
        Eq,
        Hash,
        PartialOrd,
        Ord,
        ::prost::Enumeration
    )]
    #[repr(i32)]
    pub enum Outcome {
        Unspecified = 0,
        /// It will not start.
        Disarmed = 1,
        /// Too late: it has started, and may have ended.
        Started = 2,
        /// No such task is armed here.
        NotArmed = 3,
    }
    impl Outcome {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Unspecified => "UNSPECIFIED",
                Self::Disarmed => "DISARMED",
                Self::Started => "STARTED",
                Self::NotArmed => "NOT_ARMED",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "UNSPECIFIED" => Some(Self::Unspecified),
                "DISARMED" => Some(Self::Disarmed),
                "STARTED" => Some(Self::Started),
                "NOT_ARMED" => Some(Self::NotArmed),
                _ => None,
            }
        }
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct WatchRequest {
    /// Events of this instance up to this sequence number are known; those after it that are still remembered come first.
    /// Another instance, or none: all that are remembered.
    #[prost(string, tag = "1")]
    pub instance: ::prost::alloc::string::String,
    #[prost(uint64, tag = "2")]
    pub after: u64,
    /// Only events of this run; empty: of all. The ends of a run that is watched by its name are not told otherwise.
    #[prost(string, tag = "3")]
    pub run_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TaskEvent {
    #[prost(string, tag = "1")]
    pub instance: ::prost::alloc::string::String,
    /// From 1. A gap is events of other runs, or ones that were forgotten.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    #[prost(message, optional, tag = "3")]
    pub key: ::core::option::Option<AttemptKey>,
    #[prost(oneof = "task_event::What", tags = "4, 5, 6")]
    pub what: ::core::option::Option<task_event::What>,
}
/// Nested message and enum types in `TaskEvent`.
pub mod task_event {
    /// It runs.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Started {
        #[prost(message, optional, tag = "1")]
        pub start: ::core::option::Option<super::Stamp>,
    }
    /// It ran and is over.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Ended {
        #[prost(enumeration = "super::TaskResult", tag = "1")]
        pub result: i32,
        #[prost(message, optional, tag = "2")]
        pub start: ::core::option::Option<super::Stamp>,
        #[prost(message, optional, tag = "3")]
        pub end: ::core::option::Option<super::Stamp>,
        #[prost(string, tag = "4")]
        pub error_message: ::prost::alloc::string::String,
        /// Any JSON value; empty: none.
        #[prost(string, tag = "5")]
        pub output_json: ::prost::alloc::string::String,
        /// CPU time of it and of all that it started, in user and kernel mode.
        #[prost(uint64, tag = "6")]
        pub cpu_user_ns: u64,
        #[prost(uint64, tag = "7")]
        pub cpu_system_ns: u64,
        /// The most memory it had resident at once.
        #[prost(uint64, tag = "8")]
        pub memory_peak_bytes: u64,
        /// What was asked for and not had, though it ran: settings that were not applied, an output that was too large.
        #[prost(string, repeated, tag = "9")]
        pub remarks: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
        /// The end of what a program wrote, as text; of standard output only when that is not its output.
        #[prost(string, tag = "10")]
        pub stdout: ::prost::alloc::string::String,
        #[prost(string, tag = "11")]
        pub stderr: ::prost::alloc::string::String,
    }
    /// It was armed and did not start, being later than its limit.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Missed {
        #[prost(uint64, tag = "1")]
        pub late_ns: u64,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum What {
        #[prost(message, tag = "4")]
        Started(Started),
        #[prost(message, tag = "5")]
        Ended(Ended),
        #[prost(message, tag = "6")]
        Missed(Missed),
    }
}
/// One instant on both clocks of the runner's host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Stamp {
    #[prost(uint64, tag = "1")]
    pub monotonic_ns: u64,
    #[prost(uint64, tag = "2")]
    pub realtime_ns: u64,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum TaskState {
    Unknown = 0,
    Idle = 1,
    Starting = 2,
    Running = 3,
    Completed = 4,
    Failed = 5,
    Stopped = 6,
}
impl TaskState {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unknown => "TASK_STATE_UNKNOWN",
            Self::Idle => "TASK_STATE_IDLE",
            Self::Starting => "TASK_STATE_STARTING",
            Self::Running => "TASK_STATE_RUNNING",
            Self::Completed => "TASK_STATE_COMPLETED",
            Self::Failed => "TASK_STATE_FAILED",
            Self::Stopped => "TASK_STATE_STOPPED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "TASK_STATE_UNKNOWN" => Some(Self::Unknown),
            "TASK_STATE_IDLE" => Some(Self::Idle),
            "TASK_STATE_STARTING" => Some(Self::Starting),
            "TASK_STATE_RUNNING" => Some(Self::Running),
            "TASK_STATE_COMPLETED" => Some(Self::Completed),
            "TASK_STATE_FAILED" => Some(Self::Failed),
            "TASK_STATE_STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum TaskResult {
    Unknown = 0,
    Success = 1,
    Failure = 2,
    Timeout = 3,
    Cancelled = 4,
}
impl TaskResult {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unknown => "TASK_RESULT_UNKNOWN",
            Self::Success => "TASK_RESULT_SUCCESS",
            Self::Failure => "TASK_RESULT_FAILURE",
            Self::Timeout => "TASK_RESULT_TIMEOUT",
            Self::Cancelled => "TASK_RESULT_CANCELLED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "TASK_RESULT_UNKNOWN" => Some(Self::Unknown),
            "TASK_RESULT_SUCCESS" => Some(Self::Success),
            "TASK_RESULT_FAILURE" => Some(Self::Failure),
            "TASK_RESULT_TIMEOUT" => Some(Self::Timeout),
            "TASK_RESULT_CANCELLED" => Some(Self::Cancelled),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum StartRefusal {
    Unspecified = 0,
    /// All places are taken: it may be started when one is free.
    Busy = 1,
    /// It will not be started, however often it is asked for.
    Final = 2,
}
impl StartRefusal {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "START_REFUSAL_UNSPECIFIED",
            Self::Busy => "START_REFUSAL_BUSY",
            Self::Final => "START_REFUSAL_FINAL",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "START_REFUSAL_UNSPECIFIED" => Some(Self::Unspecified),
            "START_REFUSAL_BUSY" => Some(Self::Busy),
            "START_REFUSAL_FINAL" => Some(Self::Final),
            _ => None,
        }
    }
}
/// Generated client implementations.
pub mod orchestrator_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Served by the orchestrator.
    #[derive(Debug, Clone)]
    pub struct OrchestratorServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl<T> OrchestratorServiceClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> OrchestratorServiceClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            OrchestratorServiceClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        pub async fn notify_task_end(
            &mut self,
            request: impl tonic::IntoRequest<crate::wire::raw::TaskEndNotification>,
        ) -> std::result::Result<
            tonic::Response<super::TaskEndResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.OrchestratorService/NotifyTaskEnd",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("orchestrator.OrchestratorService", "NotifyTaskEnd"),
                );
            self.inner.unary(req, path, codec).await
        }
        pub async fn health_check(
            &mut self,
            request: impl tonic::IntoRequest<super::HealthCheckRequest>,
        ) -> std::result::Result<
            tonic::Response<super::HealthCheckResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.OrchestratorService/HealthCheck",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("orchestrator.OrchestratorService", "HealthCheck"),
                );
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod orchestrator_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with OrchestratorServiceServer.
    #[async_trait]
    pub trait OrchestratorService: std::marker::Send + std::marker::Sync + 'static {
        async fn notify_task_end(
            &self,
            request: tonic::Request<crate::wire::raw::TaskEndNotification>,
        ) -> std::result::Result<tonic::Response<super::TaskEndResponse>, tonic::Status>;
        async fn health_check(
            &self,
            request: tonic::Request<super::HealthCheckRequest>,
        ) -> std::result::Result<
            tonic::Response<super::HealthCheckResponse>,
            tonic::Status,
        >;
    }
    /// Served by the orchestrator.
    #[derive(Debug)]
    pub struct OrchestratorServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> OrchestratorServiceServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for OrchestratorServiceServer<T>
    where
        T: OrchestratorService,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/orchestrator.OrchestratorService/NotifyTaskEnd" => {
                    #[allow(non_camel_case_types)]
                    struct NotifyTaskEndSvc<T: OrchestratorService>(pub Arc<T>);
                    impl<
                        T: OrchestratorService,
                    > tonic::server::UnaryService<crate::wire::raw::TaskEndNotification>
                    for NotifyTaskEndSvc<T> {
                        type Response = super::TaskEndResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<
                                crate::wire::raw::TaskEndNotification,
                            >,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as OrchestratorService>::notify_task_end(&inner, request)
                                    .await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = NotifyTaskEndSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.OrchestratorService/HealthCheck" => {
                    #[allow(non_camel_case_types)]
                    struct HealthCheckSvc<T: OrchestratorService>(pub Arc<T>);
                    impl<
                        T: OrchestratorService,
                    > tonic::server::UnaryService<super::HealthCheckRequest>
                    for HealthCheckSvc<T> {
                        type Response = super::HealthCheckResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::HealthCheckRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as OrchestratorService>::health_check(&inner, request)
                                    .await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = HealthCheckSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for OrchestratorServiceServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "orchestrator.OrchestratorService";
    impl<T> tonic::server::NamedService for OrchestratorServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// Generated client implementations.
pub mod task_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Served by every task server.
    #[derive(Debug, Clone)]
    pub struct TaskServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl<T> TaskServiceClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> TaskServiceClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            TaskServiceClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        pub async fn start_task(
            &mut self,
            request: impl tonic::IntoRequest<crate::wire::raw::StartTaskRequest>,
        ) -> std::result::Result<
            tonic::Response<super::StartTaskResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.TaskService/StartTask",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.TaskService", "StartTask"));
            self.inner.unary(req, path, codec).await
        }
        pub async fn stop_task(
            &mut self,
            request: impl tonic::IntoRequest<super::StopTaskRequest>,
        ) -> std::result::Result<
            tonic::Response<super::StopTaskResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.TaskService/StopTask",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.TaskService", "StopTask"));
            self.inner.unary(req, path, codec).await
        }
        pub async fn get_task_status(
            &mut self,
            request: impl tonic::IntoRequest<super::TaskStatusRequest>,
        ) -> std::result::Result<
            tonic::Response<super::TaskStatusResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.TaskService/GetTaskStatus",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.TaskService", "GetTaskStatus"));
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod task_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with TaskServiceServer.
    #[async_trait]
    pub trait TaskService: std::marker::Send + std::marker::Sync + 'static {
        async fn start_task(
            &self,
            request: tonic::Request<crate::wire::raw::StartTaskRequest>,
        ) -> std::result::Result<
            tonic::Response<super::StartTaskResponse>,
            tonic::Status,
        >;
        async fn stop_task(
            &self,
            request: tonic::Request<super::StopTaskRequest>,
        ) -> std::result::Result<
            tonic::Response<super::StopTaskResponse>,
            tonic::Status,
        >;
        async fn get_task_status(
            &self,
            request: tonic::Request<super::TaskStatusRequest>,
        ) -> std::result::Result<
            tonic::Response<super::TaskStatusResponse>,
            tonic::Status,
        >;
    }
    /// Served by every task server.
    #[derive(Debug)]
    pub struct TaskServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> TaskServiceServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for TaskServiceServer<T>
    where
        T: TaskService,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/orchestrator.TaskService/StartTask" => {
                    #[allow(non_camel_case_types)]
                    struct StartTaskSvc<T: TaskService>(pub Arc<T>);
                    impl<
                        T: TaskService,
                    > tonic::server::UnaryService<crate::wire::raw::StartTaskRequest>
                    for StartTaskSvc<T> {
                        type Response = super::StartTaskResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<crate::wire::raw::StartTaskRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as TaskService>::start_task(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = StartTaskSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.TaskService/StopTask" => {
                    #[allow(non_camel_case_types)]
                    struct StopTaskSvc<T: TaskService>(pub Arc<T>);
                    impl<
                        T: TaskService,
                    > tonic::server::UnaryService<super::StopTaskRequest>
                    for StopTaskSvc<T> {
                        type Response = super::StopTaskResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::StopTaskRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as TaskService>::stop_task(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = StopTaskSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.TaskService/GetTaskStatus" => {
                    #[allow(non_camel_case_types)]
                    struct GetTaskStatusSvc<T: TaskService>(pub Arc<T>);
                    impl<
                        T: TaskService,
                    > tonic::server::UnaryService<super::TaskStatusRequest>
                    for GetTaskStatusSvc<T> {
                        type Response = super::TaskStatusResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::TaskStatusRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as TaskService>::get_task_status(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = GetTaskStatusSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for TaskServiceServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "orchestrator.TaskService";
    impl<T> tonic::server::NamedService for TaskServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// Generated client implementations.
pub mod runner_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Served by our own task runner beside TaskService: it is told ahead of time and starts at the instant by itself, so
    /// that the network is not part of the start's lateness, and it reports the true times of start and end.
    #[derive(Debug, Clone)]
    pub struct RunnerServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl<T> RunnerServiceClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> RunnerServiceClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            RunnerServiceClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        /// Who this is and what it can do.
        pub async fn capabilities(
            &mut self,
            request: impl tonic::IntoRequest<super::CapabilitiesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CapabilitiesResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.RunnerService/Capabilities",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.RunnerService", "Capabilities"));
            self.inner.unary(req, path, codec).await
        }
        /// Both clocks of its host, read now. Asked several times, the round trips bound how its monotonic clock lies against the
        /// asker's.
        pub async fn clock(
            &mut self,
            request: impl tonic::IntoRequest<super::ClockRequest>,
        ) -> std::result::Result<tonic::Response<super::ClockResponse>, tonic::Status> {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.RunnerService/Clock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.RunnerService", "Clock"));
            self.inner.unary(req, path, codec).await
        }
        /// Starts a task at an instant. Armed twice with the same identity, the later one replaces the earlier.
        pub async fn arm(
            &mut self,
            request: impl tonic::IntoRequest<super::ArmRequest>,
        ) -> std::result::Result<tonic::Response<super::ArmResponse>, tonic::Status> {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.RunnerService/Arm",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.RunnerService", "Arm"));
            self.inner.unary(req, path, codec).await
        }
        /// Takes an armed task back, if it has not started.
        pub async fn disarm(
            &mut self,
            request: impl tonic::IntoRequest<super::DisarmRequest>,
        ) -> std::result::Result<tonic::Response<super::DisarmResponse>, tonic::Status> {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.RunnerService/Disarm",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.RunnerService", "Disarm"));
            self.inner.unary(req, path, codec).await
        }
        /// What happens to tasks here, as it happens. Ends when the watcher is too slow; it then asks again with `after`.
        pub async fn watch(
            &mut self,
            request: impl tonic::IntoRequest<super::WatchRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::TaskEvent>>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/orchestrator.RunnerService/Watch",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("orchestrator.RunnerService", "Watch"));
            self.inner.server_streaming(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod runner_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with RunnerServiceServer.
    #[async_trait]
    pub trait RunnerService: std::marker::Send + std::marker::Sync + 'static {
        /// Who this is and what it can do.
        async fn capabilities(
            &self,
            request: tonic::Request<super::CapabilitiesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CapabilitiesResponse>,
            tonic::Status,
        >;
        /// Both clocks of its host, read now. Asked several times, the round trips bound how its monotonic clock lies against the
        /// asker's.
        async fn clock(
            &self,
            request: tonic::Request<super::ClockRequest>,
        ) -> std::result::Result<tonic::Response<super::ClockResponse>, tonic::Status>;
        /// Starts a task at an instant. Armed twice with the same identity, the later one replaces the earlier.
        async fn arm(
            &self,
            request: tonic::Request<super::ArmRequest>,
        ) -> std::result::Result<tonic::Response<super::ArmResponse>, tonic::Status>;
        /// Takes an armed task back, if it has not started.
        async fn disarm(
            &self,
            request: tonic::Request<super::DisarmRequest>,
        ) -> std::result::Result<tonic::Response<super::DisarmResponse>, tonic::Status>;
        /// Server streaming response type for the Watch method.
        type WatchStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::TaskEvent, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// What happens to tasks here, as it happens. Ends when the watcher is too slow; it then asks again with `after`.
        async fn watch(
            &self,
            request: tonic::Request<super::WatchRequest>,
        ) -> std::result::Result<tonic::Response<Self::WatchStream>, tonic::Status>;
    }
    /// Served by our own task runner beside TaskService: it is told ahead of time and starts at the instant by itself, so
    /// that the network is not part of the start's lateness, and it reports the true times of start and end.
    #[derive(Debug)]
    pub struct RunnerServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> RunnerServiceServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for RunnerServiceServer<T>
    where
        T: RunnerService,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/orchestrator.RunnerService/Capabilities" => {
                    #[allow(non_camel_case_types)]
                    struct CapabilitiesSvc<T: RunnerService>(pub Arc<T>);
                    impl<
                        T: RunnerService,
                    > tonic::server::UnaryService<super::CapabilitiesRequest>
                    for CapabilitiesSvc<T> {
                        type Response = super::CapabilitiesResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::CapabilitiesRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as RunnerService>::capabilities(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = CapabilitiesSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.RunnerService/Clock" => {
                    #[allow(non_camel_case_types)]
                    struct ClockSvc<T: RunnerService>(pub Arc<T>);
                    impl<
                        T: RunnerService,
                    > tonic::server::UnaryService<super::ClockRequest> for ClockSvc<T> {
                        type Response = super::ClockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ClockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as RunnerService>::clock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ClockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.RunnerService/Arm" => {
                    #[allow(non_camel_case_types)]
                    struct ArmSvc<T: RunnerService>(pub Arc<T>);
                    impl<T: RunnerService> tonic::server::UnaryService<super::ArmRequest>
                    for ArmSvc<T> {
                        type Response = super::ArmResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ArmRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as RunnerService>::arm(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ArmSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.RunnerService/Disarm" => {
                    #[allow(non_camel_case_types)]
                    struct DisarmSvc<T: RunnerService>(pub Arc<T>);
                    impl<
                        T: RunnerService,
                    > tonic::server::UnaryService<super::DisarmRequest>
                    for DisarmSvc<T> {
                        type Response = super::DisarmResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::DisarmRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as RunnerService>::disarm(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = DisarmSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/orchestrator.RunnerService/Watch" => {
                    #[allow(non_camel_case_types)]
                    struct WatchSvc<T: RunnerService>(pub Arc<T>);
                    impl<
                        T: RunnerService,
                    > tonic::server::ServerStreamingService<super::WatchRequest>
                    for WatchSvc<T> {
                        type Response = super::TaskEvent;
                        type ResponseStream = T::WatchStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::WatchRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as RunnerService>::watch(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = WatchSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.server_streaming(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for RunnerServiceServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "orchestrator.RunnerService";
    impl<T> tonic::server::NamedService for RunnerServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
