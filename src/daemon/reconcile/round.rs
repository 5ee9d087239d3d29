//! One reconcile after another.

use super::reconciler::Reconciler;
use super::trouble::Trouble;
use crate::apply::load::Loaded;
use crate::apply::observe::seen;
use crate::apply::{HostState, record_in_place};
use crate::process::error::chain;
use crate::process::supervise::TaskResult;
use crate::process::{Backoff, clock};
use crate::store::{ApplyLock, LockError, Retention};
use std::sync::Arc;
use std::time::Duration;

/// How long the first look waits for the first answer of the repo, so that a restart does not first bring back a commit
/// that is already old.
const FIRST_HEAD: Duration = Duration::from_secs(5);
/// Time between two tries for the lock while a command applies.
const LOCKED: Duration = Duration::from_secs(1);
/// Time between two rounds of removing old events.
const PRUNE: Duration = Duration::from_secs(3600);

impl Reconciler {
    /// Runs until it is asked to stop.
    ///
    /// # Errors
    /// When the task that follows the repo is gone.
    pub(in crate::daemon) async fn run(mut self) -> TaskResult {
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
}
