//! The endings of container names by which a replacement survives a crash: the names are the protocol.

/// The container that is being made ready to replace another.
pub const NEXT: &str = ".next";
/// The container that was set aside for its replacement.
pub const PREV: &str = ".prev";
/// A container that gives its name up before its own step.
pub const MOVING: &str = ".moving";

/// The ending of a name that a container must not have of its own.
pub fn reserved_suffix(name: &str) -> Option<&'static str> {
    [NEXT, PREV, MOVING].into_iter().find(|suffix| name.ends_with(suffix))
}
