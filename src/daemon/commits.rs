//! The commits that the loop works for: taking one up, refusing one, going on after a restart.

use super::load::{LoadError, Loaded};
use super::reconcile::{Reconciler, Trouble};
use super::status::Rejected;
use crate::event::{Event, Fact};
use crate::model::Revision;
use crate::process::clock;
use crate::process::supervise::chain;
use crate::store::{RevisionOutcome, StoreError};

impl Reconciler {
    /// Takes up the last good commit of this repo from before a restart, if its objects are still here: an unreachable
    /// server is no reason to leave the host alone.
    pub(super) async fn resume(&mut self) {
        let last = match self.loader.store.last_good_of(&self.loader.source.place()) {
            Ok(Some((_, revision))) => revision,
            Ok(None) => return,
            Err(error) => return tracing::warn!(error = chain(&error), "the last good commit is not known"),
        };
        match self.loader.load(&last.commit).await {
            Ok(mut loaded) => {
                loaded.revision.reference.clone_from(&last.reference);
                let row = loaded.ledger.find_revision(&last.commit).ok().flatten();
                self.state.outcome = row.map(|row| row.outcome);
                tracing::info!(commit = last.short(), "goes on where it stopped");
                self.resume_schedules(&loaded).await;
                self.enter(loaded);
            }
            Err(error) => tracing::warn!(commit = last.short(), error = chain(&error), "cannot go on where it stopped"),
        }
    }

    /// The schedules that were in force go on, although the engine may not answer yet, and whatever became of the
    /// deployments since.
    async fn resume_schedules(&mut self, last: &Loaded) {
        let commit = match last.ledger.in_force() {
            Ok(Some(commit)) => commit,
            Ok(None) => return,
            Err(error) => return tracing::warn!(error = chain(&error), "the commit in force is not known"),
        };
        if commit == last.revision.commit {
            return self.in_force(last);
        }
        match self.loader.load(&commit).await {
            Ok(loaded) => self.in_force(&loaded),
            Err(error) => tracing::warn!(commit, error = chain(&error), "the schedules in force cannot be read"),
        }
    }

    /// Takes up the commit that the branch now is at, unless it is the current one or known to be unusable.
    pub(super) async fn take(&mut self, revision: &Revision) -> Result<(), Trouble> {
        let current = self.state.current.as_ref().map(|current| current.revision.commit.as_str());
        if current == Some(revision.commit.as_str()) {
            self.state.unusable = None;
            self.publish(|status| status.revision.rejected = None);
            return Ok(());
        }
        if self.state.unusable.as_deref() == Some(revision.commit.as_str()) {
            return Ok(());
        }
        let mut loaded = match self.loader.load(&revision.commit).await {
            Ok(loaded) => loaded,
            Err(LoadError::Rejected { mistakes, report, .. }) => return self.reject(revision, mistakes, report),
            Err(LoadError::Environment { source: source @ StoreError::EnvironmentTaken { .. }, .. }) => {
                return self.reject(revision, 1, source.to_string());
            }
            Err(error) => return Err(Trouble::Load(Box::new(error))),
        };
        loaded.revision = revision.clone();
        tracing::info!(commit = revision.short(), summary = revision.summary, "new commit");
        let now = clock::now();
        loaded.ledger.record(&Event { at: now, fact: Fact::RevisionSeen { revision: revision.clone() } })?;
        loaded.ledger.revision(revision, RevisionOutcome::Accepted, None, None, now)?;
        self.state.outcome = Some(RevisionOutcome::Accepted);
        self.enter(loaded);
        Ok(())
    }

    fn enter(&mut self, loaded: Loaded) {
        self.owner.send_if_modified(|owner| {
            let news = owner.as_ref() != Some(&loaded.owner);
            *owner = Some(loaded.owner.clone());
            news
        });
        let applied = loaded.ledger.last_applied().ok().flatten().map(|row| row.revision);
        self.publish(|status| {
            status.revision.wanted = Some(loaded.revision.clone());
            status.revision.applied = applied;
            status.revision.rejected = None;
            status.environment = Some(loaded.ledger.environment().to_owned());
        });
        self.state.pace.clear();
        self.state.unusable = None;
        self.state.current = Some(loaded);
    }

    /// The commit changes nothing and is reported.
    fn reject(&mut self, revision: &Revision, mistakes: usize, report: String) -> Result<(), Trouble> {
        tracing::warn!(commit = revision.short(), mistakes, "the commit is not valid; the last good one is kept");
        let fact = Fact::RevisionRejected { revision: revision.clone(), mistakes, report: report.clone() };
        let event = Event { at: clock::now(), fact };
        match &self.state.current {
            Some(current) => {
                current.ledger.record(&event)?;
                let outcome = RevisionOutcome::Rejected;
                current.ledger.revision(revision, outcome, None, Some(&report), event.at)?;
            }
            None => drop(self.loader.store.record(&event)?),
        }
        let rejected = Rejected { revision: revision.clone(), mistakes, report };
        self.publish(|status| status.revision.rejected = Some(rejected));
        self.state.unusable = Some(revision.commit.clone());
        Ok(())
    }
}
