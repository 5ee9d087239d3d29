//! The state of every task: calls come in, workers report, and each is answered here.
//!
//! One thread has it, and it never waits for a worker: what takes time is a report or an instant.

mod calls;
mod progress;
mod starts;
mod state;
mod stops;

pub(super) use state::TaskTable;
