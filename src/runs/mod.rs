//! Conducts one run of a schedule: the timeline on a real-time thread, the calls to task servers beside it.
//!
//! Comes in: a schedule, and how the machine is to be used. Goes out: what happened, as it happens and as a whole. The
//! timeline decides ([`crate::schedule::Timeline`]); here its effects are carried out and its inputs collected.
//!
//! ```text
//!  timekeeper (real-time thread)   ── effects ─▶  caller (its own runtime)  ── gRPC ─▶ task servers
//!   sleeps until the next instant  ◀── inputs ──   keeps connections warm   ◀── end notices
//! ```

mod caller;
mod calls;
mod calls_in_flight;
mod calls_thread;
mod conduct;
mod details;
mod error;
mod keep_warm;
mod lazy_notice_router;
mod local;
mod moments;
mod notice_matcher;
mod notice_router;
mod offset;
mod orders;
mod parameters;
mod prepare;
mod real_time_requests;
mod recorder;
mod records;
mod run_context;
mod run_handle;
#[cfg(test)]
mod simulation;
mod start_time;
mod starting;
mod starts;
mod stopping;
mod task_server;
mod throttled;
mod timekeeper;

pub use conduct::Conducted;
pub use details::Detail;
pub use error::RunError;
pub use lazy_notice_router::LazyNoticeRouter;
pub use moments::{Moment, MomentSender, Moments, Occurrence, moments};
pub use notice_router::NoticeRouter;
pub use prepare::{Ready, RunSettings, new_id, prepare};
pub use recorder::{Recorder, runs_kept};
pub use run_handle::RunHandle;
pub use start_time::Planned;
