//! daemon
pub mod apply;
mod bookkeeping;
pub mod follow;
pub mod load;
pub mod observe;
pub mod pace;
pub mod probes;
pub mod steps;
pub mod trigger;
pub mod walk;
#[cfg(test)]
mod testing;
