//! When a run began.

use crate::model::Timestamp;
use crate::rt::{Anchor, Monotonic};
use std::time::Duration;

/// When a run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) start: Monotonic,
    pub(super) anchor: Anchor,
    pub(super) boot_id: &'static str,
}

impl Begin {
    /// Its start by the wall clock, since 1970.
    pub(super) fn wall(&self) -> Duration {
        self.anchor.wall(self.start).duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }
}
