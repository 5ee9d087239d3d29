//! Real-time threads on Linux.
//!
//! In: what a task or the orchestrator asks for (`model::RealTime`), sizes, monotonic instants. Out: threads that run
//! under what was asked, a report of what the kernel refused and what would make it possible ([`NotApplied`]), queues
//! between threads of different priorities, wake-ups at absolute instants, histograms of how late they were.
//!
//! Must not: decide what runs when, log, ask for the wall clock, run on an async runtime, or take a refusal for
//! success. Whether a refusal ends a run is the caller's choice (`Schedule::strict`).
//!
//! The order for a process: [`lock_memory`] and [`DmaLatency::hold`] once, then [`Prepared::new`] for each thread.

mod alarm;
mod clock;
mod lateness;
mod memory;
mod policy;
mod queue;
mod refusal;
mod thread;
mod throttling;
mod wakeup;

pub use alarm::{Alarm, Wake, Waker, alarm};
pub use clock::{Anchor, Monotonic};
pub use lateness::{DecodeError, Lateness};
pub use memory::{lock_memory, locked_bytes, prefault_stack};
pub use policy::{Applied, InForce, Thread, apply, current};
pub use queue::{NotSent, Receiver, Sender, queue, queue_of_one};
pub use refusal::NotApplied;
pub use thread::{DEFAULT_STACK, Prepared, Running, ThreadError, ThreadSettings, launch};
pub use throttling::{RtGroup, Throttling, throttling, waited};
pub use wakeup::DmaLatency;
