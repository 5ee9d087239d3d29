//! Carrying a plan out.

use super::reconciler::Reconciler;
use super::trouble::Trouble;
use crate::apply::load::{Loaded, Loader};
use crate::apply::pace::{Tempo, is_repair};
use crate::apply::steps::Steps;
use crate::apply::{Applied, Job, StepResult, execute};
use crate::daemon::follow::Head;
use crate::daemon::show::{begin, show};
use crate::daemon::status::WaitingStatus;
use crate::engine::Interrupt;
use crate::model::{Observed, Revision};
use crate::plan::{Plan, StepId};
use crate::process::backoff::jittered;
use crate::process::clock;
use crate::store::{ApplyLock, RevisionOutcome};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

impl Reconciler {
    /// Carries the plan out, apart from what waits after a failure.
    pub(super) async fn carry_out(
        &mut self,
        current: &Loaded,
        observed: &Observed,
        plan: &Plan,
    ) -> Result<Duration, Trouble> {
        let kept = self.kept(plan);
        let resync = jittered(self.resync, 0.1, fastrand::f64());
        let waiting = with_dependants(plan, &kept);
        if self.state.asked.is_none() && plan.changes().all(|step| waiting.contains(&step.id)) {
            let until = self.state.pace.next(clock::monotonic()).map(|at| at.duration_since(clock::monotonic()));
            return Ok(until.map_or(resync, |until| until.min(resync)));
        }
        let what = format!("setpoint daemon (plan {})", plan.id);
        let _lock = ApplyLock::acquire(&self.state_dir, &what, Duration::ZERO).await.map_err(Trouble::Lock)?;
        // The lock counts only in the folder that is ours.
        self.folder.check()?;
        let applied = self.execute(current, observed, plan, kept).await?;
        self.pace(plan, &applied);
        self.note(current, plan, &applied)?;
        tracing::info!(
            plan = %plan.id,
            done = applied.done,
            failed = applied.failed,
            skipped = applied.skipped,
            "plan carried out"
        );
        self.carried(plan, &applied);
        // Look again: the next plan should be empty, and only a look tells.
        self.triggers.look();
        Ok(resync)
    }

    /// Carries out all steps but those that are kept. A newer commit supersedes it.
    async fn execute(
        &mut self,
        current: &Loaded,
        observed: &Observed,
        plan: &Plan,
        kept: BTreeMap<StepId, String>,
    ) -> Result<Applied, Trouble> {
        let interrupt = Interrupt { superseded: CancellationToken::new(), stop: self.stop.clone() };
        let superseded = interrupt.superseded.clone();
        let job = Job {
            plan,
            desired: Some(&current.desired),
            observed,
            ledger: &current.ledger,
            kept,
            interrupt: interrupt.clone(),
        };
        let source = &self.loader.source;
        let archive = |files| source.archive(files);
        let steps = Steps {
            engine: &self.engine,
            plan,
            owner: &current.owner,
            desired: Some(&current.desired),
            archive: Some(&archive),
            interrupt: &interrupt,
        };
        begin(&self.status, plan);
        let status = &self.status;
        let applied = {
            let mut work =
                pin!(execute(&job, |id, news| steps.run(id, news), |progress| show(status, plan, &progress)));
            let mut newer = pin!(newer(&mut self.head, &self.loader, &current.revision));
            // `work` is never dropped before it ends; `newer` ends once and may be dropped at any time.
            loop {
                tokio::select! {
                    applied = &mut work => break applied,
                    () = &mut newer, if !superseded.is_cancelled() => {
                        tracing::info!(plan = %plan.id, "a newer commit came");
                        superseded.cancel();
                    }
                }
            }
        };
        self.publish(|status| status.applying = None);
        applied.map_err(|error| Trouble::Apply(Box::new(error)))
    }

    /// Notes when each step may be tried again.
    fn pace(&mut self, plan: &Plan, applied: &Applied) {
        let now = clock::monotonic();
        for (step, result) in plan.steps.iter().zip(&applied.results) {
            match result {
                // The host moved under the step: that is worth another look soon.
                StepResult::Failed { stale: true, .. } => {
                    self.state.pace.tried(&step.subject, Tempo::Soon, now, fastrand::f64());
                }
                StepResult::Failed { .. } if is_repair(step) => {
                    self.state.pace.tried(&step.subject, Tempo::Again, now, fastrand::f64());
                }
                StepResult::Failed { .. } => {
                    self.state.pace.tried(&step.subject, Tempo::Later, now, fastrand::f64());
                    self.state.pace.failed(&step.subject);
                }
                StepResult::Done { .. } => self.state.pace.tried(&step.subject, Tempo::Later, now, fastrand::f64()),
                StepResult::Skipped { .. } => {}
            }
        }
    }

    /// Writes down what the commit has come to, when not everything was carried out.
    fn note(&mut self, current: &Loaded, plan: &Plan, applied: &Applied) -> Result<(), Trouble> {
        let outcome = match (applied.failed, applied.superseded) {
            (0, false) => None,
            (0, true) => Some(RevisionOutcome::Superseded),
            _ => Some(RevisionOutcome::Failed),
        };
        if let Some(outcome) = outcome {
            let note = format!("{} done, {} failed, {} skipped", applied.done, applied.failed, applied.skipped);
            current.ledger.revision(&current.revision, outcome, Some(&plan.id), Some(&note), clock::now())?;
            self.state.outcome = Some(outcome);
        }
        Ok(())
    }

    /// Steps that have to wait after a failure; also writes them into the status.
    fn kept(&self, plan: &Plan) -> BTreeMap<StepId, String> {
        let now = clock::monotonic();
        let (mut kept, mut waiting) = (BTreeMap::new(), Vec::new());
        for step in &plan.steps {
            let Some((left, tried)) = self.state.pace.wait(&step.subject, now) else { continue };
            kept.insert(step.id, format!("tried {tried} times, waits {} s before the next try", left.as_secs() + 1));
            let at = jiff::SignedDuration::try_from(left).ok().and_then(|left| clock::now().checked_add(left).ok());
            if let Some(at) = at {
                waiting.push(WaitingStatus { subject: step.subject.to_string(), tried, at });
            }
        }
        self.publish(|status| status.waiting = waiting);
        kept
    }
}

/// Steps that are kept, and those that cannot start without them: nothing is gained by carrying out a plan of such alone.
fn with_dependants(plan: &Plan, kept: &BTreeMap<StepId, String>) -> BTreeSet<StepId> {
    let mut waiting: BTreeSet<StepId> = kept.keys().copied().collect();
    // Each step stands after those it needs.
    for step in &plan.steps {
        if step.needs.iter().any(|need| waiting.contains(&need.step)) {
            waiting.insert(step.id);
        }
    }
    waiting
}

/// Waits for a newer commit with valid files. One that is not valid ends nothing; the loop reports it afterwards.
async fn newer(head: &mut watch::Receiver<Head>, loader: &Loader, current: &Revision) {
    loop {
        if head.changed().await.is_err() {
            return std::future::pending().await;
        }
        let revision = head.borrow_and_update().revision.clone();
        let Some(revision) = revision.filter(|revision| revision.commit != current.commit) else { continue };
        if loader.load(&revision.commit).await.is_ok() {
            return;
        }
    }
}
