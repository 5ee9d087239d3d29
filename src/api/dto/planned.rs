//! What a commit would change, on a host and between two commits.

use super::{Plan, Preview, Revision};
use serde::{Deserialize, Serialize};

/// What `setpoint plan --json` prints: the plan, and under a key of its own what changes in the schedules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
    /// What changes in the schedules.
    pub schedules: Preview,
}

/// What `setpoint diff --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Version of this form.
    pub version: u32,
    /// The commit that is applied.
    pub from: Revision,
    /// The commit that would be applied.
    pub to: Revision,
    /// Unified diff of the files, without the secrets in them.
    pub files: String,
    /// What would be done where `from` is applied.
    pub plan: Plan,
    /// What changes in the schedules.
    pub schedules: Preview,
}
