//! What the kernel's limit on real-time threads means for a run.

use crate::model::{RealTime, RtPolicy, Schedule, Target};
use crate::rt;
use crate::schedule::short_time;
use std::time::Duration;

/// A timekeeper that had no CPU for this long during a run was throttled, or had to wait for another thread.
const LONG: Duration = Duration::from_millis(10);

/// That real-time threads of this run can be stopped for having used their share of the CPU.
pub(super) fn ahead(schedule: &Schedule, keeper: RealTime) -> Option<String> {
    let here = schedule.tasks.iter().filter(|task| matches!(task.target, Target::Command(_)));
    let mut policies = here.map(|task| task.real_time.policy).chain([keeper.policy]);
    let is_real_time = policies.any(|policy| matches!(policy, RtPolicy::Fifo { .. } | RtPolicy::RoundRobin { .. }));
    let throttling = is_real_time.then(rt::throttling)?.ok().filter(rt::Throttling::is_on)?;
    Some(format!("{throttling} on this machine (kernel.sched_rt_runtime_us): one that computes for longer has to wait"))
}

/// That the timekeeper had to wait for a CPU although it is real-time.
pub(super) fn after(keeper: RealTime, waited: Duration) -> Option<String> {
    let text = || {
        format!(
            "the thread that keeps the time had no CPU for {} in all: real-time threads were throttled, or something of a \
             higher priority ran",
            short_time(waited)
        )
    };
    (keeper.policy != RtPolicy::Other && waited >= LONG).then(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_time_thread_that_waited_long_is_remarked() {
        let keeper = |policy| RealTime { policy, cpu: None };
        let fifo = keeper(RtPolicy::Fifo { priority: 80 });
        assert_eq!(after(fifo, Duration::from_millis(1)), None);
        assert!(after(fifo, Duration::from_millis(50)).is_some_and(|text| text.contains("50 ms")));
        assert_eq!(after(keeper(RtPolicy::Other), Duration::from_secs(1)), None);
    }
}
