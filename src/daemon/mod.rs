//! daemon
pub mod walk;
#[cfg(test)]
mod testing;
