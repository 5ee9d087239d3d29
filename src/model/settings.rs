//! The policy of a config repo (`setpoint.kdl`): how plans are made and carried out.

use super::Location;
use std::time::Duration;

/// How the steps of a deployment follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyKind {
    /// One at a time, in dependency order and then file order.
    Sequential,
    /// As many at once as `max_parallel` allows, in dependency order.
    Parallel,
}

/// What happens when an instance does not become healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Put the old instance back, quarantine the new one, go on with what does not need it.
    Rollback,
    /// Put the old instance back and start no further step of this deployment.
    Halt,
    /// Leave the new instance as it is and go on with what does not need it.
    Continue,
}

/// Whether the new instance starts before the old one stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start first unless a port, a volume or another exclusive resource is shared with the old one.
    Auto,
    /// Always start first; the two may share volumes. A conflict of ports still stops the old one first.
    StartFirst,
    /// Always stop the old one first.
    StopFirst,
}

/// What is done about a difference that the host made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftPolicy {
    /// Change it back.
    Repair,
    /// Show it and leave it.
    Report,
}

/// Whether and how much may be removed in one plan because Git no longer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Remove at all.
    pub enabled: bool,
    /// At most this share of our instances in one plan, in percent, but always at least one.
    pub budget_percent: u8,
}

/// The policy of one config repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the environment; part of the owner, so that two repos on one host keep out of each other's way.
    pub environment: String,
    /// Default strategy of a deployment.
    pub strategy: StrategyKind,
    /// Default number of steps at once under [`StrategyKind::Parallel`].
    pub max_parallel: u32,
    /// Default of whether a step ends only when its instance is healthy.
    pub wait_for_healthy: bool,
    /// Default bound on the wait for healthy.
    pub startup_timeout: Duration,
    /// How long an instance must stay healthy before it counts.
    pub stability_window: Duration,
    /// Default of what a failed instance leads to.
    pub on_failure: OnFailure,
    /// What is done about drift.
    pub drift: DriftPolicy,
    /// What may be removed.
    pub prune: Prune,
    /// Address at which task servers of a deployment without an orchestrator of its own find theirs; `None` is their host.
    pub orchestrator: Option<String>,
    /// Where the settings stand, when they are committed.
    pub at: Option<Location>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: "default".to_owned(),
            strategy: StrategyKind::Sequential,
            max_parallel: 8,
            wait_for_healthy: true,
            startup_timeout: Duration::from_secs(60),
            stability_window: Duration::from_secs(2),
            on_failure: OnFailure::Rollback,
            drift: DriftPolicy::Repair,
            prune: Prune { enabled: true, budget_percent: 20 },
            orchestrator: None,
            at: None,
        }
    }
}
