//! From the end of an attempt to the verdict, and to what the verdict releases.

use super::Timeline;
use super::signal::{Cause, Effect, End, RunVerdict, SkipCause, TaskIndex, Verdict};
use super::state::{Phase, TaskOutcome, Why, reported};
use super::timers::{NEVER, Nanos};
use crate::model::{On, OnDeadline};
use std::time::Duration;

/// What the answer to a request to stop may take beyond the grace itself: a task that uses its whole grace must not be ended
/// by force because its answer is still on the way.
const STOP_MARGIN: Nanos = 500_000_000;
/// How long the end of a task that was ended by force is waited for. Its server may be gone, and a run must end.
const KILL_WAIT: Nanos = 5_000_000_000;

impl Timeline {
    pub(super) fn stop(&mut self, task: usize, why: Why, effects: &mut Vec<Effect>) {
        let grace = self.terms[task].grace;
        effects.push(Effect::Stop { attempt: self.states[task].attempt(task), grace: Duration::from_nanos(grace) });
        self.states[task].enter(Phase::Stopping(why));
        self.bound_phase(task, grace.saturating_add(STOP_MARGIN));
    }

    pub(super) fn kill(&mut self, task: usize, why: Why, effects: &mut Vec<Effect>) {
        effects.push(Effect::Kill(self.states[task].attempt(task)));
        self.states[task].enter(Phase::Killing(why));
        self.bound_phase(task, KILL_WAIT);
    }

    /// The task reports its end.
    pub(super) fn ended(&mut self, task: usize, end: End, effects: &mut Vec<Effect>) {
        match end {
            End::Success | End::Cancelled => self.conclude(task, reported(end), effects),
            End::Failure | End::Timeout => self.failed(task, reported(end), effects),
        }
    }

    /// A task that was being stopped has ended, or is given up.
    pub(super) fn stopped(&mut self, task: usize, why: Why, end: Option<End>, effects: &mut Vec<Effect>) {
        match (why, end) {
            (Why::Abort | Why::Cause(Cause::Unacknowledged), Some(End::Success)) => {
                self.conclude(task, Verdict::Succeeded, effects);
            }
            (Why::Abort, _) => self.conclude(task, Verdict::Cancelled, effects),
            (Why::Cause(Cause::Deadline), _) => self.conclude(task, Verdict::TimedOut(Cause::Deadline), effects),
            (Why::Cause(Cause::Timeout), _) => self.failed(task, Verdict::TimedOut(Cause::Timeout), effects),
            (Why::Cause(cause), _) => self.failed(task, Verdict::Failed(cause), effects),
        }
    }

    /// An attempt failed: another one after a pause, or the end of the occurrence.
    pub(super) fn failed(&mut self, task: usize, verdict: Verdict, effects: &mut Vec<Effect>) {
        let (terms, state) = (self.terms[task], self.states[task]);
        let pause = terms.pause(state.attempt);
        let firm = terms.deadline.is_some_and(|(.., action)| action != OnDeadline::Warn);
        let too_late = firm && state.deadline_at <= self.now.saturating_add(pause);
        if state.attempt > terms.max_retries || too_late || self.ending.is_some() {
            self.conclude(task, verdict, effects);
            return;
        }
        self.states[task].timeout_at = NEVER;
        self.states[task].enter(Phase::Pausing);
        // What was sent ahead may fail before its instant, and is not tried again before it either.
        self.bound_phase(task, pause.max(state.due.saturating_sub(self.now)));
        self.leave_lane(task, effects);
    }

    /// The occurrence in hand has its verdict.
    pub(super) fn conclude(&mut self, task: usize, verdict: Verdict, effects: &mut Vec<Effect>) {
        let state = self.states[task];
        let next = state.upcoming.max(state.occurrence + 1);
        self.settled(task, state.occurrence, 1, verdict, effects);
        let terms = self.terms[task];
        let state = &mut self.states[task];
        state.attempt = 0;
        state.missed = false;
        (state.deadline_at, state.timeout_at) = (NEVER, NEVER);
        if state.phase != Phase::Done {
            state.occurrence = next;
            state.due = terms.due(next).unwrap_or(state.due);
            state.enter(Phase::Waiting);
        }
        if self.ending.is_some() {
            self.skip_rest(task, SkipCause::Aborted, effects);
        } else {
            self.arm_timer(task);
        }
        self.leave_lane(task, effects);
        if terms.critical && matches!(verdict, Verdict::Failed(_) | Verdict::TimedOut(_) | Verdict::Cancelled) {
            self.abort(RunVerdict::Aborted, effects);
        }
    }

    /// Records verdicts, and the end of the task when they are its last.
    pub(super) fn settled(&mut self, task: usize, first: u32, count: u32, verdict: Verdict, effects: &mut Vec<Effect>) {
        let terms = self.terms[task];
        let state = &mut self.states[task];
        let missed_deadline = state.missed && first == state.occurrence;
        effects.push(Effect::Settled { task: TaskIndex(task as u32), first, count, verdict, missed_deadline });
        state.settled += count;
        match verdict {
            Verdict::Succeeded => {}
            Verdict::Skipped(SkipCause::NotNeeded(_)) => state.outcome = TaskOutcome::NotNeeded,
            _ => state.outcome = TaskOutcome::Failure,
        }
        self.failed |= verdict.fails_the_run();
        if state.settled >= terms.occurrences {
            state.enter(Phase::Done);
            self.unfinished -= 1;
            self.finished.push(task as u32);
        }
    }

    /// Settles what is left of a task that has not begun, or whose occurrence in hand is settled.
    pub(super) fn skip_rest(&mut self, task: usize, cause: SkipCause, effects: &mut Vec<Effect>) {
        let state = self.states[task];
        if state.phase == Phase::Done {
            return;
        }
        let left = self.terms[task].occurrences - state.settled;
        self.states[task].enter(Phase::Waiting);
        let verdict = Verdict::Skipped(cause);
        // Those between the one in hand and the next to come are settled: they were due while it was in hand.
        let in_hand = if state.upcoming > state.occurrence + 1 { 1 } else { left };
        self.settled(task, state.occurrence, in_hand, verdict, effects);
        if left > in_hand {
            self.settled(task, state.upcoming, left - in_hand, verdict, effects);
        }
    }

    /// Gives the task's place at its server, if it has one, to who waits for it.
    pub(super) fn leave_lane(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let placed = std::mem::take(&mut self.states[task].placed);
        let Some(at) = self.terms[task].lane.filter(|_| placed).map(|lane| lane as usize) else { return };
        self.lanes[at].release();
        while self.lanes[at].is_free()
            && let Some((next, stamp)) = self.lanes[at].next()
        {
            let state = self.states[next as usize];
            if state.phase == Phase::Ready && state.stamp == stamp {
                self.take_place(next as usize);
                self.start(next as usize, effects);
            }
        }
    }

    /// Ends the run: what has not begun is left out, what is in flight is stopped.
    pub(super) fn abort(&mut self, verdict: RunVerdict, effects: &mut Vec<Effect>) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(verdict);
        for task in 0..self.states.len() {
            match self.states[task].phase {
                Phase::Waiting | Phase::Ready => self.skip_rest(task, SkipCause::Aborted, effects),
                Phase::Pausing => self.conclude(task, Verdict::Cancelled, effects),
                phase if phase.can_be_stopped() => self.stop(task, Why::Abort, effects),
                _ => {}
            }
        }
    }

    /// Tells the dependants of finished tasks, until no more finish by it.
    pub(super) fn settle_all(&mut self, effects: &mut Vec<Effect>) {
        while let Some(task) = self.finished.pop() {
            let outcome = self.states[task as usize].outcome;
            for edge in self.dependants.of(task) {
                let (after, on) = self.dependants.edge(edge);
                if self.states[after].phase == Phase::Done {
                    continue;
                }
                let cause = match (on, outcome) {
                    (On::Always, _) | (On::Success, TaskOutcome::Success) | (On::Failure, TaskOutcome::Failure) => {
                        self.states[after].needs -= 1;
                        if self.states[after].needs == 0 {
                            self.satisfied(after);
                        }
                        continue;
                    }
                    (On::Success, TaskOutcome::Failure) => SkipCause::NeedFailed(TaskIndex(task)),
                    (On::Failure, TaskOutcome::Success) | (_, TaskOutcome::NotNeeded) => {
                        SkipCause::NotNeeded(TaskIndex(task))
                    }
                };
                self.skip_rest(after, cause, effects);
                if self.terms[after].critical && matches!(cause, SkipCause::NeedFailed(_)) {
                    self.abort(RunVerdict::Aborted, effects);
                }
            }
        }
    }
}
