//! The commits that the loop works for: taking one up, refusing one, going on after a restart.

use super::reconcile::{Reconciler, Trouble};
use super::status::Rejected;
use super::unusable::Unusable;
use crate::apply::load::{LoadError, Loaded};
use crate::event::{Event, Fact};
use crate::model::Revision;
use crate::process::clock;
use crate::process::error::chain;
use crate::store::{RevisionOutcome, StoreError};

impl Reconciler {
    /// Takes up the last good commit of this repo from before a restart, if its objects are still here: an unreachable
    /// server is no reason to leave the host alone.
    pub(super) async fn resume(&mut self) {
        let last = match self.loader.last_good() {
            Ok(Some(revision)) => revision,
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
            Err(error) => {
                tracing::warn!(commit = commit.short(), error = chain(&error), "the schedules in force cannot be read");
            }
        }
    }

    /// Takes up the commit that the branch now is at, unless it is the current one or known to be unusable.
    pub(super) async fn take(&mut self, revision: &Revision) -> Result<(), Trouble> {
        let current = self.state.current.as_ref().map(|current| &current.revision.commit);
        if current == Some(&revision.commit) {
            if let Some(unusable) = self.state.unusable.take() {
                let left = unusable.commit.short();
                tracing::info!(commit = revision.short(), left, "the repo is back at the commit that is kept");
            }
            self.publish(|status| status.revision.rejected = None);
            return Ok(());
        }
        let now = clock::monotonic();
        if self.state.unusable.as_ref().is_some_and(|one| one.commit == revision.commit && !one.is_due(now)) {
            return Ok(());
        }
        // Said before anything is on record, and once: where nothing can be written, this is tried again and again.
        if self.state.announced.as_ref() != Some(&revision.commit) {
            tracing::info!(commit = revision.short(), summary = revision.summary, "new commit");
            self.state.announced = Some(revision.commit.clone());
        }
        let mut loaded = match self.loader.load(&revision.commit).await {
            Ok(loaded) => loaded,
            Err(LoadError::Rejected { mistakes, report, lines, .. }) => {
                return self.reject(revision, mistakes, report, &lines, false);
            }
            Err(LoadError::Environment { source: source @ StoreError::EnvironmentTaken { .. }, .. }) => {
                return self.reject(revision, 1, source.to_string(), &[source.to_string()], false);
            }
            Err(LoadError::Environment { source, .. }) => return Err(Trouble::Store(source)),
            // Like one that is not valid: what is kept is kept up meanwhile.
            Err(error) => {
                let text = chain(&error);
                return self.reject(revision, 0, text.clone(), &[text], error.may_go_away());
            }
        };
        loaded.revision = revision.clone();
        let now = clock::now();
        loaded.ledger.record(&Event { at: now, fact: Fact::RevisionSeen { revision: revision.clone() } })?;
        loaded.ledger.revision(revision, RevisionOutcome::Accepted, None, None, now)?;
        for notice in &loaded.desired.notices {
            tracing::info!(at = %notice.at, "{}", notice.text);
        }
        self.state.outcome = Some(RevisionOutcome::Accepted);
        self.enter(loaded);
        Ok(())
    }

    fn enter(&mut self, loaded: Loaded) {
        let environment = loaded.ledger.environment();
        if self.state.current.as_ref().is_none_or(|current| current.ledger.environment() != environment) {
            tracing::info!(environment, commit = loaded.revision.short(), "the environment is known");
        }
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

    /// The commit changes nothing and is reported. `mistakes` is 0 when its files could not be read; `again` says that they
    /// may be readable later.
    fn reject(
        &mut self,
        revision: &Revision,
        mistakes: usize,
        report: String,
        lines: &[String],
        again: bool,
    ) -> Result<(), Trouble> {
        let before = self.state.unusable.take().filter(|unusable| unusable.commit == revision.commit);
        if before.as_ref().is_none_or(|before| before.report != report) {
            self.note_rejected(revision, mistakes, &report, lines)?;
        }
        let rejected = Rejected { revision: revision.clone(), mistakes, report: report.clone() };
        self.publish(|status| status.revision.rejected = Some(rejected));
        let mut unusable = before.unwrap_or_else(|| Unusable::new(&revision.commit));
        unusable.failed(report, again, clock::monotonic());
        self.state.unusable = Some(unusable);
        Ok(())
    }

    fn note_rejected(
        &self,
        revision: &Revision,
        mistakes: usize,
        report: &str,
        lines: &[String],
    ) -> Result<(), Trouble> {
        let fact = Fact::RevisionRejected { revision: revision.clone(), mistakes, report: report.to_owned() };
        let event = Event { at: clock::now(), fact };
        match &self.state.current {
            Some(current) => {
                current.ledger.record(&event)?;
                let outcome = RevisionOutcome::Rejected;
                current.ledger.revision(revision, outcome, None, Some(report), event.at)?;
            }
            None => drop(self.loader.store.record(&event)?),
        }
        let kept = self.state.current.as_ref().map_or("none", |current| current.revision.short());
        if mistakes == 0 {
            tracing::warn!(commit = revision.short(), kept, "the commit cannot be used; the last good one is kept");
        } else {
            tracing::warn!(
                commit = revision.short(),
                mistakes,
                kept,
                "the commit is not valid; the last good one is kept"
            );
        }
        for line in lines.iter().take(LINES) {
            tracing::warn!(commit = revision.short(), "{line}");
        }
        Ok(())
    }
}

/// Mistakes of a commit that are logged; `setpoint status` shows all.
const LINES: usize = 5;
