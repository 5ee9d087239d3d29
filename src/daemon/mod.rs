//! daemon
pub mod apply;
mod bookkeeping;
pub mod follow;
pub mod load;
pub mod observe;
pub mod pace;
pub mod probes;
pub mod reconcile;
pub mod status;
pub mod steps;
#[cfg(test)]
mod testing;
pub mod trigger;
pub mod walk;
pub mod why;
