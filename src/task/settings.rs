//! How a task runner is set up.

use crate::model::{RealTime, RtPolicy, TaskAddress};
use crate::wire::TlsFiles;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How a task runner is set up. [`RunnerSettings::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RunnerSettings {
    /// The kinds of work that are served, by their names in the registry; empty for all that are there.
    pub names: Vec<String>,
    /// Where it listens.
    pub address: TaskAddress,
    /// The orchestrator to which the end of each task is reported; `None`: to watchers only.
    pub orchestrator: Option<TaskAddress>,
    /// For addresses that begin with `tls://`.
    pub tls: Option<TlsFiles>,
    /// Policy and CPU of a task for which the request asks for none.
    pub real_time: RealTime,
    /// All memory of the process is locked before the first task.
    pub lock_memory: bool,
    /// A task whose policy, CPU or memory lock cannot be had is refused. Otherwise it runs without, and that is reported.
    pub strict: bool,
    /// How many tasks run at the same time.
    pub parallel: NonZeroUsize,
    /// How many starts may be armed at the same time, beyond the tasks that run.
    pub max_armed: usize,
    /// The longest that a task may run; then it is stopped, with the result «timeout».
    pub time_limit: Option<Duration>,
    /// Time between the request to stop and the forced end where no request says it: at the time limit and at the end
    /// of the runner.
    pub grace: Duration,
    /// The most bytes that a request may have.
    pub max_request: usize,
    /// The most bytes of output that a task may give; one that gives more has failed.
    pub max_output: usize,
    /// For how long the end of a task is reported again to an orchestrator that does not acknowledge it.
    pub patience: Duration,
    /// Size of the stack of a function, in bytes; all of it is touched beforehand.
    pub stack: usize,
}

impl RunnerSettings {
    /// One task at a time, for any kind of work in the registry, without real-time settings.
    pub fn new(address: TaskAddress) -> Self {
        Self {
            names: Vec::new(),
            address,
            orchestrator: None,
            tls: None,
            real_time: RealTime { policy: RtPolicy::Other, cpu: None },
            lock_memory: false,
            strict: false,
            parallel: NonZeroUsize::MIN,
            max_armed: 64,
            time_limit: None,
            grace: Duration::from_secs(5),
            max_request: 4 << 20,
            max_output: 1 << 20,
            patience: Duration::from_mins(1),
            stack: 1 << 20,
        }
    }

    /// What the thread that serves should have ([`crate::rt::apply`], before its runtime is made), so that a task which
    /// never waits cannot keep a request to stop it from being read: one priority above the runner's own, on any CPU.
    /// Nothing above `SCHED_DEADLINE` is needed, since the kernel ends each of its turns.
    pub fn serving(&self) -> RealTime {
        let above = |priority: u8| priority.saturating_add(1).min(99);
        let policy = match self.real_time.policy {
            RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => {
                RtPolicy::Fifo { priority: above(priority) }
            }
            RtPolicy::Other | RtPolicy::Deadline { .. } => RtPolicy::Other,
        };
        RealTime { policy, cpu: None }
    }

    /// What is in force for a task: what the request asks for, and for what it does not the runner's own.
    pub(super) fn real_time_of(&self, asked: RealTime) -> RealTime {
        let policy = if asked.policy == RtPolicy::Other { self.real_time.policy } else { asked.policy };
        RealTime { policy, cpu: asked.cpu.or(self.real_time.cpu) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIFO: RtPolicy = RtPolicy::Fifo { priority: 80 };
    const RR: RtPolicy = RtPolicy::RoundRobin { priority: 7 };

    #[test]
    fn the_server_can_always_interrupt_a_task() {
        let mut settings = RunnerSettings::new(TaskAddress::Tcp(String::new(), 0));
        let mut serving = |policy| {
            settings.real_time = RealTime { policy, cpu: Some(1) };
            settings.serving()
        };
        let any = |policy| RealTime { policy, cpu: None };
        assert_eq!(serving(FIFO), any(RtPolicy::Fifo { priority: 81 }));
        assert_eq!(serving(RR), any(RtPolicy::Fifo { priority: 8 }));
        assert_eq!(serving(RtPolicy::Fifo { priority: 99 }), any(RtPolicy::Fifo { priority: 99 }));
        assert_eq!(serving(RtPolicy::Other), any(RtPolicy::Other));
    }

    #[test]
    fn the_request_goes_before_the_flags_and_none_keeps_them() {
        let mut settings = RunnerSettings::new(TaskAddress::Tcp(String::new(), 0));
        let merged = |settings: &RunnerSettings, policy, cpu| {
            let RealTime { policy, cpu } = settings.real_time_of(RealTime { policy, cpu });
            (policy, cpu)
        };
        // A CPU counts although no policy comes with it.
        assert_eq!(merged(&settings, RtPolicy::Other, Some(1)), (RtPolicy::Other, Some(1)));
        settings.real_time = RealTime { policy: FIFO, cpu: Some(0) };
        assert_eq!(merged(&settings, RtPolicy::Other, None), (FIFO, Some(0)));
        assert_eq!(merged(&settings, RtPolicy::Other, Some(1)), (FIFO, Some(1)));
        assert_eq!(merged(&settings, RR, None), (RR, Some(0)));
    }
}
