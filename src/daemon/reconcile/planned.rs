//! From what was observed to a checked plan.

use super::reconciler::Reconciler;
use super::trouble::Trouble;
use crate::apply::load::Loaded;
use crate::apply::{Violations, check, sentences};
use crate::daemon::status::drift;
use crate::event::{Event, Fact};
use crate::plan::render::View;
use crate::plan::{Plan, PlanInput, Subject, Sync, plan, sync};
use crate::process::clock;
use std::sync::Arc;

impl Reconciler {
    /// Makes the plan and checks it; `None` when it may not be carried out.
    pub(super) fn planned(&mut self, current: &Loaded, input: &PlanInput<'_>) -> Result<Option<Plan>, Trouble> {
        let PlanInput { observed, memory, .. } = *input;
        let plan = plan(input);
        let wanted = |subject: &Subject| plan.steps.iter().any(|step| step.subject == *subject);
        self.state.pace.keep(wanted, clock::monotonic());
        let rows = current.ledger.instances()?;
        let syncs = sync(&plan, input, &self.state.pace.failing());
        self.publish(|status| status.look(current, observed, &plan, &syncs, memory, rows));
        self.view.send_replace(Some(Arc::new(View::new(&plan))));
        if let Err(Violations(violations)) = check(&plan, input) {
            let text = sentences(&violations, "; ");
            tracing::error!(plan = %plan.id, violations = text, "the plan has a fault and is not carried out");
            if self.state.refused.as_ref() != Some(&plan.id) {
                let violations = violations.iter().map(ToString::to_string).collect();
                let fact = Fact::PlanRefused { plan: plan.id.clone(), violations };
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
            tracing::info!(%subject, changes = changes.join(", "), "drift");
            let fact = Fact::DriftFound { subject: subject.clone(), changes: changes.clone() };
            current.ledger.record(&Event { at: clock::now(), fact })?;
        }
        self.state.told = drift;
        Ok(Some(plan))
    }
}
