//! The condition that an instance must meet before its step is complete.

use super::action::Gate;
use super::context::Context;
use super::wanted::Wanted;
use crate::model::{Condition, ServiceRef};
use std::collections::HashMap;

/// The furthest that anything waits for each service that is depended on.
pub(super) fn waited_for(cx: &Context<'_>) -> HashMap<ServiceRef, Condition> {
    let mut furthest = HashMap::new();
    let services = cx.desired().deployments.values().flat_map(|deployment| &deployment.services);
    for (service, edge) in services.flat_map(|service| &service.depends_on) {
        let condition = furthest.entry(service.clone()).or_insert(edge.condition);
        *condition = edge.condition.max(*condition);
    }
    furthest
}

/// What the instance must pass: what its strategy asks for, and what others wait for in any case.
pub(super) fn gate(wanted: &Wanted<'_>, waited_for: Option<Condition>) -> Gate {
    let strategy = &wanted.deployment.strategy;
    if wanted.service.one_shot {
        Gate::Completed { timeout: strategy.startup_timeout }
    } else if strategy.wait_for_healthy || waited_for == Some(Condition::Healthy) {
        Gate::Healthy {
            timeout: strategy.startup_timeout,
            window: strategy.stability_window,
            probe: wanted.service.probe.clone(),
        }
    } else {
        Gate::Started
    }
}
