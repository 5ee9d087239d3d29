//! What health checks say.

use super::words::words;
use crate::model;
use serde::{Deserialize, Serialize};

words! {
    /// What a health check says.
    Health = model::Health { Unchecked, Starting, Healthy, Unhealthy }
}

/// Why an instance counts as not healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// One line: what was seen (`exited (1) after 0.4 s`).
    pub verdict: String,
    /// Last lines of its log.
    pub log: Vec<String>,
    /// Last output of its health check.
    pub check: Option<String>,
}

impl From<model::HealthReport> for HealthReport {
    fn from(report: model::HealthReport) -> Self {
        let model::HealthReport { verdict, log, check } = report;
        Self { verdict, log, check }
    }
}

impl From<HealthReport> for model::HealthReport {
    fn from(report: HealthReport) -> Self {
        let HealthReport { verdict, log, check } = report;
        Self { verdict, log, check }
    }
}
