//! The newest commit when it cannot be used.

use crate::model::CommitId;
use crate::process::Backoff;
use std::time::{Duration, Instant};

/// A commit that cannot be used, so that it is not read again with each look.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) commit: CommitId,
    pub(super) report: String,
    backoff: Backoff,
    /// When it is read again; never, when reading it once more would end alike.
    pub(super) again: Option<Instant>,
}

impl Unusable {
    pub(super) fn new(commit: &CommitId) -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
        Self { commit: commit.clone(), report: String::new(), backoff, again: None }
    }

    pub(super) fn failed(&mut self, report: String, again: bool, now: Instant) {
        self.report = report;
        self.again = again.then(|| now + self.backoff.fail(fastrand::f64()));
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.again.is_some_and(|again| again <= now)
    }
}
