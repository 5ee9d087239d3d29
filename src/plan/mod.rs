//! Desired × Observed → Plan.
pub mod input;
mod step;
pub use input::{Allow, AllowedGuard, Memory, PlanInput, Quarantine, Repair};
pub use step::*;
