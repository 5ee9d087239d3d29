//! Desired × Observed → Plan: what will be done, in which order, why, and at what cost.
//!
//! In: the compiled repo, one observation of the engine, the data of the store ([`PlanInput`]). Out: a [`Plan`] that leaves no
//! decision to the code that carries it out. Pure: the same input gives the same plan, and nothing is logged or read. The rules
//! that must always hold are in [`lint()`], which shares no code with the planner.

mod action;
mod anonymous;
mod conflicts;
mod context;
mod diff;
mod draft;
mod effective;
mod fields;
mod flapping;
mod former;
mod gate;
mod id;
mod identity;
mod input;
mod instance;
mod instances;
mod joined;
mod leftovers;
mod lint;
mod objects;
mod order;
mod pretend;
mod record;
mod removals;
pub mod render;
mod settings;
mod step;
mod subject;
mod suspended;
mod sync;
mod teardown;
#[cfg(test)]
mod tests;
mod unmet;
mod update;
mod violation;
mod wanted;
mod wish;

pub use action::{Action, Gate, Guard, Launch, Update};
pub use diff::spec_digest;
pub use flapping::{REMEMBERED, fought_over};
pub use former::keep_former_volumes;
pub use id::PlanId;
pub use input::{Allow, AllowedGuard, Base, Memory, PlanInput, Quarantine, Repair};
pub use lint::lint;
pub use order::waves;
pub use pretend::{Pretended, pretend};
pub use record::{check_is_in_force, found_in_place, not_granted, remembered, reported};
pub use settings::{network_settings, volume_settings};
pub use step::{Disruption, FieldChange, Held, HeldReason, Milestone, Need, Origin, Plan, Reason, Step, StepId};
pub use subject::Subject;
pub use sync::{Sync, Syncs, sync};
pub use teardown::{Teardown, teardown};
pub use violation::Violation;
pub use wish::wish;

use context::Context;
use draft::Drafts;
use std::collections::BTreeSet;

/// Makes the plan. Never fails: what cannot be done is held, with its reason.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let cx = Context::new(*input);
    let mut drafts = Drafts::default();
    objects::networks(&cx, &mut drafts);
    objects::volumes(&cx, &mut drafts);
    let seen = instances::instances(&cx, &mut drafts);
    removals::removals(&cx, &mut drafts);
    conflicts::conflicts(&cx, &mut drafts);
    unmet::hold_unmet(&cx, &mut drafts);
    objects::images(&cx, &mut drafts);
    unmet::hold_unmet(&cx, &mut drafts);
    objects::unused_networks(&cx, &mut drafts);
    assemble(&cx, drafts, seen.unchanged)
}

fn assemble(cx: &Context<'_>, mut drafts: Drafts, unchanged: usize) -> Plan {
    let mut held = std::mem::take(&mut drafts.held);
    let (steps, circles) = order::order(drafts);
    held.extend(circles);
    held.sort_by(|a, b| a.subject.cmp(&b.subject));
    let touched: BTreeSet<_> = steps.iter().filter_map(|step| step.deployment.as_ref()).collect();
    let touched = touched.into_iter().filter_map(|name| cx.desired().deployments.get_key_value(name));
    let strategies = touched.map(|(name, deployment)| (name.clone(), deployment.strategy.clone())).collect();
    let mut plan = Plan {
        id: PlanId::default(),
        environment: cx.desired().settings.environment.clone(),
        revision: cx.input.revision.clone(),
        observed_at: cx.observed().at,
        missing: cx.observed().missing.clone(),
        steps,
        held,
        unchanged,
        strategies,
    };
    plan.id = identity::identity(&plan);
    plan
}
