//! Events of an engine.

use crate::model::ContainerId;

/// Something happened on the engine. Carries no state, only what to observe again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// A container of ours did something (`die`, `health_status: unhealthy`, …).
    Container {
        id: ContainerId,
        /// The engine's word for it.
        action: String,
    },
    /// A network, volume or image did something.
    Other,
    /// The stream was opened, for the first time or again after it broke; anything may have happened before.
    Gap,
}
