//! Conducts one run of a schedule: the timeline on a real-time thread, the calls to task servers beside it.
//!
//! Comes in: a schedule, and how the machine is to be used. Goes out: what happened, as it happens and as a whole. Every
//! choice is the timeline's ([`crate::schedule::Timeline`]); here its effects are carried out and its inputs collected.
//!
//! ```text
//!  timekeeper (real-time thread)   ── effects ─▶  caller (its own runtime)  ── gRPC ─▶ task servers
//!   sleeps until the next instant  ◀── inputs ──   keeps connections warm   ◀── end notices
//! ```

mod caller;
mod conduct;
mod details;
mod exchange;
mod flights;
mod local;
mod parameters;
mod shared;
mod timekeeper;

pub use conduct::{Conducted, Hand, RunError, Settings, conduct, new_id};
pub use details::Detail;
pub use exchange::Exchange;
pub use timekeeper::Moment;
