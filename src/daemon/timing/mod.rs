//! Starts the runs of the committed schedules, each due time at most once.
//!
//! Comes in: the commit that the host is as. Goes out: runs, each written into the ledger before its first task starts
//! and pinned to its commit. The decisions are [`crate::schedule::agenda`]'s, and within a run those of its timeline.

mod keep;
mod launch;
mod records;

pub use keep::Orchestrator;
pub(super) use keep::Timing;
