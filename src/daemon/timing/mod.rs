//! Starts the runs of the committed schedules, each due time at most once.
//!
//! Comes in: the commit that the host is as. Goes out: runs, each written into the ledger before its first task starts
//! and pinned to its commit. The decisions are [`crate::schedule::agenda`]'s, and within a run those of its timeline.

mod admission;
mod desk;
mod ended;
mod keep;
mod launch;
mod leftover;
mod requests;
#[cfg(test)]
mod simulation;

pub(super) use keep::Timing;
pub use requests::{AskError, Asked};
pub(super) use requests::{Asking, Request, requests};

use crate::model::{RealTime, RtPolicy, TaskAddress};
use crate::wire::Tls;

/// How the daemon conducts runs.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    /// Where task servers tell that a task has ended; without, at port 50050 of this machine as it and its containers reach it.
    pub listen: Option<TaskAddress>,
    /// Policy and CPU of the threads that keep the time.
    pub real_time: RealTime,
    /// Keep the memory of the process from being paged out.
    pub lock_memory: bool,
    /// For addresses with `tls://`.
    pub tls: Option<Tls>,
}

impl Default for Orchestrator {
    fn default() -> Self {
        Self { listen: None, real_time: RealTime { policy: RtPolicy::Other, cpu: None }, lock_memory: false, tls: None }
    }
}
