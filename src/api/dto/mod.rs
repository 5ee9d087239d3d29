//! What leaves the process: every form of the API and of `--json`, each a type of its own.
//!
//! In: values of the other modules, taken apart field by field, so that a field that is added there is either shown here or
//! left out on purpose. Out: JSON. The forms are an interface: `version` goes up when a field changes its meaning or goes; new
//! fields may come at any time. No other type is serialised for programs, so that inner types change freely.

mod apply;
mod conducted;
mod event;
mod figures;
mod health;
mod log;
mod plan;
mod planned;
mod preview;
mod problem;
mod revision;
mod run;
mod schedule;
mod status;
mod task;
mod validation;
mod why;
mod words;

pub use apply::{ApplyOrder, Carried, Outcome, StepDetail, StepEnd, StepOutcome, StepResult};
pub use conducted::{Conducted, ConductedAttempt, DryRun, Occurrence};
pub use event::{Event, EventsPage, Fact};
pub use figures::{FigureKind, TaskFigures};
pub use health::{Health, HealthReport};
pub use log::{LogItem, LogLine, LogStream};
pub use plan::{Change, Detail, Disruption, Held, Milestone, Need, Origin, Plan, Step};
pub use planned::{Difference, Planned};
pub use preview::{ChangeKind, FieldChange, Finding, Preview, Proof, ScheduleChange, StartTime, Starts, TaskChange};
pub use problem::{Accepted, Problem};
pub use revision::{Revision, short};
pub use run::{Run, RunAsked, RunRecord, RunState, RunVerdict, Runs, ShownRun};
pub use schedule::{
    Cadence, Deadline, DeadlineFrom, FeasibilityPolicy, Missed, On, OnDeadline, Overlap, RealTime, Release, Repeat,
    RtPolicy, Schedule, Start, Target, Task, TaskNeed, TaskProtocol,
};
pub use status::{
    Applying, DaemonStatus, DeploymentStatus, EngineStatus, HeldStatus, InstanceStatus, Rejected, RevisionStatus,
    SourceStatus, Status, Sync, WaitingStatus,
};
pub use task::{Attempt, AttemptEnd, Cause, SkipCause, TaskRecord, TaskVerdict};
pub use validation::{Content, Location, Notice, Validation};
pub use why::{End, Instance, Link, Transition, Verdict, Why};

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
