//! The policy of a config repo: `setpoint.kdl` or `setpoint.yaml` in its root.

use super::deployment::{OnFailureName, StrategyName};
use super::units::{Name, Percent, Seconds, TaskAddressText};
use schemars::JsonSchema;
use serde::Deserialize;

/// Policy of a config repo.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// The environment that this repo describes.
    pub environment: Option<Environment>,
    /// How plans are carried out.
    pub apply: Option<Apply>,
    /// Where task servers find their orchestrator, when their deployment has none of its own.
    pub orchestrator: Option<OrchestratorEntry>,
}

/// The orchestrator of task servers whose deployment has none of its own: the daemon.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "address"))]
pub struct OrchestratorEntry {
    /// Its address as containers reach it; the default is port 50050 of their host.
    pub address: TaskAddressText,
}

/// An environment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Environment {
    /// Its name; part of the owner of everything on the engine.
    pub name: Name,
}

/// How plans are carried out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Default strategy of a deployment.
    pub strategy: Option<StrategyEntry>,
    /// Default of whether a step ends only when its container is healthy.
    pub wait_for_healthy: Option<bool>,
    /// Default bound on that wait; a bare number is seconds.
    pub startup_timeout: Option<Seconds>,
    /// How long a container must stay healthy before it counts; a bare number is seconds.
    pub stability_window: Option<Seconds>,
    /// Default of what a failed container leads to: `rollback`, `halt` or `continue`.
    pub on_failure: Option<OnFailureName>,
    /// What is done about drift: `repair` or `report`.
    pub drift: Option<DriftName>,
    /// Whether and how much may be removed because Git no longer names it.
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
    /// Steps at once under `parallel`.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// What is done about drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftName {
    /// It is changed back.
    Repair,
    /// It is shown.
    Report,
}

/// What may be removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PruneEntry {
    /// Whether at all.
    Enabled(bool),
    /// With a bound.
    Full(PruneSpec),
}

/// What may be removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "enabled"))]
pub struct PruneSpec {
    /// Whether at all; default true.
    pub enabled: Option<bool>,
    /// At most this share of the instances in one plan.
    pub budget: Option<Percent>,
}
