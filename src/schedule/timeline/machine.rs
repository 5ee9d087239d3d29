//! The state of a run, its step, and its timers.

use super::dependants::Dependants;
use super::lanes::{Lane, LaneState};
use super::signal::{Attempt, Effect, Input, RunVerdict, TaskIndex};
use super::state::{Phase, TaskState, Terms};
use super::timers::{Nanos, Timer, TimerKind, Timers};
use crate::model::{DeadlineFrom, Schedule, Task, nanos};
use crate::schedule::addresses::Addresses;
use std::collections::BTreeMap;
use std::time::Duration;

/// A run of a schedule.
#[derive(Debug)]
pub struct Timeline {
    pub(super) terms: Vec<Terms>,
    pub(super) states: Vec<TaskState>,
    pub(super) dependants: Dependants,
    pub(super) lanes: Vec<LaneState>,
    timers: Timers,
    pub(super) now: Nanos,
    /// Finished tasks whose dependants do not know it yet.
    pub(super) finished: Vec<u32>,
    pub(super) unfinished: usize,
    pub(super) failed: bool,
    /// Set when the run is ended early.
    pub(super) ending: Option<RunVerdict>,
    over: bool,
}

impl Timeline {
    /// A run that has not begun; `lane` tells what the task server of a task can do. A task whose need is not in the
    /// schedule waits for nothing: such a schedule does not compile.
    ///
    /// Tasks share a server when their targets are equal.
    pub fn new(schedule: &Schedule, lane: impl Fn(TaskIndex, &Task) -> Lane) -> Self {
        let server = |_, task: &'_ Task| task.target.is_server().then(|| task.target.clone());
        Self::with_servers(schedule, server, lane)
    }

    /// Like [`Timeline::new`]. Tasks share a server when they have the same address.
    pub fn placed(schedule: &Schedule, addresses: &Addresses, lane: impl Fn(TaskIndex, &Task) -> Lane) -> Self {
        Self::with_servers(schedule, |at, _| addresses.of(at).cloned(), lane)
    }

    fn with_servers<S: Ord>(
        schedule: &Schedule,
        server: impl Fn(TaskIndex, &Task) -> Option<S>,
        lane: impl Fn(TaskIndex, &Task) -> Lane,
    ) -> Self {
        let (dependants, needs) = Dependants::new(&schedule.tasks);
        let mut servers: BTreeMap<S, u32> = BTreeMap::new();
        let mut lanes = Vec::new();
        let mut terms = Vec::with_capacity(schedule.tasks.len());
        for (at, task) in schedule.tasks.iter().enumerate() {
            let at = TaskIndex(at as u32);
            let able = lane(at, task);
            let place = server(at, task).map(|server| {
                *servers.entry(server).or_insert_with(|| {
                    lanes.push(LaneState::new(able));
                    lanes.len() as u32 - 1
                })
            });
            terms.push(Terms::new(task, place, able.lead));
        }
        let mut waiting = vec![0; lanes.len()];
        terms.iter().filter_map(|terms: &Terms| terms.lane).for_each(|lane| waiting[lane as usize] += 1);
        lanes.iter_mut().zip(waiting).for_each(|(lane, tasks)| lane.reserve(tasks));
        let states = terms.iter().zip(&needs).map(|(terms, needs)| TaskState::new(*needs, terms.due(0).unwrap_or(0)));
        let mut timeline = Self {
            states: states.collect(),
            dependants,
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

    pub(super) fn timer(&mut self, task: usize, kind: TimerKind, at: Nanos, occurrence: u32) {
        self.timers.set(Timer::new(at, kind, self.terms[task].priority, task as u32, occurrence));
    }

    /// Sees to it that the task's earliest bound has a timer.
    pub(super) fn bound(&mut self, task: usize) {
        let state = &mut self.states[task];
        let at = state.bound();
        if at < state.bound_at {
            state.bound_at = at;
            self.timer(task, TimerKind::Bound, at, 0);
        }
    }

    /// Bounds the current phase.
    pub(super) fn bound_phase(&mut self, task: usize, after: Nanos) {
        self.states[task].phase_at = self.now.saturating_add(after);
        self.bound(task);
    }

    /// When the next occurrence may be sent ahead.
    pub(super) fn arm_timer(&mut self, task: usize) {
        let (terms, state) = (self.terms[task], self.states[task]);
        if let (Some(lead), Some(due)) = (terms.lead, terms.due(state.occurrence))
            && state.phase == Phase::Waiting
            && due > self.now
        {
            self.timer(task, TimerKind::Arm, due.saturating_sub(lead).max(self.now), state.occurrence);
        }
    }
}
