//! What carries out a plan and keeps a host as it says. The daemon and the command line use it alike.
//!
//! In: a commit ([`load`]), what an engine reports ([`observe`], [`probes`]) and a plan of them. Out: the results of its steps
//! ([`execute`]) and the facts about them in the store. No choice is made here that belongs to the plan: [`walk`] says which step may
//! start when, [`pace`] how soon one may be tried again, and both are pure.

mod bookkeeping;
mod execute;
mod job;
pub mod load;
pub mod observe;
pub mod pace;
mod pipeline;
pub mod probes;
pub mod steps;
pub mod walk;

#[cfg(test)]
pub(crate) mod testing;

pub use bookkeeping::record_in_place;
pub use execute::execute;
pub use job::{Applied, ApplyError, Job, Progress, ProgressKind, StepResult};
pub use pipeline::{HostState, Violations, check, compile, difference};
