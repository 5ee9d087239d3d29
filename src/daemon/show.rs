//! Showing what goes on: in the read model and in the log.

use super::status::{Applying, Status};
use crate::apply::{Progress, ProgressKind, StepResult};
use crate::plan::Plan;
use crate::process::clock;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// Changes the read model; readers are woken only when it is another one.
pub(super) fn update(status: &watch::Sender<Arc<Status>>, change: impl FnOnce(&mut Status)) {
    status.send_if_modified(|current| {
        let mut next = (**current).clone();
        change(&mut next);
        let news = next != **current;
        if news {
            *current = Arc::new(next);
        }
        news
    });
}

/// Shows that the plan is being carried out.
pub(super) fn begin(status: &watch::Sender<Arc<Status>>, plan: &Plan) {
    let applying = Applying {
        plan: plan.id.to_string(),
        ended: 0,
        steps: plan.steps.len(),
        running: BTreeSet::new(),
        since: clock::now(),
    };
    update(status, |status| status.applying = Some(applying));
}

/// Shows and logs the progress of a plan.
pub(super) fn show(status: &watch::Sender<Arc<Status>>, plan: &Plan, progress: &Progress<'_>) {
    let Some(step) = plan.steps.get(progress.step) else { return };
    let (subject, action) = (step.subject.to_string(), step.action.verb());
    match &progress.what {
        ProgressKind::Started => tracing::info!(subject, action, "step begins"),
        ProgressKind::Line(line) => return tracing::debug!(subject, action, line, "step"),
        ProgressKind::Reached(_) => return,
        ProgressKind::Ended(StepResult::Done { took, evidence }) => {
            tracing::info!(subject, action, ms = took.as_millis(), evidence, "step done");
        }
        ProgressKind::Ended(StepResult::Failed { error, rolled_back, .. }) => {
            tracing::warn!(subject, action, error, rolled_back, "step failed");
        }
        ProgressKind::Ended(StepResult::Skipped { because }) => {
            tracing::info!(subject, action, because, "step skipped");
        }
    }
    update(status, |status| {
        if let Some(applying) = &mut status.applying {
            if matches!(progress.what, ProgressKind::Started) {
                applying.running.insert(subject);
            } else {
                applying.running.remove(&subject);
                applying.ended += 1;
            }
        }
    });
}
