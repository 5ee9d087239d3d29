//! One thing that cannot hold.

use crate::model::{Location, TaskId};
use std::time::Duration;

/// One thing that a schedule cannot hold. Displayed as one sentence; whether it is a mistake is the schedule's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What, with its numbers.
    pub kind: FindingKind,
    /// The tasks concerned, the one to look at first first; never empty.
    pub tasks: Vec<TaskId>,
    /// Where the first of them is written.
    pub at: Location,
}

/// What cannot hold. Times within a run count from its start.
#[derive(Clone, Debug, PartialEq)]
pub enum FindingKind {
    /// The deadline, counted from the run's start, has passed when the (last) occurrence is due.
    DeadlineBeforeDue {
        /// Due time of the last occurrence.
        due: Duration,
        /// The deadline after the run's start.
        deadline: Duration,
    },
    /// The task is expected to run longer than from its due time to its deadline.
    DeadlineBeforeEstimate {
        /// Expected duration.
        estimate: Duration,
        /// Time between release and deadline.
        available: Duration,
    },
    /// What the task needs ends too late for its deadline. `tasks` holds the task, then `path` holds the chain.
    Chain {
        /// The chain that takes longest, first task first, the late one last.
        path: Vec<TaskId>,
        /// The earliest expected end after the run's start.
        end: Duration,
        /// The deadline after the run's start.
        deadline: Duration,
    },
    /// A periodic task is expected to run longer than its period.
    EstimateExceedsPeriod {
        /// Expected duration.
        estimate: Duration,
        /// Time between two due times.
        period: Duration,
    },
    /// The first of `tasks` starts late, for the second still runs at the same task server, if that runs one at a time.
    AddressOverlap {
        /// The task server.
        address: String,
        /// How often the one starts late behind the other.
        count: u64,
        /// The longest time by which it starts late.
        late: Duration,
        /// Release of the first occurrence that starts late.
        first: Duration,
    },
    /// Further tasks start late at a task server, less so than those told one by one. `tasks` are the late ones.
    MoreOverlaps {
        /// The task server.
        address: String,
        /// How many pairs of a late task and the one before it.
        pairs: usize,
    },
    /// A task is bound to a CPU that the machine does not have.
    CpuAbsent {
        /// The CPU asked for, counted from 0.
        cpu: u32,
        /// How many the machine has.
        cpus: u32,
    },
    /// The periodic tasks on one CPU want more of it than there is.
    CpuOverload {
        /// The CPU.
        cpu: u32,
        /// Estimate over period, summed over the tasks that are active at the busiest time; 1 is a full CPU.
        load: f64,
    },
    /// The periodic real-time tasks of this machine want more than all of its CPUs.
    MachineOverload {
        /// How many CPUs it has.
        cpus: u32,
        /// Estimate over period, summed over the tasks that are active at the busiest time; 1 is one full CPU.
        load: f64,
    },
    /// Work with deadlines on one CPU does not fit into a window of time, in whatever order it runs.
    CpuDemand {
        /// The CPU.
        cpu: u32,
        /// Start of the window.
        from: Duration,
        /// End of the window.
        to: Duration,
        /// Work that is released and due within it.
        work: Duration,
    },
    /// In the worst case a periodic fixed-priority task ends beyond its deadline, or its period when it has none.
    /// `tasks` holds the task, then those it waits for.
    ResponseTime {
        /// The CPU.
        cpu: u32,
        /// From its release to its end, when it comes due together with all that go before it.
        response: Duration,
        /// The response time may be longer: the analysis was stopped by its bound.
        at_least: bool,
        /// What it should stay within.
        limit: Duration,
        /// The limit is a deadline, not just the period.
        deadline: bool,
    },
    /// The kernel refuses `SCHED_DEADLINE` threads beyond 95 % of the CPU time.
    DeadlineBandwidth {
        /// The CPU that they are bound to; `None` for those of all CPUs.
        cpu: Option<u32>,
        /// Runtime over period, summed; 1 is a full CPU.
        load: f64,
        /// The most that the kernel admits.
        limit: f64,
    },
    /// Worst-case response times were not found within the bound of the analysis.
    Undecided {
        /// The CPU.
        cpu: u32,
    },
    /// Not everything was looked at; the other findings hold all the same.
    Incomplete {
        /// So many occurrences of each task were looked at.
        occurrences: u32,
    },
}

/// What a finding proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It cannot hold when the estimates are right.
    Certain,
    /// It does not hold in the worst case, when due times meet; the written due times may avoid that.
    WorstCase,
    /// It does not hold at a task server that runs one task at a time. What a server takes at once is known when it is asked.
    OneAtATime,
    /// Nothing: it says what was not looked at.
    None,
}

impl FindingKind {
    /// What it proves.
    pub fn proof(&self) -> Proof {
        match self {
            Self::ResponseTime { .. } => Proof::WorstCase,
            Self::AddressOverlap { .. } | Self::MoreOverlaps { .. } => Proof::OneAtATime,
            Self::Undecided { .. } | Self::Incomplete { .. } => Proof::None,
            _ => Proof::Certain,
        }
    }
}
