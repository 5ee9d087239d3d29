//! What a commit has come to, and whether its schedules are in force.

use super::reconciler::Reconciler;
use super::trouble::Trouble;
use crate::apply::load::Loaded;
use crate::plan::Plan;
use crate::process::clock;
use crate::process::error::chain;
use crate::store::RevisionOutcome;

impl Reconciler {
    /// Notes that the host is as the commit wants it, or that something is held; each once.
    pub(super) fn finish(&mut self, current: &Loaded, plan: &Plan) -> Result<(), Trouble> {
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
            current.ledger.revision(&current.revision, outcome, Some(&plan.id), note.as_deref(), clock::now())?;
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
    pub(in crate::daemon) fn in_force(&self, current: &Loaded) {
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
}
