//! Conducts one run of a schedule: the timeline on a real-time thread, the calls to task servers beside it.
//!
//! Comes in: a schedule, and how the machine is to be used. Goes out: what happened, as it happens and as a whole. Every
//! choice is the timeline's ([`crate::schedule::Timeline`]); here its effects are carried out and its inputs collected.
//!
//! ```text
//!  timekeeper (real-time thread)   ── effects ─▶  caller (its own runtime)  ── gRPC ─▶ task servers
//!   sleeps until the next instant  ◀── inputs ──   keeps connections warm   ◀── end notices
//! ```

mod begin;
mod caller;
mod calls;
mod calls_thread;
mod conduct;
mod details;
mod ends;
mod error;
mod exchange;
mod exchanges;
mod flights;
mod hand;
mod link;
mod local;
mod moments;
mod offset;
mod orders;
mod parameters;
mod recorder;
mod records;
mod shared;
#[cfg(test)]
mod simulation;
mod starting;
mod starts;
mod stopping;
mod throttled;
mod timekeeper;
mod warmth;
mod wishes;

pub use conduct::{Conducted, Planned, Ready, Settings, new_id, prepare};
pub use details::Detail;
pub use error::RunError;
pub use exchange::Exchange;
pub use exchanges::Exchanges;
pub use hand::Hand;
pub use moments::{Moment, Moments, Occurrence, Onlooker, moments};
pub use recorder::{Recorder, runs_kept};
