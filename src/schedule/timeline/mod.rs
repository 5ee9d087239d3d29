//! One run of a schedule as a state machine: `step(now, input)` says what to do.
//!
//! Time is counted from the start of the run on a clock that never jumps. Every wait has a bound, so a run ends whatever
//! is lost:
//!
//! ```text
//!            ┌────────────── retry ──── Pausing ◀──┐
//!            ▼                                     │ failed
//!  Waiting ─▶ Ready ─▶ Starting ─▶ Running ─▶ Vanished ─▶ settled
//!     └─ sent ahead ─▶ Armed ──────▲   └▶ Stopping ─▶ Killing ─▲
//!        ▲── Disarming ◀─┘ its server is busy
//! ```
//!
//! Sources of the rules: a task is never started before its due time; what it needs has ended as the file asks; a task
//! server runs as many at once as it says (one, for existing wrappers); nobody waits at a server that is idle; of two that may start the one with more priority
//! comes first, then the one that was due first, then the one that stands first in the file.

mod bounds;
mod ending;
mod input;
mod lanes;
mod release;
mod signal;
mod state;
mod timers;

#[cfg(test)]
pub(in crate::schedule) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use lanes::Lane;
pub use signal::{Attempt, Cause, Effect, End, Input, RunVerdict, Seen, SkipCause, TaskIndex, Verdict};

use crate::model::{DeadlineFrom, On, Schedule, Task, TaskAddress, TaskId, nanos};
use lanes::LaneState;
use state::{Phase, State, Terms};
use std::collections::BTreeMap;
use std::time::Duration;
use timers::{Nanos, Timer, TimerKind, Timers};

/// A run of a schedule.
#[derive(Debug)]
pub struct Timeline {
    terms: Vec<Terms>,
    states: Vec<State>,
    /// Who waits for a task, and for what end of it: `edges[starts[task]..starts[task + 1]]`.
    edges: Vec<(u32, On)>,
    starts: Vec<u32>,
    lanes: Vec<LaneState>,
    timers: Timers,
    now: Nanos,
    /// Finished tasks whose dependants have not been told.
    finished: Vec<u32>,
    unfinished: usize,
    failed: bool,
    /// Set when the run is ended early.
    ending: Option<RunVerdict>,
    over: bool,
}

impl Timeline {
    /// A run that has not begun; `lane` tells what the task server of a task can do. A task whose need is not in the
    /// schedule waits for nothing: such a schedule does not compile.
    pub fn new(schedule: &Schedule, lane: impl Fn(TaskIndex, &Task) -> Lane) -> Self {
        let index: BTreeMap<&TaskId, u32> = (0..).zip(&schedule.tasks).map(|(at, task)| (&task.id, at)).collect();
        let mut addresses: BTreeMap<&TaskAddress, u32> = BTreeMap::new();
        let mut lanes = Vec::new();
        let mut terms = Vec::with_capacity(schedule.tasks.len());
        let mut pairs: Vec<(u32, u32, On)> = Vec::new();
        let mut needs = vec![0; schedule.tasks.len()];
        for (at, task) in schedule.tasks.iter().enumerate() {
            let able = lane(TaskIndex(at as u32), task);
            let place = task.target.address().map(|address| {
                *addresses.entry(address).or_insert_with(|| {
                    lanes.push(LaneState::new(able));
                    lanes.len() as u32 - 1
                })
            });
            terms.push(Terms::new(task, place, able.lead));
            for need in &task.needs {
                if let Some(first) = index.get(&need.task) {
                    pairs.push((*first, at as u32, need.on));
                    needs[at] += 1;
                }
            }
        }
        let mut waiting = vec![0; lanes.len()];
        terms.iter().filter_map(|terms: &Terms| terms.lane).for_each(|lane| waiting[lane as usize] += 1);
        lanes.iter_mut().zip(waiting).for_each(|(lane, tasks)| lane.reserve(tasks));
        pairs.sort_by_key(|(first, after, _)| (*first, *after));
        let mut starts = vec![0; terms.len() + 1];
        for (first, ..) in &pairs {
            starts[*first as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let states = terms.iter().zip(&needs).map(|(terms, needs)| State::new(*needs, terms.due(0).unwrap_or(0)));
        let mut timeline = Self {
            states: states.collect(),
            edges: pairs.into_iter().map(|(_, after, on)| (after, on)).collect(),
            starts,
            lanes,
            timers: Timers::new(terms.len()),
            now: 0,
            finished: Vec::with_capacity(terms.len()),
            unfinished: terms.len(),
            failed: false,
            ending: None,
            over: false,
            terms,
        };
        for task in 0..timeline.terms.len() {
            timeline.first_timers(task);
        }
        timeline
    }

    fn first_timers(&mut self, task: usize) {
        let terms = self.terms[task];
        let due = terms.due(0);
        match due {
            Some(due) => self.timer(task, TimerKind::Due, due, 0),
            None if self.states[task].needs == 0 => self.timer(task, TimerKind::Ready, 0, 0),
            None => {}
        }
        self.arm_timer(task);
        if let Some((after, DeadlineFrom::Run, _)) = terms.deadline {
            self.states[task].deadline_at = after.saturating_add(1);
            self.bound(task);
        }
    }

    /// Takes an input at `now`, and adds what is to be done to `effects`. A `now` before that of an earlier step counts
    /// as that.
    pub fn step(&mut self, now: Duration, input: Input, effects: &mut Vec<Effect>) {
        if self.over {
            return;
        }
        self.now = self.now.max(nanos(now));
        self.due_timers(effects);
        self.input(input, effects);
        self.settle_all(effects);
        // What an input made ready may have a time that has come as well.
        self.due_timers(effects);
        if self.unfinished == 0 && !self.over {
            self.over = true;
            let verdict = if self.failed { RunVerdict::Failed } else { RunVerdict::Succeeded };
            effects.push(Effect::Ended(self.ending.unwrap_or(verdict)));
        }
    }

    /// When [`Timeline::step`] must be called at the latest, after the run's start; `None` when only an input can change
    /// anything.
    pub fn next(&self) -> Option<Duration> {
        if self.over { None } else { self.timers.next().map(Duration::from_nanos) }
    }

    /// Whether everything is settled.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The attempts that are in flight: what must be stopped or asked for when the run is left.
    pub fn in_flight(&self) -> impl Iterator<Item = Attempt> {
        let flying = self.states.iter().enumerate().filter(|(_, state)| state.phase.in_flight());
        flying.map(|(task, state)| state.attempt(task))
    }

    fn due_timers(&mut self, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.take(self.now) {
            self.fire(timer, effects);
            self.settle_all(effects);
        }
    }

    fn timer(&mut self, task: usize, kind: TimerKind, at: Nanos, occurrence: u32) {
        self.timers.set(Timer::new(at, kind, self.terms[task].priority, task as u32, occurrence));
    }

    /// Sees to it that the task's earliest bound has a timer.
    fn bound(&mut self, task: usize) {
        let state = &mut self.states[task];
        let at = state.bound();
        if at < state.bound_at {
            state.bound_at = at;
            self.timer(task, TimerKind::Bound, at, 0);
        }
    }

    /// Bounds the current phase.
    fn bound_phase(&mut self, task: usize, after: Nanos) {
        self.states[task].phase_at = self.now.saturating_add(after);
        self.bound(task);
    }

    /// When the next occurrence may be sent ahead.
    fn arm_timer(&mut self, task: usize) {
        let (terms, state) = (self.terms[task], self.states[task]);
        if let (Some(lead), Some(due)) = (terms.lead, terms.due(state.occurrence))
            && state.phase == Phase::Waiting
            && due > self.now
        {
            self.timer(task, TimerKind::Arm, due.saturating_sub(lead).max(self.now), state.occurrence);
        }
    }
}
