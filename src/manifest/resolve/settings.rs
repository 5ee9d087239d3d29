//! The repo's settings with their defaults.

use crate::manifest::cursor::Cursor;
use crate::manifest::raw::deployment::{OnFailureName, StrategyName};
use crate::manifest::raw::settings::{DriftName, PruneEntry, SettingsFile, StrategyEntry, StrategySpec};
use crate::model::{DriftPolicy, OnFailure, Prune, Settings, StrategyKind};

/// Fills in the defaults.
pub(crate) fn settings(raw: SettingsFile, at: Cursor<'_>) -> Settings {
    let default = Settings::default();
    let mut settings = Settings { at: Some(at.location()), ..default };
    if let Some(environment) = raw.environment {
        settings.environment = environment.name.0;
    }
    settings.orchestrator = raw.orchestrator.map(|orchestrator| orchestrator.address.0.to_string());
    let Some(apply) = raw.apply else { return settings };
    let strategy = match apply.strategy {
        None => StrategySpec { kind: None, max_parallel: None },
        Some(StrategyEntry::Name(kind)) => StrategySpec { kind: Some(kind), max_parallel: None },
        Some(StrategyEntry::Full(spec)) => spec,
    };
    settings.strategy = strategy.kind.map_or(settings.strategy, kind);
    settings.max_parallel = strategy.max_parallel.unwrap_or(settings.max_parallel);
    settings.wait_for_healthy = apply.wait_for_healthy.unwrap_or(settings.wait_for_healthy);
    settings.startup_timeout = apply.startup_timeout.map_or(settings.startup_timeout, |time| time.0);
    settings.stability_window = apply.stability_window.map_or(settings.stability_window, |time| time.0);
    settings.on_failure = apply.on_failure.map_or(settings.on_failure, on_failure);
    settings.drift = match apply.drift {
        None => settings.drift,
        Some(DriftName::Repair) => DriftPolicy::Repair,
        Some(DriftName::Report) => DriftPolicy::Report,
    };
    settings.prune = match apply.prune {
        None => settings.prune,
        Some(PruneEntry::Enabled(enabled)) => Prune { enabled, ..settings.prune },
        Some(PruneEntry::Full(spec)) => Prune {
            enabled: spec.enabled.unwrap_or(settings.prune.enabled),
            budget_percent: spec.budget.map_or(settings.prune.budget_percent, |share| share.0),
        },
    };
    settings
}

/// The model's word for a strategy.
pub(super) fn kind(name: StrategyName) -> StrategyKind {
    match name {
        StrategyName::Sequential => StrategyKind::Sequential,
        StrategyName::Parallel => StrategyKind::Parallel,
    }
}

/// The model's word for what a failure leads to.
pub(super) fn on_failure(name: OnFailureName) -> OnFailure {
    match name {
        OnFailureName::Rollback => OnFailure::Rollback,
        OnFailureName::Halt => OnFailure::Halt,
        OnFailureName::Continue => OnFailure::Continue,
    }
}
