//! The scheduling policy, CPU and timer slack of the calling thread.
//!
//! Source of the rules: `sched(7)`, `sched_setattr(2)`. The call takes one form for all policies and gives its error in
//! `errno`; the range of priorities does not apply to `SCHED_DEADLINE`, which has none.

use super::refusal::{Facts, NotApplied, cpu_refused, members, policy_refused, slack_refused};
use crate::model::{RealTime, RtPolicy};
use rustix::io::Errno;
use rustix::process::{Pid, getpriority_process};
use rustix::thread::{
    CpuSet, current_timer_slack, gettid, sched_getaffinity, sched_setaffinity, set_current_timer_slack,
};
use std::num::NonZeroU64;
use std::time::Duration;

const SCHED_OTHER: u32 = libc::SCHED_OTHER.cast_unsigned();
const SCHED_FIFO: u32 = libc::SCHED_FIFO.cast_unsigned();
const SCHED_RR: u32 = libc::SCHED_RR.cast_unsigned();
const SCHED_DEADLINE: u32 = libc::SCHED_DEADLINE.cast_unsigned();
const RESET_ON_FORK: u64 = libc::SCHED_FLAG_RESET_ON_FORK as u64;

/// What was asked for a thread, and which of it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a refused policy is not an error by itself: check whether it was applied"]
pub struct Applied {
    /// What was asked for.
    pub asked: RealTime,
    /// Whether the policy is in force.
    pub policy: Result<(), NotApplied>,
    /// Whether the thread is bound to its CPU; `Ok` when none was asked for.
    pub cpu: Result<(), NotApplied>,
    /// Whether the kernel may delay the thread's timers by at most a nanosecond.
    pub slack: Result<(), NotApplied>,
}

impl Applied {
    /// What was refused; nothing when all is in force.
    pub fn refusals(&self) -> impl Iterator<Item = &NotApplied> {
        [&self.policy, &self.cpu, &self.slack].into_iter().filter_map(|result| result.as_ref().err())
    }
}

/// What is in force for a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its policy; [`RtPolicy::Other`] stands for all that are not real-time.
    pub policy: RtPolicy,
    /// The CPUs that it may use, in rising order.
    pub cpus: Vec<u32>,
    /// How much the kernel may delay its timers.
    pub slack: Duration,
}

/// Applies settings to the calling thread, each as far as the kernel lets it. Children of a real-time thread do not
/// inherit its policy, so that a program started from it cannot take the CPU.
pub fn apply(asked: RealTime) -> Applied {
    // Before the policy: on older kernels a futex wait keeps the thread's slack, 50 µs by default, even when it is
    // real-time.
    let slack = set_current_timer_slack(Some(NonZeroU64::MIN)).map_err(slack_refused);
    let (policy, cpu) = apply_to(None, asked);
    Applied { asked, policy, cpu, slack }
}

/// A thread of this process, whose settings another thread can change: that one can run when this one cannot, because its
/// CPU is kept by a higher priority.
#[derive(Clone, Debug)]
pub struct Thread {
    id: Pid,
    /// The CPUs that it may use when no setting narrows them.
    whole: Option<CpuSet>,
}

impl Thread {
    /// The calling thread.
    pub fn current() -> Self {
        Self { id: gettid(), whole: sched_getaffinity(None).ok() }
    }

    /// Its number.
    pub fn id(&self) -> i32 {
        self.id.as_raw_pid()
    }

    /// Applies settings to it from another thread, each as far as the kernel lets it; an earlier CPU is lifted. Its timer
    /// slack can only be set by the thread itself ([`apply`]).
    pub fn apply(&self, asked: RealTime) -> Applied {
        if let Some(whole) = &self.whole {
            // What was allowed once is allowed. Before the policy, as a bound thread is refused SCHED_DEADLINE.
            let _ = sched_setaffinity(Some(self.id), whole);
        }
        let (policy, cpu) = apply_to(Some(self.id), asked);
        Applied { asked, policy, cpu, slack: Ok(()) }
    }
}

/// The policy, then the CPU. Bound first, a thread that is not real-time yet could come to a CPU on which something of a
/// lower priority than its own computes, and would have to wait for that; and as long as its policy is SCHED_DEADLINE it
/// cannot be bound at all.
fn apply_to(thread: Option<Pid>, asked: RealTime) -> (Result<(), NotApplied>, Result<(), NotApplied>) {
    let policy =
        set_policy(thread, asked.policy).map_err(|errno| policy_refused(asked.policy, errno, &Facts::read(thread)));
    let cpu = match asked.cpu {
        Some(cpu) => bind(thread, cpu).map_err(|errno| cpu_refused(cpu, asked.policy, errno, &Facts::read(thread))),
        None => Ok(()),
    };
    (policy, cpu)
}

/// Reads back what is in force for the calling thread.
///
/// # Errors
/// What the kernel answers, when it does not say.
pub fn current() -> Result<InForce, Errno> {
    let attributes = attributes(None)?;
    let priority = u8::try_from(attributes.sched_priority).unwrap_or(u8::MAX);
    let policy = match attributes.sched_policy {
        SCHED_FIFO => RtPolicy::Fifo { priority },
        SCHED_RR => RtPolicy::RoundRobin { priority },
        SCHED_DEADLINE => RtPolicy::Deadline {
            runtime: Duration::from_nanos(attributes.sched_runtime),
            deadline: Duration::from_nanos(attributes.sched_deadline),
            period: Duration::from_nanos(attributes.sched_period),
        },
        _ => RtPolicy::Other,
    };
    let slack = Duration::from_nanos(current_timer_slack()?);
    Ok(InForce { policy, cpus: members(&sched_getaffinity(None)?), slack })
}

fn bind(thread: Option<Pid>, cpu: u32) -> Result<(), Errno> {
    let cpu = usize::try_from(cpu).ok().filter(|cpu| *cpu < CpuSet::MAX_CPU).ok_or(Errno::INVAL)?;
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(thread, &set)
}

fn set_policy(thread: Option<Pid>, policy: RtPolicy) -> Result<(), Errno> {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).map_err(|_| Errno::INVAL);
    let mut wanted = blank();
    wanted.sched_flags = RESET_ON_FORK;
    match policy {
        RtPolicy::Other => {
            let now = attributes(thread)?;
            if ![SCHED_FIFO, SCHED_RR, SCHED_DEADLINE].contains(&now.sched_policy) {
                return Ok(());
            }
            // Kept as they are: to take either back needs a right that was not needed so far.
            wanted.sched_nice = getpriority_process(thread)?;
            wanted.sched_flags = now.sched_flags & RESET_ON_FORK;
            wanted.sched_policy = SCHED_OTHER;
        }
        RtPolicy::Fifo { priority } => {
            wanted.sched_policy = SCHED_FIFO;
            wanted.sched_priority = u32::from(priority);
        }
        RtPolicy::RoundRobin { priority } => {
            wanted.sched_policy = SCHED_RR;
            wanted.sched_priority = u32::from(priority);
        }
        RtPolicy::Deadline { runtime, deadline, period } => {
            wanted.sched_policy = SCHED_DEADLINE;
            wanted.sched_runtime = nanos(runtime)?;
            wanted.sched_deadline = nanos(deadline)?;
            wanted.sched_period = nanos(period)?;
        }
    }
    set_attributes(thread, &wanted)
}

fn blank() -> libc::sched_attr {
    libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: SCHED_OTHER,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    }
}

#[expect(unsafe_code, reason = "no library of ours wraps sched_setattr")]
fn set_attributes(thread: Option<Pid>, attributes: &libc::sched_attr) -> Result<(), Errno> {
    let thread = Pid::as_raw(thread);
    // SAFETY: the pointer is to a live `sched_attr` whose `size` is its size; thread 0 is the calling one.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, thread, std::ptr::from_ref(attributes), 0) };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

#[expect(unsafe_code, reason = "no library of ours wraps sched_getattr")]
fn attributes(thread: Option<Pid>) -> Result<libc::sched_attr, Errno> {
    let thread = Pid::as_raw(thread);
    let mut attributes = blank();
    // SAFETY: the kernel writes at most `size` bytes to a live, writable `sched_attr` of that size.
    let answer = unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &raw mut attributes, attributes.size, 0) };
    if answer == 0 { Ok(attributes) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
