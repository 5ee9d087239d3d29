//! What a commit changes in the committed timelines, and when they start next.
//!
//! In: the schedules before and after it, and the time. Out: a [`Preview`], which [`text`] and [`markdown`] lay out for
//! people. Its JSON form is `api::dto::Preview`. Must not: judge what can be held itself, look at a machine, or start anything.

mod change;
mod compare;
mod escape;
mod fields;
mod markdown;
mod parameters;
#[cfg(test)]
mod property_tests;
mod rows;
mod starts;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub use change::{ChangeKind, Finding, Preview, ScheduleChange, TaskChange};
pub use compare::{Side, preview};
pub use escape::cell;
pub use fields::FieldChange;
pub use markdown::markdown;
pub use starts::{StartTime, Starts, upcoming};
pub use text::text;
