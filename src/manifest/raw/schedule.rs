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
    /// When it runs.
    pub schedule: Schedule,
}

/// A named timeline of tasks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Schedule {
    /// Its name; the identifier is derived from it. Default: the file's name.
    pub name: Option<Text>,
    /// Free text.
    pub description: Option<Text>,
    /// When a run starts: `on_commit` (default), `manual`, `{at: …}` or `{cron: …, zone: …}`.
    pub start: Option<Start>,
    /// What becomes of due times that passed while no daemon ran: `run_once` (default), `skip` or `{run_all: n}`.
    pub missed: Option<Missed>,
    /// What happens when a run is due while one has not ended: `skip` (default), `queue`, `replace` or `allow`.
    pub overlap: Option<OverlapName>,
    /// A run starts up to this much later, by chance; a text with unit.
    pub jitter: Option<Timespan>,
    /// How sequential tasks follow each other: `ordered` (default), `serial` or `graph`.
    pub execution: Option<ExecutionName>,
    /// A run fails when a real-time policy that a task asks for cannot be had.
    pub strict: Option<bool>,
    /// What a schedule that cannot hold its times is: `warn` (default), `error` or `off`.
    pub feasibility: Option<FeasibilityName>,
    /// Values of every task that does not set its own.
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
    /// Only when somebody asks for it.
    Manual,
}

/// The time of a run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTime {
    /// Once, at an instant with its offset: `2026-03-01T06:00:00+01:00`.
    pub at: Option<Instant>,
    /// At each due time of a cron expression of five fields, or of six with seconds first.
    pub cron: Option<Text>,
    /// Its time zone (`Europe/Berlin`); default `UTC`.
    pub zone: Option<Text>,
}

/// What becomes of missed due times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Missed {
    /// By name.
    Name(MissedName),
    /// With a bound.
    Bound(MissedBound),
}

/// What becomes of missed due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum MissedName {
    /// They are recorded and not run.
    Skip,
    /// The latest of them runs, once.
    RunOnce,
}

/// Several missed due times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissedBound {
    /// The latest of them run, at most this many.
    #[schemars(range(min = 1, max = 1000))]
    pub run_all: u32,
}

/// What happens when a run is due while one has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum OverlapName {
    /// The new one is recorded as skipped.
    Skip,
    /// The new one waits.
    Queue,
    /// The earlier one is stopped.
    Replace,
    /// Both run.
    Allow,
}

/// How sequential tasks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum ExecutionName {
    /// One at a time, in the order of the file.
    Serial,
    /// One that names no dependency follows the one before it in the file; the others wait for what they name.
    Ordered,
    /// Each waits for what it names and for nothing else.
    Graph,
}

/// What a schedule that cannot hold its times is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
pub enum FeasibilityName {
    /// A mistake.
    Error,
    /// Told in the plan.
    Warn,
    /// Not looked at.
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
    /// Its name within the schedule.
    pub id: Name,
    /// Its task server: `host:port` or `unix:/path`.
    pub address: Option<TaskAddressText>,
    /// A task server of a deployment: `deployment/service`, with `:port` when it publishes several.
    pub service: Option<ServicePath>,
    /// A program for the daemon's own task runner: a line, or its words.
    pub command: Option<Command>,
    /// Variables of the program; it finds nothing else of the daemon's own than `PATH`, `HOME`, `LANG` and `TZ`.
    pub env: Option<Pairs>,
    /// `timed` or `sequential`; default `timed` when a time is given.
    pub mode: Option<ModeName>,
    /// Time after the run's start; a bare number is microseconds.
    pub scheduled_time_us: Option<Micros>,
    /// The same as a text with unit.
    pub scheduled_time: Option<Timespan>,
    /// Time between two occurrences; a bare number is microseconds.
    pub period_us: Option<Micros>,
    /// The same as a text with unit.
    pub period: Option<Timespan>,
    /// Added to the first due time; a bare number is microseconds.
    pub offset_us: Option<Micros>,
    /// The same as a text with unit.
    pub offset: Option<Timespan>,
    /// How many occurrences a periodic task has.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<u32>,
    /// A periodic task is not released at or after this time; a bare number is microseconds.
    pub until_us: Option<Micros>,
    /// The same as a text with unit.
    pub until: Option<Timespan>,
    /// What must have ended first: an id, a list of ids or of `{task, on}`, or a map of id and `on`.
    pub depends_on: Option<DependsOn>,
    /// What the task is given; its values keep their types.
    pub parameters: Option<Parameters>,
    /// Its settings.
    #[serde(flatten)]
    pub settings: TaskSettings,
}

/// What a task has of its own or takes from the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct TaskSettings {
    /// It must have ended this long after its due time; a bare number is microseconds.
    pub deadline_us: Option<Micros>,
    /// The same as a text with unit.
    pub deadline: Option<Timespan>,
    /// What the deadline counts from: `release` (default) is its due time, `run` the start of the run.
    pub deadline_from: Option<DeadlineFromName>,
    /// What happens when the deadline has passed: `cancel` (default), `warn`, `kill` or `abort`.
    pub on_deadline: Option<OnDeadlineName>,
    /// How long it is expected to run; a bare number is microseconds.
    pub estimated_duration_us: Option<Micros>,
    /// The same as a text with unit.
    pub estimated_duration: Option<Timespan>,
    /// The longest it may run at all; a text with unit, default `1h`.
    pub timeout: Option<Timespan>,
    /// Bound on the acknowledgement of its start; a text with unit, default `5s`.
    pub start_timeout: Option<Timespan>,
    /// Its state is asked for after this long without a sign of it; a text with unit, default `10s`.
    pub lease: Option<Timespan>,
    /// Time between the request to stop and the forced end; a text with unit, default `5s`.
    pub grace: Option<Timespan>,
    /// Who goes first when two are due at once: 0 to 100, more is first; default 50.
    #[schemars(range(min = 0, max = 100))]
    pub priority: Option<u8>,
    /// Further attempts after a failed one; default 0.
    #[schemars(range(min = 0, max = 1000))]
    pub max_retries: Option<u32>,
    /// Pause before the first further attempt, doubled for each one after it; a text with unit, default `1s`.
    pub retry_delay: Option<Timespan>,
    /// Its failure ends the whole run.
    pub critical: Option<bool>,
    /// Scheduling policy: `none` (default), `fifo`, `rr`, `deadline`.
    pub rt_policy: Option<RtPolicy>,
    /// Priority from 1 to 99 for `fifo` and `rr`; default 50.
    #[schemars(range(min = 0, max = 99))]
    pub rt_priority: Option<u8>,
    /// CPU time in each period under `deadline`; a text with unit, default the estimated duration.
    pub rt_runtime: Option<Timespan>,
    /// Relative deadline under `deadline`; a text with unit, default the task's deadline.
    pub rt_deadline: Option<Timespan>,
    /// Period under `deadline`; a text with unit, default the task's period, else the relative deadline.
    pub rt_period: Option<Timespan>,
    /// The CPU to run on; `-1` (default) is any.
    #[schemars(range(min = -1, max = 8191))]
    pub cpu_affinity: Option<i32>,
    /// How parameters travel: `json` (default), or `map` for older task servers.
    pub protocol: Option<ProtocolName>,
}

/// When a task is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeName {
    /// At a time.
    Timed,
    /// When what it needs has ended.
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
    /// The task is asked to stop, then ended by force.
    Cancel,
    /// The task is ended by force.
    Kill,
    /// The whole run is stopped.
    Abort,
}

/// How parameters travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// As JSON texts.
    Json,
    /// As maps of texts.
    Map,
}

/// What must have ended first.
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
