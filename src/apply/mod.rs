//! Carries out plans and keeps a host in the planned state. The daemon and the command line both use it.
//!
//! In: a commit ([`load`]), the report of an engine ([`observe`], [`probes`]) and a plan of them. Out: the results of the plan's
//! steps ([`execute`]) and the facts about them in the store. Nothing is decided here that belongs to the plan: [`walk`] decides
//! which step may start when, and [`pace`] how soon one may be tried again; both are pure.

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
pub use pipeline::{HostState, Violations, check, compile, difference, sentences};
