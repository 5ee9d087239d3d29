//! The transitions of a task.

use super::Timeline;
use super::lanes::LaneState;
use super::signal::{Attempt, Cause, Effect, End, Input, RunVerdict, Seen, SkipCause, TaskIndex, Verdict};
use super::state::{Outcome, Phase, Why, reported};
use super::timers::{NEVER, Nanos, Timer, TimerKind};
use crate::model::{DeadlineFrom, On, OnDeadline, Release};
use std::cmp::Ordering;
use std::time::Duration;

/// What the answer to a request to stop may take beyond the grace itself.
const STOP_MARGIN: Nanos = 500_000_000;
/// How long the end of a task that was ended by force is waited for.
const KILL_WAIT: Nanos = 5_000_000_000;
/// Polls without an answer after which a task server counts as gone.
const POLLS: u8 = 3;

impl Timeline {
    /// Takes an input.
    pub(super) fn input(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Tick => {}
            Input::Cancel => self.abort(RunVerdict::Cancelled, effects),
            Input::Started(attempt) => {
                if let Some(task) = self.current(attempt)
                    && matches!(self.states[task].phase, Phase::Armed | Phase::Starting)
                {
                    self.states[task].enter(Phase::Running);
                    self.bound_phase(task, self.terms[task].lease);
                }
            }
            Input::Refused(attempt) => {
                let Some(task) = self.current(attempt) else { return };
                match self.states[task].phase {
                    // Not sent ahead after all: it starts at its instant like any other.
                    Phase::Armed if self.now < self.states[task].due => self.disarmed(task, effects),
                    Phase::Armed | Phase::Starting => self.failed(task, Verdict::Failed(Cause::Refused), effects),
                    Phase::Stopping(why) => self.stopped(task, why, None, effects),
                    _ => {}
                }
            }
            Input::Unclear(attempt) => {
                if let Some(task) = self.current(attempt)
                    && matches!(self.states[task].phase, Phase::Armed | Phase::Starting)
                {
                    self.stop(task, Why::Cause(Cause::Unacknowledged), effects);
                }
            }
            Input::Ended(attempt, end) => {
                let Some(task) = self.current(attempt) else { return };
                match self.states[task].phase {
                    Phase::Stopping(why) | Phase::Killing(why) => self.stopped(task, why, Some(end), effects),
                    phase if phase.in_flight() => self.ended(task, end, effects),
                    _ => {}
                }
            }
            Input::Seen(attempt, seen) => {
                let Some(task) = self.current(attempt) else { return };
                match (seen, self.states[task].phase) {
                    (Seen::Running, Phase::Running) => {
                        self.states[task].enter(Phase::Running);
                        self.bound_phase(task, self.terms[task].lease);
                    }
                    (Seen::NotRunning, Phase::Running) => {
                        self.states[task].enter(Phase::Vanished);
                        self.bound_phase(task, self.poll_pause(task));
                    }
                    _ => {}
                }
            }
            Input::Stopped(attempt) => {
                let Some(task) = self.current(attempt) else { return };
                if let Phase::Stopping(why) | Phase::Killing(why) = self.states[task].phase {
                    self.stopped(task, why, None, effects);
                }
            }
        }
    }

    /// The task of an attempt that is in flight.
    fn current(&self, attempt: Attempt) -> Option<usize> {
        let task = attempt.task.at();
        let state = self.states.get(task)?;
        (state.phase.in_flight() && state.attempt(task) == attempt).then_some(task)
    }

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
    fn bounds(&mut self, task: usize, at: Nanos, effects: &mut Vec<Effect>) {
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
            if matches!(self.states[task].phase, Phase::Armed | Phase::Starting | Phase::Running | Phase::Vanished) {
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
    fn phase_over(&mut self, task: usize, effects: &mut Vec<Effect>) {
        match self.states[task].phase {
            Phase::Armed | Phase::Starting => self.stop(task, Why::Cause(Cause::Unacknowledged), effects),
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

    fn poll_pause(&self, task: usize) -> Nanos {
        (self.terms[task].lease / 4).max(1)
    }

    /// The due time of an occurrence has come.
    fn due(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
        let terms = self.terms[task];
        self.states[task].upcoming = occurrence + 1;
        if occurrence + 1 < terms.occurrences
            && let Some(next) = terms.due(occurrence + 1)
        {
            self.timer(task, TimerKind::Due, next, occurrence + 1);
        }
        match occurrence.cmp(&self.states[task].occurrence) {
            // Settled before its time came.
            Ordering::Less => {}
            Ordering::Greater => {
                self.settled(task, occurrence, 1, Verdict::Skipped(SkipCause::Overrun), effects);
            }
            Ordering::Equal => {
                if self.set_deadline(task, effects) && self.states[task].phase == Phase::Waiting {
                    self.states[task].released = self.states[task].due;
                    self.release(task, effects);
                }
            }
        }
    }

    /// What a task needs has ended, and its time has come.
    fn ready(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
        let state = &mut self.states[task];
        if state.phase != Phase::Waiting || state.occurrence != occurrence {
            return;
        }
        state.released = self.now;
        if self.terms[task].release == Release::Sequential {
            state.due = self.now;
            state.upcoming = 1;
            if !self.set_deadline(task, effects) {
                return;
            }
        }
        self.release(task, effects);
    }

    /// Sets the deadline of the occurrence in hand; false when it has passed, and with it the occurrence.
    fn set_deadline(&mut self, task: usize, effects: &mut Vec<Effect>) -> bool {
        let Some((after, from, _)) = self.terms[task].deadline else { return true };
        let state = &mut self.states[task];
        let (since, settled) = (if from == DeadlineFrom::Run { 0 } else { state.due }, state.settled);
        // An end at the deadline itself is in time.
        let passed = since.saturating_add(after).saturating_add(1);
        state.deadline_at = if state.missed { NEVER } else { passed };
        if state.deadline_at <= self.now {
            self.deadline(task, effects);
        }
        self.bound(task);
        self.states[task].settled == settled
    }

    /// Everything that a task needs has ended as it asks.
    fn satisfied(&mut self, task: usize) {
        let state = self.states[task];
        if state.phase != Phase::Waiting {
            return;
        }
        let sequential = self.terms[task].release == Release::Sequential;
        if sequential || state.upcoming > state.occurrence {
            // By a timer, so that of several the one with more priority comes first.
            self.timer(task, TimerKind::Ready, self.now, state.occurrence);
        } else {
            self.arm_timer(task);
        }
    }

    /// The task may start when nothing that it needs is missing: at once, or when its task server has a place.
    fn release(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let (terms, state) = (self.terms[task], self.states[task]);
        if state.needs > 0 {
            return;
        }
        if let Some(lane) = terms.lane.and_then(|lane| self.lanes.get_mut(lane as usize))
            && !lane.take()
        {
            self.states[task].enter(Phase::Ready);
            lane.queue(task as u32, terms.priority, state.due, self.states[task].stamp);
            return;
        }
        self.start(task, effects);
    }

    /// Begins an attempt at `at`; its place is taken.
    fn attempt(&mut self, task: usize, phase: Phase, at: Nanos) -> Attempt {
        let terms = self.terms[task];
        let state = &mut self.states[task];
        state.attempt += 1;
        state.enter(phase);
        state.timeout_at = at.saturating_add(terms.timeout);
        let attempt = state.attempt(task);
        self.bound_phase(task, at.saturating_sub(self.now).saturating_add(terms.start_timeout));
        attempt
    }

    fn start(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let due = Duration::from_nanos(self.states[task].released);
        let attempt = self.attempt(task, Phase::Starting, self.now);
        effects.push(Effect::Start { attempt, due });
    }

    /// Sends the next occurrence ahead, when nothing is in its way.
    fn arm(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
        let state = self.states[task];
        let next = state.phase == Phase::Waiting && state.occurrence == occurrence;
        let free = next && state.needs == 0 && state.due > self.now;
        let lane = self.terms[task].lane.and_then(|lane| self.lanes.get_mut(lane as usize));
        if free && lane.is_none_or(LaneState::take) {
            self.states[task].released = state.due;
            let attempt = self.attempt(task, Phase::Armed, state.due);
            effects.push(Effect::Arm { attempt, at: Duration::from_nanos(state.due) });
        }
    }

    /// What was sent ahead was not taken; its instant is still to come.
    fn disarmed(&mut self, task: usize, effects: &mut Vec<Effect>) {
        self.states[task].attempt = 0;
        self.states[task].timeout_at = NEVER;
        self.states[task].enter(Phase::Waiting);
        self.leave_lane(task, effects);
    }

    /// The deadline of the occurrence in hand has passed.
    fn deadline(&mut self, task: usize, effects: &mut Vec<Effect>) {
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

    fn stop(&mut self, task: usize, why: Why, effects: &mut Vec<Effect>) {
        let grace = self.terms[task].grace;
        effects.push(Effect::Stop { attempt: self.states[task].attempt(task), grace: Duration::from_nanos(grace) });
        self.states[task].enter(Phase::Stopping(why));
        self.bound_phase(task, grace.saturating_add(STOP_MARGIN));
    }

    fn kill(&mut self, task: usize, why: Why, effects: &mut Vec<Effect>) {
        effects.push(Effect::Kill(self.states[task].attempt(task)));
        self.states[task].enter(Phase::Killing(why));
        self.bound_phase(task, KILL_WAIT);
    }

    /// The task reports its end.
    fn ended(&mut self, task: usize, end: End, effects: &mut Vec<Effect>) {
        match end {
            End::Success | End::Cancelled => self.conclude(task, reported(end), effects),
            End::Failure | End::Timeout => self.failed(task, reported(end), effects),
        }
    }

    /// A task that was being stopped has ended, or is given up.
    fn stopped(&mut self, task: usize, why: Why, end: Option<End>, effects: &mut Vec<Effect>) {
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
    fn failed(&mut self, task: usize, verdict: Verdict, effects: &mut Vec<Effect>) {
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
        self.bound_phase(task, pause);
        self.leave_lane(task, effects);
    }

    /// The occurrence in hand has its verdict.
    fn conclude(&mut self, task: usize, verdict: Verdict, effects: &mut Vec<Effect>) {
        let state = self.states[task];
        let in_flight = state.phase.in_flight();
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
        if in_flight {
            self.leave_lane(task, effects);
        }
        if terms.critical && matches!(verdict, Verdict::Failed(_) | Verdict::TimedOut(_)) {
            self.abort(RunVerdict::Aborted, effects);
        }
    }

    /// Records verdicts, and the end of the task when they are its last.
    fn settled(&mut self, task: usize, first: u32, count: u32, verdict: Verdict, effects: &mut Vec<Effect>) {
        let terms = self.terms[task];
        let state = &mut self.states[task];
        let missed_deadline = state.missed && first == state.occurrence;
        effects.push(Effect::Settled { task: TaskIndex(task as u32), first, count, verdict, missed_deadline });
        state.settled += count;
        match verdict {
            Verdict::Succeeded => {}
            Verdict::Skipped(SkipCause::NotNeeded(_)) => state.outcome = Outcome::NotNeeded,
            _ => state.outcome = Outcome::Failure,
        }
        self.failed |= verdict.fails_the_run();
        if state.settled >= terms.occurrences {
            state.enter(Phase::Done);
            self.unfinished -= 1;
            self.finished.push(task as u32);
        }
    }

    /// Settles what is left of a task that has not begun, or whose occurrence in hand is settled.
    fn skip_rest(&mut self, task: usize, cause: SkipCause, effects: &mut Vec<Effect>) {
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

    /// Gives the place at the task server to who waits for it.
    fn leave_lane(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let Some(at) = self.terms[task].lane.map(|lane| lane as usize) else { return };
        let Some(lane) = self.lanes.get_mut(at) else { return };
        lane.release();
        while let Some((next, stamp)) = self.lanes[at].next() {
            let state = self.states[next as usize];
            if state.phase != Phase::Ready || state.stamp != stamp {
                continue;
            }
            if self.lanes[at].take() {
                self.start(next as usize, effects);
            }
            break;
        }
    }

    /// Ends the run: what has not begun is left out, what is in flight is stopped.
    fn abort(&mut self, verdict: RunVerdict, effects: &mut Vec<Effect>) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(verdict);
        for task in 0..self.states.len() {
            match self.states[task].phase {
                Phase::Waiting | Phase::Ready => self.skip_rest(task, SkipCause::Aborted, effects),
                Phase::Pausing => self.conclude(task, Verdict::Cancelled, effects),
                Phase::Armed | Phase::Starting | Phase::Running | Phase::Vanished => {
                    self.stop(task, Why::Abort, effects);
                }
                Phase::Stopping(_) | Phase::Killing(_) | Phase::Done => {}
            }
        }
    }

    /// Tells the dependants of finished tasks, until no more finish by it.
    pub(super) fn settle_all(&mut self, effects: &mut Vec<Effect>) {
        while let Some(task) = self.finished.pop() {
            let outcome = self.states[task as usize].outcome;
            let (first, last) = (self.starts[task as usize], self.starts[task as usize + 1]);
            for edge in first..last {
                let (after, on) = self.edges[edge as usize];
                let after = after as usize;
                if self.states[after].phase == Phase::Done {
                    continue;
                }
                let cause = match (on, outcome) {
                    (On::Always, _) | (On::Success, Outcome::Success) | (On::Failure, Outcome::Failure) => {
                        self.states[after].needs -= 1;
                        if self.states[after].needs == 0 {
                            self.satisfied(after);
                        }
                        continue;
                    }
                    (On::Success, Outcome::Failure) => SkipCause::NeedFailed(TaskIndex(task)),
                    (On::Failure, Outcome::Success) | (_, Outcome::NotNeeded) => SkipCause::NotNeeded(TaskIndex(task)),
                };
                self.skip_rest(after, cause, effects);
            }
        }
    }
}
