//! Made-up containers and plans for tests.

use crate::model::{
    CommitId, Container, ContainerId, DeploymentName, NodeName, OnFailure, OwnerId, Revision, ServiceId, ServiceRef,
    Status, Strategy, StrategyKind, Timestamp,
};
use crate::plan::{Action, Disruption, Gate, Guard, Plan, Reason, Step, Subject};
use std::time::Duration;

/// A container of the owner `me/prod`, without a health check.
pub(crate) fn container(id: &str, name: &str, instance: &str, status: Status) -> Container {
    Container {
        owner: Some(OwnerId::new("me/prod")),
        instance: Some(instance.parse().unwrap()),
        revision: Some(CommitId::new("3f2a91c")),
        status,
        ..Container::bare(id, name)
    }
}

pub(crate) fn revision(commit: &str) -> Revision {
    Revision {
        commit: CommitId::new(commit),
        reference: "main".to_owned(),
        summary: "api 1.5".to_owned(),
        author: "A <a@example.org>".to_owned(),
        time: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn strategy(kind: StrategyKind, max_parallel: u32, on_failure: OnFailure) -> Strategy {
    Strategy {
        kind,
        max_parallel,
        wait_for_healthy: true,
        startup_timeout: Duration::from_secs(60),
        stability_window: Duration::from_secs(2),
        on_failure,
    }
}

/// A plan of `count` independent steps `shop/s<n>/1`, all of the first of `strategies`.
pub(crate) fn plan_of(count: usize, strategies: &[(&str, Strategy)]) -> Plan {
    let first = strategies.first().map(|(name, _)| DeploymentName::new(*name));
    Plan {
        id: serde_json::from_str("\"7c1e42ab90d1\"").unwrap(),
        environment: "prod".to_owned(),
        revision: revision("3f2a91c0"),
        observed_at: Timestamp::UNIX_EPOCH,
        missing: Vec::new(),
        steps: (0..count).map(|id| step(id, first.clone())).collect(),
        held: Vec::new(),
        unchanged: 0,
        strategies: strategies.iter().map(|(name, it)| (DeploymentName::new(*name), it.clone())).collect(),
    }
}

fn step(id: usize, deployment: Option<DeploymentName>) -> Step {
    let service = ServiceRef { deployment: DeploymentName::new("shop"), service: ServiceId::new(format!("s{id}")) };
    let container = ContainerId::new(format!("container{id}"));
    Step {
        id,
        subject: Subject::Instance(NodeName::local(), service.instance(1)),
        deployment,
        action: Action::UpdateInstance { container, updates: Vec::new(), gate: Gate::Started },
        guard: Guard::Nothing,
        needs: Vec::new(),
        changes: Vec::new(),
        reason: Reason::Changed,
        disruption: Disruption::InPlace,
    }
}
