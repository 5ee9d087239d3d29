//! Decides which step of a plan may start when. Pure: it uses no clock and no engine; [`super::execute`] starts the steps.

use crate::model::{DeploymentName, OnFailure, StrategyKind};
use crate::plan::{Action, Milestone, Plan, Step, StepId};
use std::collections::{BTreeMap, BTreeSet};

/// Number of pulls and builds at the same time, over all deployments. They are limited by network and disk, not by a strategy.
pub const IMAGES_AT_ONCE: usize = 4;
/// Number of steps at the same time that belong to no deployment.
const OTHERS_AT_ONCE: usize = 8;

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running { started: bool },
    Done,
    Failed,
    Skipped,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Steps to start, in plan order; they count as running from now on.
    pub start: Vec<StepId>,
    /// Steps that will not be started, and why.
    pub skip: Vec<(StepId, String)>,
}

/// A plan being carried out.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    plan: &'a Plan,
    states: Vec<State>,
    /// Steps that are skipped from the beginning.
    kept: BTreeMap<StepId, String>,
    /// Deployments that start no further step, with the step that failed.
    halted: BTreeMap<DeploymentName, String>,
    stopped: Option<String>,
    /// Deployments that build one image at a time.
    serial_builds: BTreeSet<DeploymentName>,
}

impl<'a> Walk<'a> {
    /// A walk over `plan` that leaves the steps in `kept` out, for the reason given there.
    pub fn new(plan: &'a Plan, kept: BTreeMap<StepId, String>) -> Self {
        let states = vec![State::Waiting; plan.steps.len()];
        Self { plan, states, kept, halted: BTreeMap::new(), stopped: None, serial_builds: BTreeSet::new() }
    }

    /// These deployments build one image at a time.
    pub fn with_serial_builds(mut self, deployments: BTreeSet<DeploymentName>) -> Self {
        self.serial_builds = deployments;
        self
    }

    /// The moves that are possible now. Must be called again after each message.
    pub fn moves(&mut self) -> Moves {
        let mut moves = Moves::default();
        // In plan order, so that a skip reaches all that need it, directly or not, in one pass.
        for step in &self.plan.steps {
            if self.states.get(step.id) == Some(&State::Waiting)
                && let Some(because) = self.blocked(step)
            {
                self.put(step.id, State::Skipped);
                moves.skip.push((step.id, because));
            }
        }
        let mut load = Load::default();
        for step in &self.plan.steps {
            if matches!(self.states.get(step.id), Some(State::Running { .. })) {
                load.add(&self.lane(step));
            }
        }
        // Lanes that keep an order and have a step that could not start.
        let mut behind = BTreeSet::new();
        for step in &self.plan.steps {
            if self.states.get(step.id) != Some(&State::Waiting) {
                continue;
            }
            let lane = self.lane(step);
            let in_turn = !lane.ordered || !behind.contains(&lane.key);
            if in_turn && self.ready(step) && load.of(&lane) < self.room(&lane) {
                self.put(step.id, State::Running { started: false });
                load.add(&lane);
                moves.start.push(step.id);
            } else {
                behind.insert(lane.key);
            }
        }
        moves
    }

    /// A step came so far.
    pub fn reached(&mut self, id: StepId, milestone: Milestone) {
        if let (Some(State::Running { started }), Milestone::Started) = (self.states.get_mut(id), milestone) {
            *started = true;
        }
    }

    /// A step ended.
    pub fn finished(&mut self, id: StepId, well: bool) {
        self.put(id, if well { State::Done } else { State::Failed });
        let Some(step) = self.plan.steps.get(id) else { return };
        if !well
            && let Some(deployment) = &step.deployment
            && self.plan.strategies.get(deployment).is_some_and(|strategy| strategy.on_failure == OnFailure::Halt)
        {
            self.halted.entry(deployment.clone()).or_insert_with(|| step.subject.to_string());
        }
    }

    /// A step was given up without having failed.
    pub fn given_up(&mut self, id: StepId) {
        self.put(id, State::Skipped);
    }

    /// No other step is started.
    pub fn stop(&mut self, because: &str) {
        self.stopped.get_or_insert_with(|| because.to_owned());
    }

    /// Whether every step has its result.
    pub fn is_over(&self) -> bool {
        !self.states.iter().any(|state| matches!(state, State::Waiting | State::Running { .. }))
    }

    fn put(&mut self, id: StepId, state: State) {
        if let Some(slot) = self.states.get_mut(id) {
            *slot = state;
        }
    }

    /// Why a waiting step will never start.
    fn blocked(&self, step: &Step) -> Option<String> {
        if let Some(because) = self.kept.get(&step.id) {
            return Some(because.clone());
        }
        if let Some(because) = &self.stopped {
            return Some(because.clone());
        }
        for need in &step.needs {
            let subject = || self.plan.steps.get(need.step).map_or_else(String::new, |step| step.subject.to_string());
            match self.states.get(need.step) {
                Some(State::Failed) => return Some(format!("needs {}, which failed", subject())),
                Some(State::Skipped) => return Some(format!("needs {}, which was skipped", subject())),
                _ => {}
            }
        }
        let failed = step.deployment.as_ref().and_then(|deployment| self.halted.get(deployment))?;
        Some(format!("halted because {failed} failed"))
    }

    fn ready(&self, step: &Step) -> bool {
        step.needs.iter().all(|need| match (self.states.get(need.step), need.until) {
            (Some(State::Done), _) => true,
            (Some(State::Running { started }), Milestone::Started) => *started,
            _ => false,
        })
    }

    fn lane(&self, step: &Step) -> Lane {
        if let (Action::BuildImage(_), Some(deployment)) = (&step.action, &step.deployment)
            && self.serial_builds.contains(deployment)
        {
            return Lane { key: Key::Builds(deployment.clone()), ordered: false };
        }
        if matches!(step.action, Action::PullImage { .. } | Action::BuildImage(_)) {
            return Lane { key: Key::Images, ordered: false };
        }
        let Some(deployment) = &step.deployment else { return Lane { key: Key::Others, ordered: false } };
        let strategy = self.plan.strategies.get(deployment);
        let ordered = strategy.is_none_or(|strategy| strategy.kind == StrategyKind::Sequential);
        Lane { key: Key::Deployment(deployment.clone()), ordered }
    }

    /// How many steps of a lane may be in progress.
    fn room(&self, lane: &Lane) -> usize {
        match &lane.key {
            Key::Images => IMAGES_AT_ONCE,
            Key::Others => OTHERS_AT_ONCE,
            Key::Builds(_) => 1,
            Key::Deployment(_) if lane.ordered => 1,
            Key::Deployment(name) => {
                let most = self.plan.strategies.get(name).map_or(1, |strategy| strategy.max_parallel.max(1));
                usize::try_from(most).unwrap_or(usize::MAX)
            }
        }
    }
}

/// What limits a step.
#[derive(Clone, Debug)]
struct Lane {
    key: Key,
    /// Its steps follow each other in plan order.
    ordered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Images,
    Others,
    /// Builds of a deployment that wants them one by one.
    Builds(DeploymentName),
    Deployment(DeploymentName),
}

/// How many steps of each lane are in progress.
#[derive(Debug, Default)]
struct Load(BTreeMap<Key, usize>);

impl Load {
    fn add(&mut self, lane: &Lane) {
        *self.0.entry(lane.key.clone()).or_default() += 1;
    }

    fn of(&self, lane: &Lane) -> usize {
        self.0.get(&lane.key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
