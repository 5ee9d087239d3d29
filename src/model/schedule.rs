//! Committed timelines: what a schedule file asks for, with every default filled in.
//!
//! Times within a run count from its start. A task is *released* when its time has come and everything it needs has
//! ended; each release is one *occurrence* (several for a periodic task), and each try of it one *attempt*.

use super::{Cadence, Location, ScheduleName, Task, Timestamp};
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
