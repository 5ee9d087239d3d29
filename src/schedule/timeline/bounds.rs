//! Timers: what is due, and the bounds of every wait.

use super::Timeline;
use super::signal::{Cause, Effect, RunVerdict, Verdict};
use super::state::{Phase, Why};
use super::timers::{NEVER, Nanos, Timer, TimerKind};
use crate::model::OnDeadline;

/// Polls without an answer after which a task server counts as gone. A single lost message must not end a task.
const POLLS: u8 = 3;

impl Timeline {
    /// A timer has come.
    pub(super) fn fire(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        let task = timer.task as usize;
        if self.states[task].phase == Phase::Done {
            return;
        }
        match timer.kind {
            TimerKind::Bound => self.bounds(task, timer.at, effects),
            TimerKind::Arm => self.arm(task, timer.occurrence, effects),
            TimerKind::Due => self.due(task, timer.occurrence, effects),
            TimerKind::Ready => self.ready(task, timer.occurrence, effects),
        }
    }

    /// Looks at the bounds of a task.
    pub(super) fn bounds(&mut self, task: usize, at: Nanos, effects: &mut Vec<Effect>) {
        if self.states[task].bound_at != at {
            return;
        }
        self.states[task].bound_at = NEVER;
        let now = self.now;
        if self.states[task].deadline_at <= now {
            self.deadline(task, effects);
        }
        if self.states[task].timeout_at <= now {
            self.states[task].timeout_at = NEVER;
            if self.states[task].phase.can_be_stopped() {
                self.stop(task, Why::Cause(Cause::Timeout), effects);
            }
        }
        if self.states[task].phase_at <= now {
            self.states[task].phase_at = NEVER;
            self.phase_over(task, effects);
        }
        self.bound(task);
    }

    /// The bound of a phase has come.
    pub(super) fn phase_over(&mut self, task: usize, effects: &mut Vec<Effect>) {
        match self.states[task].phase {
            Phase::Armed | Phase::Disarming | Phase::Starting => {
                self.stop(task, Why::Cause(Cause::Unacknowledged), effects);
            }
            Phase::Running if self.states[task].polls >= POLLS => {
                effects.push(Effect::Kill(self.states[task].attempt(task)));
                self.failed(task, Verdict::Failed(Cause::Lost), effects);
            }
            Phase::Running => {
                self.states[task].polls += 1;
                effects.push(Effect::Poll(self.states[task].attempt(task)));
                self.bound_phase(task, self.poll_pause(task));
            }
            Phase::Vanished => self.failed(task, Verdict::Failed(Cause::NoticeLost), effects),
            Phase::Stopping(why) => self.kill(task, why, effects),
            Phase::Killing(why) => self.stopped(task, why, None, effects),
            Phase::Pausing => {
                self.states[task].released = self.now;
                self.release(task, effects);
            }
            Phase::Waiting | Phase::Ready | Phase::Done => {}
        }
    }

    pub(super) fn poll_pause(&self, task: usize) -> Nanos {
        (self.terms[task].lease / 4).max(1)
    }

    /// The deadline of the occurrence in hand has passed.
    pub(super) fn deadline(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let Some((.., action)) = self.terms[task].deadline else { return };
        let state = &mut self.states[task];
        state.deadline_at = NEVER;
        state.missed = true;
        let why = Why::Cause(Cause::Deadline);
        match state.phase {
            _ if action == OnDeadline::Warn => return,
            Phase::Stopping(_) | Phase::Killing(_) | Phase::Done => {}
            phase if phase.in_flight() && action == OnDeadline::Kill => self.kill(task, why, effects),
            phase if phase.in_flight() => self.stop(task, why, effects),
            _ => self.conclude(task, Verdict::TimedOut(Cause::Deadline), effects),
        }
        if action == OnDeadline::Abort {
            self.abort(RunVerdict::Aborted, effects);
        }
    }
}
