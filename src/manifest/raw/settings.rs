//! The policy of a config repo: `setpoint.kdl` or `setpoint.yaml` in its root.

use super::deployment::{OnFailureName, StrategyName};
use super::units::{Name, Percent, Seconds, TaskAddressText};
use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of a config repo.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// The environment that this repo describes.
    pub environment: Option<Environment>,
    /// How plans are carried out.
    pub apply: Option<Apply>,
    /// Address at which task servers reach their orchestrator, if their deployment has none of its own.
    pub orchestrator: Option<OrchestratorEntry>,
}

/// The orchestrator of task servers whose deployment has none of its own: the daemon.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "address"))]
pub struct OrchestratorEntry {
    /// Its address, as reachable from containers; default port 50050 of their host.
    pub address: TaskAddressText,
}

/// An environment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Environment {
    /// Name of the environment; part of the owner label of everything on the engine.
    pub name: Name,
}

/// How plans are carried out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Default strategy of a deployment.
    pub strategy: Option<StrategyEntry>,
    /// Default: whether a step is complete only when its container is healthy.
    pub wait_for_healthy: Option<bool>,
    /// Default time limit of that wait; a bare number is seconds.
    pub startup_timeout: Option<Seconds>,
    /// How long a container must stay healthy before it counts as healthy; a bare number is seconds.
    pub stability_window: Option<Seconds>,
    /// Default: what happens when a container fails: `rollback`, `halt` or `continue`.
    pub on_failure: Option<OnFailureName>,
    /// How drift is handled: `repair` or `report`.
    pub drift: Option<DriftName>,
    /// Whether and how much may be removed that is no longer in Git.
    pub prune: Option<PruneEntry>,
}

/// The default strategy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StrategyEntry {
    /// By name.
    Name(StrategyName),
    /// With settings.
    Full(StrategySpec),
}

/// The default strategy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "type"))]
pub struct StrategySpec {
    /// `sequential` or `parallel`.
    #[serde(rename = "type")]
    pub kind: Option<StrategyName>,
    /// Maximum number of steps at the same time under `parallel`.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// How drift is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftName {
    /// It is reverted.
    Repair,
    /// It is only reported.
    Report,
}

/// What may be removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PruneEntry {
    /// Whether anything is removed.
    Enabled(bool),
    /// With a limit.
    Full(PruneSpec),
}

/// What may be removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "enabled"))]
pub struct PruneSpec {
    /// Whether anything is removed; default true.
    pub enabled: Option<bool>,
    /// Maximum share of the instances that one plan may remove.
    pub budget: Option<Percent>,
}
