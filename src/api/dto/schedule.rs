//! A schedule with every default filled in, as `setpoint run --dry-run --json` prints it.

use super::words::words;
use crate::model::{self, Timestamp};
use crate::schedule::Placed;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// One named timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// Identifier, derived from `title` when that is not one itself.
    pub name: String,
    /// The name as written.
    pub title: String,
    /// Free text.
    pub description: Option<String>,
    /// When a run starts.
    pub start: Start,
    /// What becomes of due times that passed while nobody was there to start them.
    pub missed: Missed,
    /// What happens when a run is due while an earlier one has not ended.
    pub overlap: Overlap,
    /// A run starts up to this much after its due time.
    pub jitter: Duration,
    /// A run fails when a real-time policy that a task asks for cannot be had.
    pub strict: bool,
    /// What an infeasible schedule is.
    pub feasibility: FeasibilityPolicy,
    /// The tasks in file order.
    pub tasks: Vec<Task>,
}

/// When a run starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Once for each commit that adds or changes the schedule.
    OnCommit,
    /// Only when somebody asks for it.
    Manual,
    /// Once, at an instant.
    At(Timestamp),
    /// At each due time of a cron expression.
    Cron(Cadence),
}

/// The due times of a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cadence {
    /// The expression.
    pub cron: String,
    /// The time zone that it counts in.
    pub zone: String,
}

/// What becomes of missed due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are recorded as missed and not run.
    Skip,
    /// The latest of them runs, once.
    RunOnce,
    /// The latest of them run, at most this many, oldest first.
    RunAll(u32),
}

words! {
    /// What happens when a run is due while an earlier one of the same schedule has not ended.
    Overlap = model::Overlap { Skip, Queue, Replace, Allow }
}

words! {
    /// What a schedule that cannot hold its times is: a mistake, told, or not looked at.
    FeasibilityPolicy = model::FeasibilityPolicy { Error, Warn, Off }
}

/// One timed piece of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its `id`, unique within the schedule.
    pub id: String,
    /// Where it runs.
    pub target: Target,
    /// How its parameters travel.
    pub protocol: TaskProtocol,
    /// When it may start at the earliest.
    pub release: Release,
    /// What must have ended first.
    pub needs: Vec<TaskNeed>,
    /// When it must have ended.
    pub deadline: Option<Deadline>,
    /// The longest it may run without a deadline.
    pub timeout: Duration,
    /// Bound on the acknowledgement of its start.
    pub start_timeout: Duration,
    /// Its state is asked for when it has given no sign for this long.
    pub lease: Duration,
    /// Time between the request to stop and the forced end.
    pub grace: Duration,
    /// How long it is expected to run.
    pub estimate: Option<Duration>,
    /// Who goes first when two are due at once: 0 to 100, more is first.
    pub priority: u8,
    /// Further attempts after a failed one.
    pub max_retries: u32,
    /// Pause before the first further attempt; doubled for each one after it.
    pub retry_delay: Duration,
    /// That it fails, is cancelled, or is left out for a failure ends the whole run.
    pub critical: bool,
    /// Scheduling policy and CPU of the thread that runs it.
    pub real_time: RealTime,
    /// What it is given.
    pub parameters: Map<String, Value>,
    /// Variables of its program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// Where a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// At a task server: `host:port`, `tls://host:port` or `unix:/path`.
    Address(String),
    /// At the task server that a deployment runs.
    Service {
        /// Which: `deployment/service`.
        service: String,
        /// Where its port is published on the host; absent when it is not placed.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// As a program that the daemon's own task runner starts.
    Command(Vec<String>),
}

words! {
    /// How parameters and outputs travel to a task server: as JSON texts, or as maps of texts.
    TaskProtocol = model::TaskProtocol { Json, Map }
}

/// When a task may start at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// At a time; the later of this and the end of what it needs.
    Timed {
        /// Time of the first occurrence after the run's start.
        at: Duration,
        /// Further occurrences.
        repeat: Option<Repeat>,
    },
    /// When everything it needs has ended.
    Sequential,
}

/// Occurrences of a periodic task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// Time between two due times.
    pub period: Duration,
    /// How many occurrences there are, at least 1.
    pub count: u32,
}

/// A task that must have ended first; all its occurrences count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskNeed {
    /// Which.
    pub task: String,
    /// How it must have ended.
    pub on: On,
    /// Follows from the order in the file and is written nowhere; its output is not passed on.
    pub implied: bool,
}

words! {
    /// How a task must have ended for its dependants.
    On = model::On { Success, Failure, Always }
}

/// When a task must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Deadline {
    /// How much time it has.
    pub after: Duration,
    /// Since when.
    pub from: DeadlineFrom,
    /// What happens when it has passed.
    pub action: OnDeadline,
}

words! {
    /// What a deadline counts from.
    DeadlineFrom = model::DeadlineFrom { Release, Run }
}

words! {
    /// What happens when a deadline has passed.
    OnDeadline = model::OnDeadline { Warn, Cancel, Kill, Abort }
}

/// Scheduling of the thread that runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RealTime {
    /// How the kernel picks it.
    pub policy: RtPolicy,
    /// The one CPU it runs on.
    pub cpu: Option<u32>,
}

/// How the kernel picks a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RtPolicy {
    /// The default of the machine.
    Other,
    /// `SCHED_FIFO`.
    Fifo {
        /// 1 to 99, more is first.
        priority: u8,
    },
    /// `SCHED_RR`.
    RoundRobin {
        /// 1 to 99, more is first.
        priority: u8,
    },
    /// `SCHED_DEADLINE`: `runtime` within `deadline` in every `period`.
    Deadline {
        /// CPU time in each period.
        runtime: Duration,
        /// Within this time after the period's start.
        deadline: Duration,
        /// The period.
        period: Duration,
    },
}

impl Schedule {
    /// A schedule whose services are where `placed` says.
    pub fn new(schedule: model::Schedule, placed: &Placed) -> Self {
        let model::Schedule {
            name,
            title,
            description,
            at: _,
            start,
            missed,
            overlap,
            jitter,
            strict,
            feasibility,
            tasks,
        } = schedule;
        Self {
            name: name.to_string(),
            title,
            description,
            start: start.into(),
            missed: missed.into(),
            overlap: overlap.into(),
            jitter,
            strict,
            feasibility: feasibility.into(),
            tasks: tasks.into_iter().map(|task| Task::new(task, placed)).collect(),
        }
    }
}

impl From<model::Start> for Start {
    fn from(start: model::Start) -> Self {
        match start {
            model::Start::OnCommit => Self::OnCommit,
            model::Start::Manual => Self::Manual,
            model::Start::At(at) => Self::At(at),
            model::Start::Cron(cadence) => {
                Self::Cron(Cadence { cron: cadence.expression().to_owned(), zone: cadence.zone().to_owned() })
            }
        }
    }
}

impl From<model::Missed> for Missed {
    fn from(missed: model::Missed) -> Self {
        match missed {
            model::Missed::Skip => Self::Skip,
            model::Missed::RunOnce => Self::RunOnce,
            model::Missed::RunAll(count) => Self::RunAll(count),
        }
    }
}

impl Task {
    fn new(task: model::Task, placed: &Placed) -> Self {
        let model::Task {
            id,
            at: _,
            target,
            protocol,
            release,
            needs,
            deadline,
            timeout,
            start_timeout,
            lease,
            grace,
            estimate,
            priority,
            max_retries,
            retry_delay,
            critical,
            real_time: model::RealTime { policy, cpu },
            parameters,
            environment,
        } = task;
        Self {
            id: id.to_string(),
            target: Target::new(target, placed),
            protocol: protocol.into(),
            release: release.into(),
            needs: needs.into_iter().map(Into::into).collect(),
            deadline: deadline.map(Into::into),
            timeout,
            start_timeout,
            lease,
            grace,
            estimate,
            priority,
            max_retries,
            retry_delay,
            critical,
            real_time: RealTime { policy: policy.into(), cpu },
            parameters,
            environment,
        }
    }
}

impl Target {
    fn new(target: model::Target, placed: &Placed) -> Self {
        let address = placed.address(&target).map(String::from);
        match target {
            model::Target::Address(address) => Self::Address(address.to_string()),
            model::Target::Service(model::ServiceTarget { service, port: _, tls_name: _ }) => {
                Self::Service { service: service.to_string(), address }
            }
            model::Target::Command(words) => Self::Command(words),
        }
    }
}

impl From<model::Release> for Release {
    fn from(release: model::Release) -> Self {
        match release {
            model::Release::Timed { at, repeat } => {
                let repeat = repeat.map(|model::Repeat { period, count }| Repeat { period, count });
                Self::Timed { at, repeat }
            }
            model::Release::Sequential => Self::Sequential,
        }
    }
}

impl From<model::Need> for TaskNeed {
    fn from(need: model::Need) -> Self {
        let model::Need { task, on, implied, at: _ } = need;
        Self { task: task.to_string(), on: on.into(), implied }
    }
}

impl From<model::Deadline> for Deadline {
    fn from(deadline: model::Deadline) -> Self {
        let model::Deadline { after, from, action } = deadline;
        Self { after, from: from.into(), action: action.into() }
    }
}

impl From<model::RtPolicy> for RtPolicy {
    fn from(policy: model::RtPolicy) -> Self {
        match policy {
            model::RtPolicy::Other => Self::Other,
            model::RtPolicy::Fifo { priority } => Self::Fifo { priority },
            model::RtPolicy::RoundRobin { priority } => Self::RoundRobin { priority },
            model::RtPolicy::Deadline { runtime, deadline, period } => Self::Deadline { runtime, deadline, period },
        }
    }
}
