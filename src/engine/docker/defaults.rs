//! The engine's own defaults, for settings that nobody gave.

/// Bound on the first answer to a call, in seconds; calls that may take longer bring their own.
pub(super) const TIMEOUT: u64 = 120;

/// What the engine's own settings make of an absent value.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub log_driver: String,
    /// Whether the kernel counts swap; if not, the engine drops swap limits.
    pub swap_limit: bool,
    pub hostname: String,
    /// Whether the engine has a network of its own: it is rootless, or in the virtual machine of Docker Desktop.
    pub apart: bool,
}
