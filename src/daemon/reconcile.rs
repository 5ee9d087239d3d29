//! The loop: observe, plan, check, apply, observe again. One reconcile at a time.

use super::asked::ApplyRequest;
use super::commits::Unusable;
use super::follow::Head;
use super::show::{begin, show, update};
use super::status::{Status, WaitingStatus, drift};
use super::trigger::Triggers;
use crate::apply::load::{Loaded, Loader};
use crate::apply::observe::seen;
use crate::apply::pace::{Pace, Tempo, is_repair};
use crate::apply::probes::Target;
use crate::apply::steps::Steps;
use crate::apply::{ApplyError, HostState, Job, StepResult, Violations, check, execute, record_in_place};
use crate::engine::{Engine, EngineError, Interrupt};
use crate::event::{Event, Fact};
use crate::model::{ContainerId, Health, Observed, OwnerId, Revision};
use crate::plan::render::View;
use crate::plan::{Plan, PlanId, PlanInput, StepId, Subject, Sync, plan, sync};
use crate::process::backoff::jittered;
use crate::process::error::chain;
use crate::process::supervise::TaskResult;
use crate::process::{Backoff, StateFolder, StateFolderError, clock};
use crate::store::{ApplyLock, LockError, Retention, RevisionOutcome, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::Discriminant;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long the first look waits for the first answer of the repo, so that a restart does not first bring back a commit
/// that is already old.
const FIRST_HEAD: Duration = Duration::from_secs(5);
/// Time between two tries for the lock while a command applies.
const LOCKED: Duration = Duration::from_secs(1);
/// Time between two rounds of removing old events.
const PRUNE: Duration = Duration::from_secs(3600);

/// What the loop works with.
pub(super) struct Reconciler {
    /// The engine.
    pub(super) engine: Engine,
    /// Reads commits.
    pub(super) loader: Loader,
    /// Folder of the lock.
    pub(super) state_dir: PathBuf,
    /// The same folder, held.
    pub(super) folder: Arc<StateFolder>,
    /// Time between two looks although nothing happened.
    pub(super) resync: Duration,
    /// Hints to look.
    pub(super) triggers: Triggers,
    /// Applies that people ask for.
    pub(super) requests: mpsc::Receiver<ApplyRequest>,
    /// Where the repo is.
    pub(super) head: watch::Receiver<Head>,
    /// Whose containers are followed.
    pub(super) owner: watch::Sender<Option<OwnerId>>,
    /// What is probed.
    pub(super) targets: watch::Sender<Arc<Vec<Target>>>,
    /// The commit that the host is as; its schedules are in force.
    pub(super) applied: watch::Sender<Option<Loaded>>,
    /// What probes say.
    pub(super) healths: watch::Receiver<Arc<BTreeMap<ContainerId, Health>>>,
    /// The read model.
    pub(super) status: watch::Sender<Arc<Status>>,
    /// The last plan as programs read it.
    pub(super) view: watch::Sender<Option<Arc<View>>>,
    /// When to end.
    pub(super) stop: CancellationToken,
    /// What it learned; begins empty.
    pub(super) state: State,
}

/// What the loop remembers from one reconcile to the next.
#[derive(Default)]
pub(super) struct State {
    pub(super) current: Option<Loaded>,
    /// The apply that was asked for and is not answered; of one look.
    pub(super) asked: Option<ApplyRequest>,
    /// The newest commit when it cannot be used, so that it is not read again with each look.
    pub(super) unusable: Option<Unusable>,
    pub(super) pace: Pace,
    /// What is written about the current commit.
    pub(super) outcome: Option<RevisionOutcome>,
    /// What was last logged of a host on which nothing is left to be done: the commit, and what was held.
    pub(super) logged: Option<(String, Vec<String>)>,
    /// Drift that was recorded, by subject.
    pub(super) told: BTreeMap<String, Vec<String>>,
    pub(super) refused: Option<PlanId>,
    /// The commit for which values found in place are on record.
    pub(super) recorded: Option<String>,
    pub(super) trouble: Option<Backoff>,
    /// The kinds of trouble that were logged since it last worked.
    pub(super) told_trouble: Vec<Discriminant<Trouble>>,
    /// The commit that was logged as new.
    pub(super) announced: Option<String>,
    /// Whether another process applied at the last look.
    pub(super) locked: bool,
    pub(super) pruned: Option<Instant>,
}

/// A reconcile could not be completed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the engine does not answer")]
    Engine(#[source] EngineError),
    #[error("the store does not work")]
    Store(#[from] StoreError),
    #[error("an apply was broken off")]
    Apply(#[source] Box<ApplyError>),
    #[error("another process applies")]
    Lock(#[source] LockError),
    /// Ends the daemon.
    #[error(transparent)]
    Folder(#[from] StateFolderError),
}

impl Reconciler {
    /// Runs until it is asked to stop.
    ///
    /// # Errors
    /// When the task that follows the repo is gone.
    pub(super) async fn run(mut self) -> TaskResult {
        // Both arms are cancel-safe. The stop comes first: it also closes the channel.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            changed = tokio::time::timeout(FIRST_HEAD, self.head.changed()) => if let Ok(changed) = changed { changed? },
        }
        loop {
            let looked = self.reconcile().await;
            self.turn_down(&looked);
            let wait = match looked {
                Ok(wait) => {
                    if self.state.trouble.take().is_some() {
                        self.state.told_trouble.clear();
                        tracing::info!("reconcile works again");
                    }
                    self.publish(|status| (status.problem, status.waits_for) = (None, None));
                    wait
                }
                Err(Trouble::Folder(lost)) => return Err(lost.into()),
                Err(trouble) => self.troubled(&trouble),
            };
            let again = self.state.unusable.as_ref().and_then(|unusable| unusable.again);
            let wait = again.map_or(wait, |at| wait.min(at.saturating_duration_since(clock::monotonic())));
            // Every arm is cancel-safe: hints and values that came are kept. The stop comes first: it also closes the
            // channel.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = self.triggers.wait_look() => {}
                changed = self.head.changed() => changed?,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One reconcile; says how long to wait for the next when nothing happens.
    async fn reconcile(&mut self) -> Result<Duration, Trouble> {
        self.state.asked = self.requests.try_recv().ok();
        if self.triggers.take_afresh() {
            self.state.pace.clear();
        }
        self.folder.check()?;
        if std::mem::take(&mut self.state.locked) {
            // While it goes on, a look at every container each second would only cost the engine.
            let what = "setpoint daemon";
            drop(ApplyLock::acquire(&self.state_dir, what, Duration::ZERO).await.map_err(Trouble::Lock)?);
        }
        self.prune();
        let head = self.head.borrow_and_update().clone();
        self.publish(|status| status.follow(&head));
        if let Some(revision) = &head.revision {
            self.take(revision).await?;
        }
        let Some(mut current) = self.state.current.clone() else { return Ok(self.resync) };
        let observed = self.look(&current).await?;
        let (desired, mut host) = HostState::new(&current.desired, observed, &current.ledger)?;
        current.desired = desired;
        self.check_health(&mut host);
        let looks = seen(&host.observed, &current.owner, &host.memory.known);
        for (instance, change) in current.ledger.saw(&looks, "seen on the engine", clock::now())? {
            tracing::info!(%instance, from = change.old, to = change.new, "instance changed");
        }
        self.record_in_place(&current, &host)?;
        let allow = self.granted(&current, &host);
        let input = host.input(&current.desired, &current.revision, &current.owner, &allow);
        let Some(plan) = self.planned(&current, &input)? else { return Ok(self.resync) };
        self.finish(&current, &plan)?;
        self.carry_out(&current, &host.observed, &plan).await
    }

    /// Has the containers checked that have no health check of their own, and takes over what is known of them.
    fn check_health(&self, host: &mut HostState) {
        host.overlay_health(&self.healths.borrow());
        self.targets.send_if_modified(|known| {
            let news = **known != host.targets;
            if news {
                *known = Arc::new(host.targets.clone());
            }
            news
        });
    }

    /// Remembers what a new commit asks for and the host has already, once for each commit and a full look.
    fn record_in_place(&mut self, current: &Loaded, host: &HostState) -> Result<(), Trouble> {
        if host.observed.missing.is_empty() && self.state.recorded.as_ref() != Some(&current.revision.commit) {
            let input = host.input(&current.desired, &current.revision, &current.owner, &[]);
            record_in_place(&current.ledger, &input)?;
            self.state.recorded = Some(current.revision.commit.clone());
        }
        Ok(())
    }

    /// Makes the plan and checks it; `None` when it may not be carried out.
    fn planned(&mut self, current: &Loaded, input: &PlanInput<'_>) -> Result<Option<Plan>, Trouble> {
        let PlanInput { observed, memory, .. } = *input;
        let plan = plan(input);
        let wanted = |subject: &Subject| plan.steps.iter().any(|step| step.subject == *subject);
        self.state.pace.keep(wanted, clock::monotonic());
        let rows = current.ledger.instances()?;
        let syncs = sync(&plan, input, &self.state.pace.failing());
        self.publish(|status| status.look(current, observed, &plan, &syncs, memory, rows));
        self.view.send_replace(Some(Arc::new(View::new(&plan))));
        if let Err(Violations(violations)) = check(&plan, input) {
            let text = violations.join("; ");
            tracing::error!(plan = %plan.id, violations = text, "the plan has a fault and is not carried out");
            if self.state.refused.as_ref() != Some(&plan.id) {
                let fact = Fact::PlanRefused { plan: plan.id.to_string(), violations };
                current.ledger.record(&Event { at: clock::now(), fact })?;
                self.state.refused = Some(plan.id.clone());
            }
            self.publish(|status| {
                status.sync = Some(Sync::Refused);
                status.problem = Some(format!("plan {} is refused: {text}", plan.id));
            });
            return Ok(None);
        }
        let drift = drift(&plan);
        for (subject, changes) in
            drift.iter().filter(|(subject, changes)| self.state.told.get(*subject) != Some(changes))
        {
            tracing::info!(subject, changes = changes.join(", "), "drift");
            let fact = Fact::DriftFound { subject: subject.clone(), changes: changes.clone() };
            current.ledger.record(&Event { at: clock::now(), fact })?;
        }
        self.state.told = drift;
        Ok(Some(plan))
    }

    /// Notes that the host is as the commit wants it, or that something is held; each once.
    fn finish(&mut self, current: &Loaded, plan: &Plan) -> Result<(), Trouble> {
        let subjects = |of_commit: bool| -> Vec<String> {
            let held = plan.held.iter().filter(|held| !of_commit || held.why.is_of_commit());
            held.map(|held| held.subject.to_string()).collect()
        };
        let (held, all) = (subjects(true), subjects(false));
        let outcome = if plan.is_applied() {
            Some(RevisionOutcome::Applied)
        } else {
            (plan.is_empty() && !held.is_empty()).then_some(RevisionOutcome::Held)
        };
        // A commit that was applied stays so: what is held later is not of its making.
        let known = self.state.outcome;
        if let Some(outcome) = outcome.filter(|new| known != Some(*new) && known != Some(RevisionOutcome::Applied)) {
            let note = (!held.is_empty()).then(|| format!("held: {}", held.join(", ")));
            let plan = plan.id.to_string();
            current.ledger.revision(&current.revision, outcome, Some(&plan), note.as_deref(), clock::now())?;
            self.state.outcome = Some(outcome);
        }
        let now = Some((current.revision.commit.clone(), all));
        if let Some((_, all)) = now.as_ref().filter(|_| outcome.is_some() && self.state.logged != now) {
            let (commit, all) = (current.revision.short(), all.join(", "));
            match (held.is_empty(), all.is_empty()) {
                (true, true) => tracing::info!(commit, "in sync"),
                (true, false) => {
                    tracing::warn!(commit, held = all, "the commit is applied, but the host differs from it");
                }
                (false, _) => tracing::warn!(commit, held = all, "the commit is not applied in full"),
            }
            self.state.logged = now;
        }
        if self.state.outcome == Some(RevisionOutcome::Applied) {
            self.publish(|status| status.revision.applied = Some(current.revision.clone()));
            self.in_force(current);
        }
        Ok(())
    }

    /// Puts the schedules of a commit in force, once.
    pub(super) fn in_force(&self, current: &Loaded) {
        self.applied.send_if_modified(|applied| {
            let same = applied.as_ref().is_some_and(|applied| applied.revision.commit == current.revision.commit);
            if !same {
                if let Err(error) = current.ledger.put_in_force(&current.revision.commit) {
                    tracing::warn!(
                        error = chain(&error),
                        "the commit in force was not noted; a restart waits for the engine"
                    );
                }
                *applied = Some(current.clone());
            }
            !same
        });
    }

    /// Carries the plan out, apart from what waits after a failure.
    async fn carry_out(&mut self, current: &Loaded, observed: &Observed, plan: &Plan) -> Result<Duration, Trouble> {
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
        let applied = applied.map_err(|error| Trouble::Apply(Box::new(error)))?;
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
        let outcome = match (applied.failed, applied.superseded) {
            (0, false) => None,
            (0, true) => Some(RevisionOutcome::Superseded),
            _ => Some(RevisionOutcome::Failed),
        };
        if let Some(outcome) = outcome {
            let note = format!("{} done, {} failed, {} skipped", applied.done, applied.failed, applied.skipped);
            current.ledger.revision(
                &current.revision,
                outcome,
                Some(&plan.id.to_string()),
                Some(&note),
                clock::now(),
            )?;
            self.state.outcome = Some(outcome);
        }
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

    /// Shows the trouble and says how long to wait.
    fn troubled(&mut self, trouble: &Trouble) -> Duration {
        let error = match trouble {
            // Normal: one at a time.
            Trouble::Lock(LockError::Held { holder, .. }) => {
                self.state.locked = true;
                self.publish(|status| status.waits_for = Some(holder.clone()));
                return LOCKED;
            }
            other => chain(other),
        };
        let kind = std::mem::discriminant(trouble);
        let first = !self.state.told_trouble.contains(&kind);
        let backoff =
            self.state.trouble.get_or_insert_with(|| Backoff::new(Duration::from_millis(500), Duration::from_secs(60)));
        let wait = backoff.fail(fastrand::f64());
        if first {
            self.state.told_trouble.push(kind);
            // An engine that is away comes back; a store that cannot be written waits for a person.
            if matches!(trouble, Trouble::Engine(_)) {
                tracing::warn!(error, "reconcile failed; it is tried again");
            } else {
                tracing::error!(error, "reconcile failed; it is tried again");
            }
        } else {
            tracing::debug!(error, wait_ms = wait.as_millis(), "reconcile failed again");
        }
        self.publish(|status| {
            if matches!(trouble, Trouble::Engine(_)) {
                status.engine.reachable = Some(false);
                status.engine.error = Some(error.clone());
            }
            status.problem = Some(error.clone());
        });
        wait
    }

    /// Removes old events now and then.
    fn prune(&mut self) {
        let now = clock::monotonic();
        if self.state.pruned.is_some_and(|last| now.duration_since(last) < PRUNE) {
            return;
        }
        self.state.pruned = Some(now);
        if let Err(error) = self.loader.store.prune(Retention::default(), clock::now()) {
            tracing::warn!(error = chain(&error), "old events were not removed");
        }
    }

    /// Changes the read model; readers are woken only when it is another one.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Status)) {
        update(&self.status, change);
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
