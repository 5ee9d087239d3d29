//! Records what happens while a plan is carried out: events, fields changed in place, failures, repairs.

use super::job::{Applied, Job, StepResult, failure, title};
use super::observe::seen;
use super::pace::is_repair;
use crate::engine::{ActError, Made, Outcome};
use crate::event::{Event, Fact};
use crate::model::{ContainerId, Health, InstanceId, NodeName, Test};
use crate::plan::render::{change_line, reason_text, verdict};
use crate::plan::{
    Action, Base, Gate, PlanInput, Quarantine, Reason, Repair, Step, Subject, fought_over, found_in_place, not_granted,
    remembered, reported, spec_digest, wish,
};
use crate::process::clock;
use crate::store::{Ledger, ObservedInstance, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The records of one apply. After the first failed write nothing more is written, and the error is kept.
#[derive(Debug)]
pub(super) struct Books<'a> {
    job: &'a Job<'a>,
    broken: Option<StoreError>,
}

impl<'a> Books<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self { job, broken: None }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn begin(&mut self) {
        let plan = self.job.plan;
        self.fact(Fact::PlanMade {
            plan: plan.id.clone(),
            revision: plan.revision.commit.clone(),
            verdict: verdict(plan),
        });
    }

    /// A step is about to begin. Says whether that could be written, which is the condition for beginning.
    pub(super) fn started(&mut self, step: &Step) -> bool {
        let (subject, action) = title(step);
        self.fact(Fact::StepStarted {
            plan: self.job.plan.id.clone(),
            subject,
            action,
            reason: reason_text(step),
            changes: step.changes.iter().map(change_line).collect(),
        });
        if is_repair(step) {
            let repair = Repair {
                subject: step.subject.to_string(),
                fields: fought_over(&step.changes),
                wish: self.job.desired.map(|desired| wish(desired, &step.subject)).unwrap_or_default(),
                at: clock::now(),
            };
            self.keep(|job| job.ledger.repaired(&repair));
        }
        !self.is_broken()
    }

    /// A step ended.
    pub(super) fn ended(&mut self, step: &Step, took: Duration, result: Result<Outcome, ActError>) -> StepResult {
        match result {
            Ok(outcome) => {
                self.done(step, took, &outcome);
                StepResult::Done { took, evidence: outcome.evidence }
            }
            Err(error) => {
                let result = failure(&error);
                if let StepResult::Failed { error, report, rolled_back, .. } = &result {
                    let (subject, action) = title(step);
                    self.fact(Fact::StepFailed {
                        plan: self.job.plan.id.clone(),
                        subject,
                        action,
                        error: error.clone(),
                        report: report.clone(),
                        rolled_back: *rolled_back,
                    });
                }
                match &error {
                    ActError::Gate { report, .. } => self.gate_failed(step, &report.verdict),
                    // What the engine refused says nothing of the object, which would be held for it: the pace is enough.
                    _ if is_repair(step) => self.keep(|job| job.ledger.not_repaired(&step.subject.to_string())),
                    _ => {}
                }
                result
            }
        }
    }

    /// A step was not carried out.
    pub(super) fn skipped(&mut self, step: &Step, because: &str) {
        let plan = self.job.plan.id.clone();
        self.fact(Fact::StepSkipped { plan, subject: step.subject.clone(), because: because.to_owned() });
    }

    /// The plan went as far as it went.
    pub(super) fn finish(mut self, applied: &Applied) -> Result<(), StoreError> {
        self.fact(Fact::ApplyFinished {
            plan: self.job.plan.id.clone(),
            revision: self.job.plan.revision.commit.clone(),
            done: applied.done,
            failed: applied.failed,
            skipped: applied.skipped,
        });
        self.broken.map_or(Ok(()), Err)
    }

    fn done(&mut self, step: &Step, took: Duration, outcome: &Outcome) {
        let (subject, action) = title(step);
        self.fact(Fact::StepDone {
            plan: self.job.plan.id.clone(),
            subject,
            action,
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            evidence: outcome.evidence.clone(),
        });
        self.record(step, outcome);
        if let Subject::Instance(node, instance) = &step.subject
            && !matches!(step.action, Action::StopInstance { .. } | Action::RemoveInstance { .. })
        {
            self.keep(|job| job.ledger.release(node, instance).map(drop));
        }
        match &step.action {
            Action::CreateInstance(_) | Action::UpdateInstance { .. } => self.stands(step, outcome),
            Action::ReplaceInstance { old, .. } => {
                self.stands(step, outcome);
                self.keep(|job| job.ledger.forget(old.as_str()));
            }
            Action::RemoveInstance { container, .. } => {
                let instance = self.instance_of(step, container);
                self.keep(|job| job.ledger.forget(container.as_str()));
                // An instance that was removed to make room, or for its predecessor, is created again by another step; the others
                // are no longer known.
                if let Some((node, instance)) = instance
                    && !matches!(step.reason, Reason::MakesRoom(_) | Reason::Interrupted)
                {
                    let why = why(step);
                    self.keep(|job| job.ledger.removed(&node, &instance, &why, clock::now()));
                }
            }
            Action::DiscardLeftover { container } => self.keep(|job| job.ledger.forget(container.as_str())),
            _ => {}
        }
    }

    /// Records the request and the engine's report of it; drift is detected with this record from now on.
    fn record(&mut self, step: &Step, outcome: &Outcome) {
        let mut warnings = outcome.warnings.clone();
        let asked = match &step.action {
            Action::UpdateInstance { .. } => remembered(&step.changes),
            _ => BTreeMap::new(),
        };
        match &outcome.made {
            Some(Made::Container(made)) => {
                let base = Base { asked, reported: reported(made) };
                self.keep(|job| job.ledger.record_base(made.id.as_str(), &base, clock::now()));
                if let Some(launch) = step.action.launch() {
                    warnings.extend(not_granted(&launch.spec, made));
                }
            }
            Some(Made::Network(id)) => {
                self.keep(|job| job.ledger.record_base(id, &Base::default(), clock::now()));
            }
            // The engine did not report the result, but the request is known.
            None => {
                if let Action::UpdateInstance { container, .. } = &step.action {
                    let base = Base { asked, ..Base::default() };
                    self.keep(|job| job.ledger.record_base(container.as_str(), &base, clock::now()));
                }
            }
        }
        for warning in warnings {
            tracing::warn!(subject = %step.subject, warning, "the engine did not apply a setting as requested");
            self.fact(Fact::EngineWarned { subject: step.subject.clone(), warning });
        }
    }

    /// An instance now has the state that its step wanted.
    fn stands(&mut self, step: &Step, outcome: &Outcome) {
        let Subject::Instance(node, instance) = &step.subject else { return };
        let Some(container) = &outcome.container else { return };
        let (gate, launch) = match &step.action {
            Action::CreateInstance(launch) | Action::ReplaceInstance { launch, .. } => (&launch.gate, Some(launch)),
            Action::UpdateInstance { gate, .. } => (gate, None),
            _ => return,
        };
        let revision = match launch {
            Some(launch) => Some(launch.revision.clone()),
            None => self.observed(container).and_then(|it| it.revision.clone()),
        };
        let checked = match launch {
            Some(launch) => launch.spec.healthcheck.as_ref().is_some_and(|check| check.test != Test::Disabled),
            None => self.observed(container).is_some_and(|it| it.health != Health::Unchecked),
        };
        let (state, health) = match gate {
            Gate::Completed { .. } => ("exited (0)", Health::Unchecked),
            Gate::Healthy { probe, .. } if checked || probe.is_some() => ("running", Health::Healthy),
            Gate::Started if checked => ("running", Health::Starting),
            Gate::Healthy { .. } | Gate::Started => ("running", Health::Unchecked),
        };
        let state = state.to_owned();
        let (node, instance, container) = (node.clone(), instance.clone(), Some(container.clone()));
        let seen = ObservedInstance { node, instance, container, state, health, revision, since: None };
        let why = why(step);
        self.keep(|job| job.ledger.saw(&[seen], &why, clock::now()).map(drop));
    }

    /// Settings with which an instance did not become healthy are not tried again, whatever happens to the new container. A repair
    /// does not try new settings: the instance ran with the same ones before, so another attempt makes sense.
    fn gate_failed(&mut self, step: &Step, verdict: &str) {
        let Subject::Instance(node, instance) = &step.subject else { return };
        let wanted = self.job.desired.and_then(|desired| desired.service(&instance.service));
        if is_repair(step) || matches!(step.action, Action::AwaitInstance { .. }) {
            return;
        }
        let Some(service) = wanted else { return };
        let entry = Quarantine {
            node: node.clone(),
            instance: instance.clone(),
            spec: spec_digest(&service.fields()),
            revision: self.job.plan.revision.commit.clone(),
            verdict: verdict.to_owned(),
        };
        self.keep(|job| job.ledger.quarantine(&entry, clock::now()));
    }

    fn observed(&self, container: &ContainerId) -> Option<&'a crate::model::Container> {
        self.job.observed.containers.iter().find(|candidate| candidate.id == *container)
    }

    fn instance_of(&self, step: &Step, container: &ContainerId) -> Option<(NodeName, InstanceId)> {
        let instance = match &step.subject {
            Subject::Instance(_, instance) => instance.clone(),
            _ => self.observed(container)?.instance.clone()?,
        };
        Some((step.subject.node()?.clone(), instance))
    }

    fn fact(&mut self, fact: Fact) {
        self.keep(|job| job.ledger.record(&Event { at: clock::now(), fact }).map(drop));
    }

    /// Writes, unless a write failed before.
    fn keep(&mut self, write: impl FnOnce(&'a Job<'a>) -> Result<(), StoreError>) {
        if self.broken.is_none() {
            self.broken = write(self.job).err();
        }
    }
}

/// Records the requested values that the host already has ([`found_in_place`]), and the instances that exist although the step that
/// created them failed: if one is removed later, that is drift.
///
/// # Errors
/// When the database cannot be written.
pub fn record_in_place(ledger: &Ledger, input: &PlanInput<'_>) -> Result<(), StoreError> {
    let now = clock::now();
    if input.observed.is_complete() {
        let containers = input.observed.containers.iter().map(|container| container.id.as_str());
        let networks = input.observed.networks.values().map(|network| network.id.as_str());
        let there: BTreeSet<&str> = containers.chain(networks).collect();
        let gone = input.memory.bases.keys().filter(|object| !there.contains(object.as_str()));
        gone.into_iter().try_for_each(|object| ledger.forget(object))?;
    }
    let mut there = seen(input.observed, input.owner, &BTreeSet::new());
    there.retain(|one| !input.memory.known.contains(&one.instance));
    ledger.saw(&there, "found on the host", now)?;
    found_in_place(input).iter().try_for_each(|(object, base)| ledger.record_base(object, base, now))
}

/// `replace: image, env LOG_LEVEL; stop-first`.
fn why(step: &Step) -> String {
    format!("{}: {}", step.action.verb(), reason_text(step))
}
