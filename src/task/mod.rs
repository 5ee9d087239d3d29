//! The task runner: serves the task protocol, and runs functions and programs on request.
//!
//! In: calls of an orchestrator (`wire`), a [`Registry`] of what can be run, and [`RunnerSettings`]. Out: the tasks, run on
//! real-time threads that are ready before (`rt`), and what came of them: states, events, notices of the end.
//!
//! Must not: decide when something runs, use a shell, make threads or lock memory when a start comes, stop serving
//! because a task stopped, or report the end of a task while it still runs.
//!
//! Three parts: the [`Runner`] serves; the task table keeps the state of every task; each worker runs one task at a time.

mod builtin;
mod cancel;
mod child;
mod clock;
mod command;
mod context;
mod entry;
mod error;
mod exit;
mod figures;
mod handle;
mod journal;
mod notices;
mod pool;
mod registry;
mod runner;
mod server_priority;
mod settings;
mod table;
mod usage;
mod worker;

pub use cancel::Cancellation;
pub use command::{CommandLine, RUN_VARIABLE};
pub use context::TaskContext;
pub use error::TaskError;
pub use registry::{Function, Registry, TaskHandler};
pub use runner::{Bound, Runner, RunnerError};
pub use settings::RunnerSettings;

#[cfg(test)]
mod tests;
