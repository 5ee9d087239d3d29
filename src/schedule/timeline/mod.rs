//! One run of a schedule as a state machine: `step(now, input)` says what to do.
//!
//! Time is counted from the start of the run on a clock that never jumps. Every wait has a bound, so a run ends whatever
//! is lost:
//!
//! ```text
//!            ┌────────────── retry ──── Pausing ◀──┐
//!            ▼                                     │ failed
//!  Waiting ─▶ Ready ─▶ Starting ─▶ Running ─▶ Vanished ─▶ settled
//!     └─ sent ahead ─▶ Armed ──────▲   └▶ Stopping ─▶ Killing ─▲
//!        ▲── Disarming ◀─┘ its server is busy
//! ```
//!
//! Sources of the rules: a task is never started before its due time; what it needs has ended as the file asks; a task
//! server runs as many at once as it says (one, for existing wrappers); nobody waits at a server that is idle; of two that may start the one with more priority
//! comes first, then the one that was due first, then the one that stands first in the file.

mod bounds;
mod dependants;
mod ending;
mod input;
mod lanes;
mod machine;
mod release;
mod signal;
mod state;
mod timers;

#[cfg(test)]
pub(in crate::schedule) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use lanes::Lane;
pub use machine::Timeline;
pub use signal::{Attempt, Cause, Effect, End, Input, RunVerdict, Seen, SkipCause, TaskIndex, Verdict};
