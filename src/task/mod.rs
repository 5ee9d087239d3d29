//! The task runner: serves the task protocol, and runs functions and programs when it is told to.
//!
//! In: calls of an orchestrator (`wire`), a [`Registry`] of what can be run, and [`Settings`]. Out: the work, run on
//! real-time threads that stand ready (`rt`), and what came of it: states, events, notices of the end.
//!
//! Must not: decide when something runs, use a shell, make threads or lock memory when a start comes, stop serving
//! because a task stopped, or say that a task is over while it still runs.
//!
//! Three parts: the [`Runner`] serves; the desk keeps the state of every task; each worker runs one of them at a time.

mod builtin;
mod cancel;
mod child;
mod clock;
mod command;
mod context;
mod desk;
mod entry;
mod figures;
mod handle;
mod journal;
mod notices;
mod pool;
mod rank;
mod registry;
mod runner;
mod settings;
mod usage;
mod worker;

pub use cancel::Cancellation;
pub use command::{CommandLine, RUN_VARIABLE};
pub use context::TaskContext;
pub use registry::{Function, Registry, TaskError, Work};
pub use runner::{Bound, Runner, RunnerError};
pub use settings::Settings;

#[cfg(test)]
mod tests;
