//! daemon
pub mod apply;
mod bookkeeping;
pub mod observe;
pub mod pace;
pub mod walk;
#[cfg(test)]
mod testing;
