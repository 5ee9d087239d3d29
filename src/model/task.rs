//! A timed piece of work in a schedule: when it may start, what it needs, and until when it must have ended.

use super::{Location, Target, TaskId};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// One timed piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its `id`, unique within the schedule; apart from its address and from the kind of work done there.
    pub id: TaskId,
    /// Where it starts.
    pub at: Location,
    /// Where it runs.
    pub target: Target,
    /// How its parameters travel.
    pub protocol: TaskProtocol,
    /// When it may start at the earliest.
    pub release: Release,
    /// What must have ended first.
    pub needs: Vec<Need>,
    /// When it must have ended.
    pub deadline: Option<Deadline>,
    /// The longest it may run without a deadline; a bound on every wait for it.
    pub timeout: Duration,
    /// Bound on the acknowledgement of its start.
    pub start_timeout: Duration,
    /// Its state is asked for when it has given no sign for this long.
    pub lease: Duration,
    /// Time between the request to stop and the forced end.
    pub grace: Duration,
    /// How long it is expected to run; the feasibility check and the duration verdict use it.
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
    pub environment: BTreeMap<String, String>,
}

/// How parameters and outputs travel to a task server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskProtocol {
    /// As JSON texts: the newest form.
    Json,
    /// As maps of texts: the older form, which reuses the same field numbers.
    Map,
}

/// When a task may start at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Release {
    /// How often it is released in one run.
    pub fn occurrences(&self) -> u32 {
        match self {
            Self::Timed { repeat: Some(repeat), .. } => repeat.count,
            _ => 1,
        }
    }

    /// The due time of an occurrence (counted from 0) after the run's start; `None` for a sequential task.
    pub fn due(&self, occurrence: u32) -> Option<Duration> {
        match self {
            Self::Timed { at, repeat } => {
                let later = repeat.map_or(Duration::ZERO, |repeat| repeat.period.saturating_mul(occurrence));
                Some(at.saturating_add(later))
            }
            Self::Sequential => None,
        }
    }
}

/// Occurrences of a periodic task. The next due time follows from the due time before it, not from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Time between two due times.
    pub period: Duration,
    /// How many occurrences there are, at least 1.
    pub count: u32,
}

/// A task that must have ended first; all its occurrences count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub task: TaskId,
    /// How it must have ended.
    pub on: On,
    /// Follows from the order in the file and is written nowhere; its output is not passed on.
    pub implied: bool,
    /// Where it is written.
    pub at: Location,
}

/// How a task must have ended for its dependants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// With success.
    Success,
    /// Without success: failed, stopped, or left out because of a failure.
    Failure,
    /// In any way.
    Always,
}

/// When a task must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// How much time it has.
    pub after: Duration,
    /// Since when.
    pub from: DeadlineFrom,
    /// What happens when it has passed.
    pub action: OnDeadline,
}

/// What a deadline counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineFrom {
    /// The occurrence's due time; for a sequential task the time when everything it needs has ended.
    Release,
    /// The start of the run.
    Run,
}

/// What happens when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// It is recorded; the task goes on.
    Warn,
    /// The task is asked to stop, and ended by force after its grace.
    Cancel,
    /// The task is ended by force.
    Kill,
    /// The task is asked to stop, and with it the whole run.
    Abort,
}

/// Scheduling of the thread that runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealTime {
    /// How the kernel picks it.
    pub policy: RtPolicy,
    /// The one CPU it runs on.
    pub cpu: Option<u32>,
}

/// How the kernel picks a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtPolicy {
    /// The default of the machine.
    Other,
    /// `SCHED_FIFO`: runs until it waits or a higher priority is ready.
    Fifo {
        /// 1 to 99, more is first.
        priority: u8,
    },
    /// `SCHED_RR`: like it, in turns among equals.
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

impl RtPolicy {
    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "none",
            Self::Fifo { .. } => "fifo",
            Self::RoundRobin { .. } => "rr",
            Self::Deadline { .. } => "deadline",
        }
    }
}
