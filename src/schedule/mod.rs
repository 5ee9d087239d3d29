//! When: the timed orchestrator's decisions, and the pictures that are drawn of them. Pure, like every stage.
//!
//! Comes in: a committed [`Schedule`](crate::model::Schedule), the time, and what task servers reported. Goes out: what to
//! do next, as data. Nothing here asks for the time, waits, or speaks to anybody.

mod addresses;
pub mod agenda;
mod chart;
pub mod feasibility;
mod form;
pub mod gantt;
pub mod preview;
mod record;
mod simulate;
mod timeline;
mod units;
mod words;

pub use addresses::{Addresses, NotPlaced, Placed, addresses};
pub use chart::{chart, expected};
pub use form::form;
pub use record::{Record, Row, Try};
pub use simulate::{Course, simulate};
pub use timeline::{
    Attempt, Cause, Effect, End, Input, Lane, RunVerdict, Seen, SkipCause, TaskIndex, Timeline, Verdict,
};
pub use units::short as short_time;
