//! The conductors: keep a host as a repo wants it. Plans are carried out by [`crate::apply`].
//!
//! In: a repo, an engine, a state folder ([`Config`]). Out: a host that follows the repo, and a [`Handle`] for the API.
//! [`Daemon::run`] starts four tasks: one follows the repo, one the engine's events, one probes, and one reconciles: it
//! alone decides and changes anything, one round at a time. They speak through `watch` values and coalescing hints, so
//! nothing queues up when things go wrong.
//!
//! No choice is made here that belongs to the plan, and nothing here knows SQL, git or the engine's wire.

mod asked;
mod commits;
pub mod follow;
mod handle;
mod logs;
mod look;
mod reconcile;
mod run;
pub mod settings;
mod show;
pub mod status;
pub mod timing;
pub mod trigger;
mod unusable;
pub mod why;

#[cfg(test)]
pub(crate) mod testing;

pub use asked::{ApplyOrder, ApplyRefused, Carried, StepEnd};
pub use handle::{Handle, HandleError};
pub use logs::{Logs, LogsOf, logs};
pub use run::{Config, Daemon, DaemonError};
pub use settings::{Overrides, SettingsError};
