//! What a timeline is told, and what it asks for.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The position of a task in its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskIndex(pub u32);

impl TaskIndex {
    /// As an index of a slice.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One try of one occurrence of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// Which task.
    pub task: TaskIndex,
    /// Which occurrence, from 0.
    pub occurrence: u32,
    /// Which try of it, from 1.
    pub number: u32,
}

/// What happened. Anything about an attempt that is no longer in flight is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The task server acknowledged the start.
    Started(Attempt),
    /// The task was not started, for sure: refused, or nobody there.
    Refused(Attempt),
    /// A task that was sent ahead was taken back, or its runner let its instant pass: it was not started.
    Disarmed(Attempt),
    /// The start may have happened or not: no answer, or the connection was lost.
    Unclear(Attempt),
    /// The task ended.
    Ended(Attempt, End),
    /// An answer to [`Effect::Poll`].
    Seen(Attempt, Seen),
    /// The task server says that the task was stopped.
    Stopped(Attempt),
    /// Somebody ends the run.
    Cancel,
}

/// How a task says that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With success.
    Success,
    /// Without.
    Failure,
    /// It gave up by a limit of its own.
    Timeout,
    /// It was stopped.
    Cancelled,
}

/// What a task server says about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It runs.
    Running,
    /// It does not run; if it ended, its end notice was lost or is still under way.
    NotRunning,
    /// No answer.
    Unreachable,
}

/// What is to be done, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the task ahead: its runner starts it by its own timer at `at` after the run's start.
    Arm {
        /// What.
        attempt: Attempt,
        /// When it starts.
        at: Duration,
    },
    /// Start the task now.
    Start {
        /// What.
        attempt: Attempt,
        /// Since when it has been due, after the run's start.
        due: Duration,
    },
    /// Take back what was sent ahead, unless it has begun: its instant has come, and its task server is busy.
    Disarm(Attempt),
    /// Ask its task server whether it runs.
    Poll(Attempt),
    /// Ask it to stop, or not to begin.
    Stop {
        /// What.
        attempt: Attempt,
        /// How long it has.
        grace: Duration,
    },
    /// End it by force.
    Kill(Attempt),
    /// Occurrences have their final verdict.
    Settled {
        /// Of which task.
        task: TaskIndex,
        /// The first of them, from 0.
        first: u32,
        /// How many.
        count: u32,
        /// The verdict.
        verdict: Verdict,
        /// Whether a deadline passed before.
        missed_deadline: bool,
    },
    /// Everything is settled; the last effect of a run.
    Ended(RunVerdict),
}

/// How an occurrence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// With success.
    Succeeded,
    /// Its last attempt failed.
    Failed(Cause),
    /// Its deadline, or the longest time it may run, has passed.
    TimedOut(Cause),
    /// It was stopped with its run, or by somebody else.
    Cancelled,
    /// It was never started.
    Skipped(SkipCause),
}

impl Verdict {
    /// Whether what comes after it on success may go on.
    pub fn is_success(self) -> bool {
        self == Self::Succeeded
    }

    /// Whether the run has failed with it. What was rightly left out is no failure.
    pub fn fails_the_run(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Skipped(SkipCause::NotNeeded(_)))
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The task says so.
    Reported,
    /// Its start was refused.
    Refused,
    /// Its start was not acknowledged in time.
    Unacknowledged,
    /// Its task server gave no sign any more.
    Lost,
    /// It ended and its end notice never came.
    NoticeLost,
    /// Its deadline passed.
    Deadline,
    /// It ran for longer than its timeout.
    Timeout,
}

/// Why an occurrence was never started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipCause {
    /// A task that it needs did not succeed.
    NeedFailed(TaskIndex),
    /// It waits for the failure of a task that succeeded.
    NotNeeded(TaskIndex),
    /// It was due while the occurrence before it had not ended.
    Overrun,
    /// The run ended early.
    Aborted,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// Nothing failed.
    Succeeded,
    /// Something failed, and the rest went on.
    Failed,
    /// A critical task failed, was cancelled or was left out for a failure, or a deadline ended the run.
    Aborted,
    /// Somebody ended it.
    Cancelled,
}
