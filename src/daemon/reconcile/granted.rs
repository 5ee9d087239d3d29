//! The apply that a person asks for, within a reconcile.

use super::reconciler::Reconciler;
use super::trouble::Trouble;
use crate::apply::load::Loaded;
use crate::apply::{Applied, HostState};
use crate::daemon::asked::{ApplyOrder, ApplyRefused, Carried};
use crate::plan::{Allow, Plan, plan};
use crate::process::error::chain;
use std::time::Duration;

impl Reconciler {
    /// The guards that are lifted for this look: those of the apply that was asked for, if they lead to the plan that was asked for.
    /// Otherwise it is refused, and the look goes on as without it.
    pub(super) fn granted(&mut self, current: &Loaded, host: &HostState) -> Vec<Allow> {
        let Some(request) = self.state.asked.take() else { return Vec::new() };
        let ApplyOrder { plan: asked, allow } = &request.order;
        let now = plan(&host.input(&current.desired, &current.revision, &current.owner, allow)).id;
        if !now.is(asked) {
            let asked = asked.clone();
            request.answer(Err(ApplyRefused::Stale { asked, now }));
            return Vec::new();
        }
        let guards: Vec<String> = allow.iter().map(ToString::to_string).collect();
        tracing::info!(plan = %now, allow = guards.join(", "), "an apply is asked for");
        // What waits before it is tried again is tried now.
        self.state.pace.clear();
        let allow = allow.clone();
        self.state.asked = Some(request);
        allow
    }

    /// Answers the apply that was asked for.
    pub(super) fn carried(&mut self, plan: &Plan, applied: &Applied) {
        if let Some(request) = self.state.asked.take() {
            request.answer(Ok(Carried::new(plan, applied)));
        }
    }

    /// After a look: an apply that was asked for and did not come to be carried out is answered with the cause.
    pub(super) fn turn_down(&mut self, looked: &Result<Duration, Trouble>) {
        let Some(request) = self.state.asked.take() else { return };
        let why = match looked {
            Err(trouble) => chain(trouble),
            Ok(_) => {
                let problem = self.status.borrow().problem.clone();
                problem.unwrap_or_else(|| "no valid commit was read yet".to_owned())
            }
        };
        request.answer(Err(ApplyRefused::Prevented(why)));
    }
}
