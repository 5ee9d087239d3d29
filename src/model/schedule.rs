//! Committed timelines: what a schedule file asks for, with every default filled in.
//!
//! Times within a run count from its start. A task is *released* when its time has come and everything it needs has
//! ended; each release is one *occurrence* (several for a periodic task), and each try of it one *attempt*.

use super::{Cadence, Location, ScheduleName, ServiceRef, TaskId, Timestamp};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One named timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Identifier, derived from `title` when that is not one itself.
    pub name: ScheduleName,
    /// The name as written.
    pub title: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it starts.
    pub at: Location,
    /// When a run starts.
    pub start: Start,
    /// What becomes of due times that passed while nobody was there to start them.
    pub missed: Missed,
    /// What happens when a run is due while an earlier one has not ended.
    pub overlap: Overlap,
    /// A run starts up to this much after its due time, by chance, so that many schedules do not start at once.
    pub jitter: Duration,
    /// A run fails when a real-time policy that a task asks for cannot be had; otherwise it is told and goes on.
    pub strict: bool,
    /// What an infeasible schedule is.
    pub feasibility: FeasibilityPolicy,
    /// The tasks in file order.
    pub tasks: Vec<Task>,
}

/// When a run starts.
#[derive(Clone, Debug, PartialEq)]
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

/// What becomes of missed due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// They are recorded as missed and not run.
    Skip,
    /// The latest of them runs, once.
    RunOnce,
    /// The latest of them run, at most this many, oldest first.
    RunAll(u32),
}

/// What happens when a run is due while an earlier one of the same schedule has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The new one is recorded as skipped.
    Skip,
    /// The new one starts when the earlier one has ended.
    Queue,
    /// The earlier one is stopped, then the new one starts.
    Replace,
    /// Both run.
    Allow,
}

/// What a schedule that cannot hold its times is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeasibilityPolicy {
    /// A mistake: the revision is refused.
    Error,
    /// Told in the plan.
    Warn,
    /// Not looked at.
    Off,
}

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

/// Where a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At a task server.
    Address(TaskAddress),
    /// At the task server that a deployment runs.
    Service {
        /// Which.
        service: ServiceRef,
        /// Where its port is published on the host.
        address: TaskAddress,
    },
    /// As a program that the daemon's own task runner starts.
    Command(Vec<String>),
}

impl Target {
    /// The address of the task server; `None` for a program.
    pub fn address(&self) -> Option<&TaskAddress> {
        match self {
            Self::Address(address) | Self::Service { address, .. } => Some(address),
            Self::Command(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Service { service, .. } => service.fmt(f),
            Self::Command(words) => f.pad(&words.join(" ")),
        }
    }
}

/// The address of a task server: `host:port`, `tls://host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskAddress {
    /// Host and port, in plain text.
    Tcp(String, u16),
    /// Host and port, with mutual TLS.
    Tls(String, u16),
    /// A service of ours, with mutual TLS: its port is published at host and port, and its certificate says the name.
    TlsService {
        /// What its certificate is for: the name that it is reached by in its own network.
        name: String,
        /// Where it is published.
        host: String,
        /// The port there.
        port: u16,
    },
    /// Path of a Unix socket.
    Unix(String),
}

impl TaskAddress {
    /// Host and port as a URL has them; `None` for a socket.
    pub fn authority(&self) -> Option<String> {
        let (host, port) = self.place()?;
        Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }

    /// The host and port to connect to; `None` for a socket.
    pub fn place(&self) -> Option<(&str, u16)> {
        match self {
            Self::Tcp(host, port) | Self::Tls(host, port) | Self::TlsService { host, port, .. } => Some((host, *port)),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for TaskAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.authority().unwrap_or_default();
        f.pad(&match self {
            Self::Tcp(..) => rest,
            Self::Tls(..) => format!("tls://{rest}"),
            Self::TlsService { name, .. } => format!("tls://{rest} ({name})"),
            Self::Unix(path) => format!("unix:{path}"),
        })
    }
}

impl From<TaskAddress> for String {
    fn from(address: TaskAddress) -> Self {
        address.to_string()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_it_is_reached() {
        let text = |address: TaskAddress| address.to_string();
        assert_eq!(text(TaskAddress::Tcp("task1".to_owned(), 50051)), "task1:50051");
        assert_eq!(text(TaskAddress::Tls("task1".to_owned(), 50051)), "tls://task1:50051");
        assert_eq!(text(TaskAddress::Tls("::1".to_owned(), 50051)), "tls://[::1]:50051");
        let (name, host) = ("task1".to_owned(), "127.0.0.1".to_owned());
        assert_eq!(text(TaskAddress::TlsService { name, host, port: 50051 }), "tls://127.0.0.1:50051 (task1)");
        assert_eq!(text(TaskAddress::Unix("/run/task1.sock".to_owned())), "unix:/run/task1.sock");
    }
}
