//! A schedule file: root key `schedule`, or its keys without the root.

use super::deployment::RtPolicy;
use super::text::{Command, Pairs, Text};
use super::units::{Instant, Micros, Name, ServicePath, TaskAddressText, Timespan};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A schedule file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    /// The schedule.
    pub schedule: Schedule,
}

/// A named timeline of tasks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Schedule {
    /// Name; the identifier is derived from it. Default: the file's name.
    pub name: Option<Text>,
    /// Free text.
    pub description: Option<Text>,
    /// When a run starts: `on_commit` (default), `manual`, `{at: …}` or `{cron: …, zone: …}`.
    pub start: Option<Start>,
    /// What happens with due times that passed while no daemon was running: `run_once` (default), `skip` or `{run_all: n}`.
    pub missed: Option<Missed>,
    /// What happens when a run is due while another one is in progress: `skip` (default), `queue`, `replace` or `allow`.
    pub overlap: Option<OverlapName>,
    /// A run starts up to this much later; text with a unit.
    pub jitter: Option<Timespan>,
    /// Order of sequential tasks: `ordered` (default), `serial` or `graph`.
    pub execution: Option<ExecutionName>,
    /// A run does not start if the machine cannot provide what its tasks request, such as a real-time policy.
    pub strict: Option<bool>,
    /// How to treat a schedule that cannot meet its times: `warn` (default), `error` or `off`.
    pub feasibility: Option<FeasibilityName>,
    /// Defaults for every task.
    pub defaults: Option<Defaults>,
    /// What runs.
    pub tasks: Option<Vec<Task>>,
}

/// When a run starts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Start {
    /// By name.
    Name(StartName),
    /// At a time.
    Time(StartTime),
}

/// When a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum StartName {
    /// Once for each commit that adds or changes the schedule.
    OnCommit,
    /// Only with `setpoint run`.
    Manual,
}

/// The time of a run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTime {
    /// Once, at an instant with its offset: `2026-03-01T06:00:00+01:00`.
    pub at: Option<Instant>,
    /// At the times of a cron expression of five fields, or of six with the seconds first.
    pub cron: Option<Text>,
    /// Time zone of the cron expression (`Europe/Berlin`); default `UTC`.
    pub zone: Option<Text>,
}

/// What happens with missed due times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Missed {
    /// By name.
    Name(MissedName),
    /// With a limit.
    Bound(MissedBound),
}

/// What happens with missed due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum MissedName {
    /// They are only recorded.
    Skip,
    /// The latest one runs.
    RunOnce,
}

/// Several missed due times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissedBound {
    /// The latest ones run, at most this many.
    #[schemars(range(min = 1, max = 1000))]
    pub run_all: u32,
}

/// What happens when a run is due while another one is in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum OverlapName {
    /// The new run is recorded as skipped.
    Skip,
    /// The new run waits.
    Queue,
    /// The earlier run is stopped.
    Replace,
    /// Both runs are in progress at the same time.
    Allow,
}

/// Order of sequential tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum ExecutionName {
    /// One task at a time, in the order of the file.
    Serial,
    /// A task without dependencies waits for the previous sequential task in the file; the others wait for their dependencies.
    Ordered,
    /// Each task waits only for its dependencies.
    Graph,
}

/// How to treat a schedule that cannot meet its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum FeasibilityName {
    /// A commit with it is refused as invalid.
    Error,
    /// It gives a warning.
    Warn,
    /// It is not checked.
    Off,
}

/// A schedule's defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The settings of its tasks.
    #[serde(flatten)]
    pub settings: TaskSettings,
}

/// One timed piece of work.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "id"))]
pub struct Task {
    /// Name within the schedule.
    pub id: Name,
    /// Task server: `host:port` or `unix:/path`.
    pub address: Option<TaskAddressText>,
    /// Task server of a deployment: `deployment/service`, with `:port` if it publishes several ports.
    pub service: Option<ServicePath>,
    /// Program that the daemon starts: a line, or a list of words.
    pub command: Option<Command>,
    /// Environment variables of the program; of the daemon's own variables it gets only `PATH`, `HOME`, `LANG` and `TZ`.
    pub env: Option<Pairs>,
    /// `timed` or `sequential`; default `timed` if a time is given.
    pub mode: Option<ModeName>,
    /// Due time, counted from the start of the run; a bare number is microseconds.
    pub scheduled_time_us: Option<Micros>,
    /// The same as text with a unit.
    pub scheduled_time: Option<Timespan>,
    /// Time between the due times of two occurrences; a bare number is microseconds.
    pub period_us: Option<Micros>,
    /// The same as text with a unit.
    pub period: Option<Timespan>,
    /// Added to the first due time; a bare number is microseconds.
    pub offset_us: Option<Micros>,
    /// The same as text with a unit.
    pub offset: Option<Timespan>,
    /// Number of occurrences of a periodic task.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<u32>,
    /// A periodic task has no occurrence at or after this time; a bare number is microseconds.
    pub until_us: Option<Micros>,
    /// The same as text with a unit.
    pub until: Option<Timespan>,
    /// Tasks that must have ended first: an id, a list of ids or of `{task, on}`, or a map of id and `on`.
    pub depends_on: Option<DependsOn>,
    /// Parameters of the task; values keep their types.
    pub parameters: Option<Parameters>,
    /// Settings.
    #[serde(flatten)]
    pub settings: TaskSettings,
}

/// Settings that a task has itself or takes from the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct TaskSettings {
    /// The task must have ended this long after its due time; a bare number is microseconds.
    pub deadline_us: Option<Micros>,
    /// The same as text with a unit.
    pub deadline: Option<Timespan>,
    /// What the deadline counts from: `release` (default) is the task's due time, `run` the start of the run.
    pub deadline_from: Option<DeadlineFromName>,
    /// What happens when the deadline has passed: `cancel` (default), `warn`, `kill` or `abort`.
    pub on_deadline: Option<OnDeadlineName>,
    /// Expected duration; a bare number is microseconds.
    pub estimated_duration_us: Option<Micros>,
    /// The same as text with a unit.
    pub estimated_duration: Option<Timespan>,
    /// Maximum duration of an attempt; text with a unit, default `1h`.
    pub timeout: Option<Timespan>,
    /// Time within which the task server must acknowledge the start; text with a unit, default `5s`.
    pub start_timeout: Option<Timespan>,
    /// After this long without a report about the task, its state is requested; text with a unit, default `10s`.
    pub lease: Option<Timespan>,
    /// Time between the request to stop and the forced end; text with a unit, default `5s`.
    pub grace: Option<Timespan>,
    /// Which task starts first if several are due at the same time: 0 to 100, the highest first; default 50.
    #[schemars(range(min = 0, max = 100))]
    pub priority: Option<u8>,
    /// Maximum number of further attempts after a failure; default 0.
    #[schemars(range(min = 0, max = 1000))]
    pub max_retries: Option<u32>,
    /// Pause before the first further attempt, doubled for each next one; text with a unit, default `1s`.
    pub retry_delay: Option<Timespan>,
    /// Its failure ends the whole run.
    pub critical: Option<bool>,
    /// Scheduling policy: `none` (default), `fifo`, `rr`, `deadline`.
    pub rt_policy: Option<RtPolicy>,
    /// Priority from 1 to 99 for `fifo` and `rr`; default 50.
    #[schemars(range(min = 0, max = 99))]
    pub rt_priority: Option<u8>,
    /// CPU time in each period under `deadline`; text with a unit, default the estimated duration.
    pub rt_runtime: Option<Timespan>,
    /// Relative deadline under `deadline`; text with a unit, default the task's deadline.
    pub rt_deadline: Option<Timespan>,
    /// Period under `deadline`; text with a unit, default the task's period, else the relative deadline.
    pub rt_period: Option<Timespan>,
    /// The CPU to run on; `-1` (default) is any CPU.
    #[schemars(range(min = -1, max = 8191))]
    pub cpu_affinity: Option<i32>,
    /// Form of the parameters: `json` (default), or `map` for older task servers.
    pub protocol: Option<ProtocolName>,
}

/// When a task starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeName {
    /// At a time.
    Timed,
    /// When its dependencies have ended.
    Sequential,
}

/// What a deadline counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadlineFromName {
    /// The due time.
    Release,
    /// The start of the run.
    Run,
}

/// What happens when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadlineName {
    /// It is recorded.
    Warn,
    /// The task is asked to stop, then stopped by force.
    Cancel,
    /// The task is stopped by force.
    Kill,
    /// The whole run is stopped.
    Abort,
}

/// Form of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// As JSON text.
    Json,
    /// As a map of text.
    Map,
}

/// Tasks that must have ended first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DependsOn {
    /// One; the empty text is none.
    One(Text),
    /// Several.
    List(Vec<Dependency>),
    /// Each with how it must have ended.
    Map(BTreeMap<String, OnName>),
}

/// A task that must have ended first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dependency {
    /// With success.
    Id(Text),
    /// With how it must have ended.
    Spec(DependencySpec),
}

/// A task that must have ended first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "task"))]
pub struct DependencySpec {
    /// Its id.
    pub task: Text,
    /// How it must have ended: `success` (default), `failure` or `always`.
    pub on: Option<OnName>,
}

/// How a task must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnName {
    /// With success.
    Success,
    /// Without success.
    Failure,
    /// In any way.
    Always,
}

/// A map of anything: numbers, texts, `true` and `false`, lists and maps keep their types; a quoted value is a text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Parameters(pub serde_json::Map<String, serde_json::Value>);

impl JsonSchema for Parameters {
    fn schema_name() -> Cow<'static, str> {
        "Parameters".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true, "x-free": true })
    }
}
