//! What is known of one task during a run.

use super::signal::{Attempt, Cause, End, TaskIndex, Verdict};
use super::timers::{NEVER, Nanos};
use crate::model::{DeadlineFrom, OnDeadline, Release, Task, nanos};
use std::time::Duration;

/// The terms of a task, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) release: Release,
    pub(super) occurrences: u32,
    pub(super) priority: u8,
    pub(super) lane: Option<u32>,
    pub(super) lead: Option<Nanos>,
    pub(super) deadline: Option<(Nanos, DeadlineFrom, OnDeadline)>,
    pub(super) timeout: Nanos,
    pub(super) start_timeout: Nanos,
    pub(super) lease: Nanos,
    pub(super) grace: Nanos,
    pub(super) retry_delay: Nanos,
    pub(super) max_retries: u32,
    pub(super) critical: bool,
}

impl Terms {
    pub(super) fn new(task: &Task, lane: Option<u32>, lead: Option<Duration>) -> Self {
        Self {
            release: task.release,
            occurrences: task.release.occurrences().max(1),
            priority: task.priority,
            lane,
            lead: lead.map(nanos),
            deadline: task.deadline.map(|deadline| (nanos(deadline.after), deadline.from, deadline.action)),
            timeout: nanos(task.timeout),
            start_timeout: nanos(task.start_timeout),
            lease: nanos(task.lease),
            grace: nanos(task.grace),
            retry_delay: nanos(task.retry_delay),
            max_retries: task.max_retries,
            critical: task.critical,
        }
    }

    /// The due time of an occurrence; `None` for a sequential task.
    pub(super) fn due(&self, occurrence: u32) -> Option<Nanos> {
        self.release.due(occurrence).map(nanos)
    }

    /// The pause before the attempt after number `attempt`.
    pub(super) fn pause(&self, attempt: u32) -> Nanos {
        /// Doublings after which the pause stays as it is.
        const DOUBLINGS: u32 = 6;
        self.retry_delay.saturating_mul(1 << attempt.saturating_sub(1).min(DOUBLINGS))
    }
}

/// Where the current occurrence of a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not released: its time has not come, or something it needs has not ended.
    Waiting,
    /// Released; its task server is busy.
    Ready,
    /// Sent ahead. It takes no place before its instant.
    Armed,
    /// Sent ahead, and being taken back.
    Disarming,
    /// Sent, not acknowledged.
    Starting,
    /// Acknowledged.
    Running,
    /// Its task server says that it does not run; the end notice may be under way.
    Vanished,
    /// Asked to stop.
    Stopping(Why),
    /// Ended by force; not confirmed.
    Killing(Why),
    /// Failed; pauses before the next attempt.
    Pausing,
    /// Every occurrence is settled.
    Done,
}

impl Phase {
    /// Whether an attempt is in flight.
    pub(super) fn in_flight(self) -> bool {
        !matches!(self, Self::Waiting | Self::Ready | Self::Pausing | Self::Done)
    }

    /// Whether an attempt is in flight that nobody has asked to stop.
    pub(super) fn can_be_stopped(self) -> bool {
        self.in_flight() && !matches!(self, Self::Stopping(_) | Self::Killing(_))
    }
}

/// Why a task is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// For what it did.
    Cause(Cause),
    /// With its run.
    Abort,
}

/// How a finished task counts for its dependants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskOutcome {
    /// Every occurrence succeeded.
    Success,
    /// One did not.
    Failure,
    /// It was rightly left out.
    NotNeeded,
}

/// A task during a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskState {
    pub(super) phase: Phase,
    /// It has a place at its task server.
    pub(super) placed: bool,
    /// Changes with the phase: who waited for a place in an earlier one does not any more.
    pub(super) stamp: u32,
    /// The occurrence in hand, or the next one.
    pub(super) occurrence: u32,
    /// The first occurrence whose due time has not come.
    pub(super) upcoming: u32,
    /// Settled occurrences.
    pub(super) settled: u32,
    /// Attempts of the occurrence in hand.
    pub(super) attempt: u32,
    /// When the occurrence in hand is due; for a sequential task when everything it needs had ended.
    pub(super) due: Nanos,
    /// When it could start: the later of its due time and the end of what it needs.
    pub(super) released: Nanos,
    /// The deadline of the occurrence in hand.
    pub(super) deadline_at: Nanos,
    /// The longest that the attempt in hand may run.
    pub(super) timeout_at: Nanos,
    /// The bound of the phase: acknowledgement, lease, grace, pause.
    pub(super) phase_at: Nanos,
    /// The bound that a timer is set for. There is one timer for all three, so that bounds far ahead do not pile up.
    pub(super) bound_at: Nanos,
    /// Polls without an answer.
    pub(super) polls: u8,
    /// A deadline of the occurrence in hand passed.
    pub(super) missed: bool,
    /// Tasks it needs that have not ended.
    pub(super) needs: u32,
    pub(super) outcome: TaskOutcome,
}

impl TaskState {
    pub(super) fn new(needs: u32, due: Nanos) -> Self {
        Self {
            phase: Phase::Waiting,
            placed: false,
            stamp: 0,
            occurrence: 0,
            upcoming: 0,
            settled: 0,
            attempt: 0,
            due,
            released: due,
            deadline_at: NEVER,
            timeout_at: NEVER,
            phase_at: NEVER,
            bound_at: NEVER,
            polls: 0,
            missed: false,
            needs,
            outcome: TaskOutcome::Success,
        }
    }

    /// Goes into a phase; the bound of the one before means nothing from here on.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.stamp = self.stamp.wrapping_add(1);
        self.phase_at = NEVER;
        self.polls = 0;
    }

    /// The earliest bound.
    pub(super) fn bound(&self) -> Nanos {
        self.deadline_at.min(self.timeout_at).min(self.phase_at)
    }

    /// The attempt in hand.
    pub(super) fn attempt(&self, task: usize) -> Attempt {
        Attempt { task: TaskIndex(task as u32), occurrence: self.occurrence, number: self.attempt }
    }
}

/// The verdict of an end that a task reports.
pub(super) fn reported(end: End) -> Verdict {
    match end {
        End::Success => Verdict::Succeeded,
        End::Failure => Verdict::Failed(Cause::Reported),
        End::Timeout => Verdict::TimedOut(Cause::Reported),
        End::Cancelled => Verdict::Cancelled,
    }
}
