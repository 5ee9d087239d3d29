//! The conductors: keep a host as a repo wants it. The command line's `apply` uses the same parts.
//!
//! In: a repo, an engine, a state folder ([`Config`]). Out: a host that follows the repo, and a [`Handle`] for the API.
//! [`Daemon::run`] starts four tasks: one follows the repo, one the engine's events, one probes, and one reconciles: it
//! alone decides and changes anything, one round at a time. They speak through `watch` values and coalescing hints, so
//! nothing queues up when things go wrong.
//!
//! No choice is made here that belongs to the plan, and nothing here knows SQL, git or the engine's wire.

pub mod apply;
mod asked;
mod bookkeeping;
mod commits;
pub mod follow;
mod handle;
pub mod load;
mod look;
pub mod observe;
pub mod pace;
pub mod probes;
mod reconcile;
mod run;
mod show;
pub mod status;
pub mod steps;
pub mod timing;
pub mod trigger;
pub mod walk;
pub mod why;

#[cfg(test)]
pub(crate) mod testing;

pub use asked::{ApplyOrder, ApplyRefused, Carried, StepEnd};
pub use bookkeeping::record_in_place;
pub use handle::{Handle, HandleError};
pub use run::{Config, Daemon, DaemonError};
