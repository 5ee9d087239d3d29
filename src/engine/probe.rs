//! The result of a health check that Setpoint makes itself.

/// What one check found. The texts say in one line what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// It is healthy; with the way of the check, unless that was the container's own address.
    Good(Option<String>),
    /// It answered that it is not healthy.
    Bad(String),
    /// It did not answer: it may still be starting.
    Silent(String),
    /// It cannot be reached from here, so its health is unknown.
    Unreachable(String),
}
