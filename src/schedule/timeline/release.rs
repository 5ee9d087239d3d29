//! From a due time, or the end of what a task needs, to its start.

use super::Timeline;
use super::lanes::LaneState;
use super::signal::{Attempt, Effect, SkipCause, Verdict};
use super::state::Phase;
use super::timers::{NEVER, Nanos, TimerKind};
use crate::model::{DeadlineFrom, Release};
use std::cmp::Ordering;
use std::time::Duration;

impl Timeline {
    /// The due time of an occurrence has come.
    pub(super) fn due(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
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
                if self.set_deadline(task, effects) {
                    match self.states[task].phase {
                        Phase::Waiting => {
                            self.states[task].released = self.states[task].due;
                            self.release(task, effects);
                        }
                        Phase::Armed => self.begins_by_itself(task, effects),
                        _ => {}
                    }
                }
            }
        }
    }

    /// What a task needs has ended, and its time has come.
    pub(super) fn ready(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
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
    pub(super) fn set_deadline(&mut self, task: usize, effects: &mut Vec<Effect>) -> bool {
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
    pub(super) fn satisfied(&mut self, task: usize) {
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
    pub(super) fn release(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let (terms, state) = (self.terms[task], self.states[task]);
        if state.needs > 0 {
            return;
        }
        if self.take_place(task) {
            self.start(task, effects);
            return;
        }
        self.states[task].enter(Phase::Ready);
        if let Some(lane) = terms.lane.and_then(|lane| self.lanes.get_mut(lane as usize)) {
            lane.queue(task as u32, terms.priority, state.due, self.states[task].stamp);
        }
    }

    /// Takes a place at the task's server, unless it has one; false when none is free.
    pub(super) fn take_place(&mut self, task: usize) -> bool {
        let lane = self.terms[task].lane.and_then(|lane| self.lanes.get_mut(lane as usize));
        let state = &mut self.states[task];
        state.placed = state.placed || lane.is_none_or(LaneState::take);
        state.placed
    }

    /// The task runs, whatever is known here of its server.
    pub(super) fn runs(&mut self, task: usize) {
        let lane = self.terms[task].lane.and_then(|lane| self.lanes.get_mut(lane as usize));
        let state = &mut self.states[task];
        if let Some(lane) = lane.filter(|_| !state.placed) {
            lane.occupy();
        }
        state.placed = true;
        state.enter(Phase::Running);
        self.bound_phase(task, self.terms[task].lease);
    }

    /// The instant of what was sent ahead has come: it begins by itself when its server has a place. When that is busy it
    /// is taken back, so that whoever is next there is decided here.
    fn begins_by_itself(&mut self, task: usize, effects: &mut Vec<Effect>) {
        if !self.take_place(task) {
            effects.push(Effect::Disarm(self.states[task].attempt(task)));
            self.states[task].enter(Phase::Disarming);
            self.bound_phase(task, self.terms[task].start_timeout);
        }
    }

    /// Begins an attempt at `at`; its place is taken.
    pub(super) fn attempt(&mut self, task: usize, phase: Phase, at: Nanos) -> Attempt {
        let terms = self.terms[task];
        let state = &mut self.states[task];
        state.attempt += 1;
        state.enter(phase);
        state.timeout_at = at.saturating_add(terms.timeout);
        let attempt = state.attempt(task);
        self.bound_phase(task, at.saturating_sub(self.now).saturating_add(terms.start_timeout));
        attempt
    }

    pub(super) fn start(&mut self, task: usize, effects: &mut Vec<Effect>) {
        let due = Duration::from_nanos(self.states[task].released);
        let attempt = self.attempt(task, Phase::Starting, self.now);
        effects.push(Effect::Start { attempt, due });
    }

    /// Sends the next occurrence ahead, when nothing is in its way. That takes no place: until its instant others may run.
    pub(super) fn arm(&mut self, task: usize, occurrence: u32, effects: &mut Vec<Effect>) {
        let state = self.states[task];
        let next = state.phase == Phase::Waiting && state.occurrence == occurrence;
        if next && state.needs == 0 && state.due > self.now {
            self.states[task].released = state.due;
            let attempt = self.attempt(task, Phase::Armed, state.due);
            effects.push(Effect::Arm { attempt, at: Duration::from_nanos(state.due) });
        }
    }

    /// What was sent ahead was not begun: it starts like any other, at its instant or when that has come.
    pub(super) fn disarmed(&mut self, task: usize, effects: &mut Vec<Effect>) {
        self.states[task].attempt = 0;
        self.states[task].timeout_at = NEVER;
        self.states[task].enter(Phase::Waiting);
        self.leave_lane(task, effects);
        if self.states[task].upcoming > self.states[task].occurrence {
            self.release(task, effects);
        }
    }
}
