//! One thing that cannot hold, and how it is told.

use crate::model::{Location, TaskId};
use crate::schedule::units::exact;
use std::fmt;
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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = (self.name(0), self.name(1));
        match &self.kind {
            FindingKind::DeadlineBeforeDue { due, deadline } => {
                write!(f, "`{one}` is due {} after the start of the run, but its deadline is ", exact(*due))?;
                write!(f, "{} after it", exact(*deadline))
            }
            FindingKind::DeadlineBeforeEstimate { estimate, available } => {
                write!(f, "`{one}` is expected to run {}, ", exact(*estimate))?;
                write!(f, "but has {} until its deadline", exact(*available))
            }
            FindingKind::Chain { path, end, deadline } => {
                let path: Vec<String> = path.iter().map(|task| format!("`{task}`")).collect();
                write!(f, "`{one}` ends {} after the start of the run at the earliest, ", exact(*end))?;
                write!(f, "but its deadline is {} after it (the longest chain is ", exact(*deadline))?;
                write!(f, "{})", path.join(" → "))
            }
            FindingKind::EstimateExceedsPeriod { estimate, period } => {
                write!(f, "`{one}` is expected to run {}, but is due again every ", exact(*estimate))?;
                write!(f, "{}: it falls behind more each time", exact(*period))
            }
            FindingKind::AddressOverlap { address, count, late, first } => {
                let most = if *count > 1 { "up to " } else { "" };
                write!(
                    f,
                    "`{one}` starts {most}{} late at {address}, where `{other}` is still running: ",
                    exact(*late)
                )?;
                match count {
                    1 => write!(f, "at {}", exact(*first)),
                    _ => write!(f, "{count} times, first at {}", exact(*first)),
                }
            }
            FindingKind::MoreOverlaps { address, pairs } => {
                let late = if self.tasks.len() == 1 { "starts" } else { "start" };
                write!(f, "{} also {late} late at {address}, less than those told above ", self.names())?;
                write!(f, "({pairs} more {})", if *pairs == 1 { "pair" } else { "pairs" })
            }
            FindingKind::CpuAbsent { cpu, cpus: 1 } => {
                write!(f, "`{one}` is bound to CPU {cpu}, but the machine has only CPU 0")
            }
            FindingKind::CpuAbsent { cpu, cpus } => {
                let last = cpus.saturating_sub(1);
                write!(f, "`{one}` is bound to CPU {cpu}, but the machine has only CPUs 0 to {last}")
            }
            FindingKind::CpuOverload { cpu, load } => {
                write!(f, "CPU {cpu} is asked for {} of its time by {}", percent(*load), self.names())
            }
            FindingKind::MachineOverload { cpus, load } => {
                let all = if *cpus == 1 {
                    "the one CPU of this machine is".to_owned()
                } else {
                    format!("the {cpus} CPUs of this machine are")
                };
                write!(f, "{all} asked for {} of the time of one by {}", percent(*load), self.names())
            }
            FindingKind::CpuDemand { cpu, from, to, work } => {
                write!(f, "CPU {cpu} has {} of work to do between {} ", exact(*work), exact(*from))?;
                let share = work.as_secs_f64() / to.saturating_sub(*from).as_secs_f64();
                write!(f, "and {} ({}): {}", exact(*to), percent(share), self.names())
            }
            FindingKind::ResponseTime { cpu, response, at_least, limit, deadline } => {
                let least = if *at_least { "at least " } else { "" };
                write!(f, "`{one}` ends {least}{} after its due time in the worst case, but ", exact(*response))?;
                match deadline {
                    true => write!(f, "has {} until its deadline", exact(*limit))?,
                    false => write!(f, "it is due again after {}", exact(*limit))?,
                }
                match self.others() {
                    others if others.is_empty() => Ok(()),
                    others => write!(f, " (on CPU {cpu} it waits for {others})"),
                }
            }
            FindingKind::DeadlineBandwidth { cpu, load, limit } => {
                let place = cpu.map_or_else(|| "all CPUs".to_owned(), |cpu| format!("CPU {cpu}"));
                write!(f, "{} together reserve {} of {place} ", self.names(), percent(*load))?;
                write!(f, "with policy `deadline`, but the kernel admits {}", percent(*limit))
            }
            FindingKind::Undecided { cpu } => {
                write!(f, "too much happens on CPU {cpu} to find the worst-case response time of {}", self.names())
            }
            FindingKind::Incomplete { occurrences } => {
                write!(f, "only the first {occurrences} occurrences of {} were looked at", self.names())
            }
        }
    }
}

impl Finding {
    /// What can be done about it: one sentence with numbers where there are any.
    pub fn remedy(&self) -> String {
        let one = self.name(0);
        match &self.kind {
            FindingKind::DeadlineBeforeDue { due, .. } => {
                format!("Set the deadline later than {}, or count it from `release`.", exact(*due))
            }
            FindingKind::DeadlineBeforeEstimate { estimate, .. } => {
                format!("Give it at least {}, or correct its estimate.", exact(*estimate))
            }
            FindingKind::Chain { end, .. } => {
                format!("Set the deadline to {} or later, or let fewer tasks of the chain wait.", exact(*end))
            }
            FindingKind::EstimateExceedsPeriod { estimate, .. } => {
                format!("Set the period to {} or longer, or correct the estimate.", exact(*estimate))
            }
            FindingKind::AddressOverlap { late, .. } => {
                format!(
                    "Start `{one}` {} later, run it at another task server, or let this one run several at once.",
                    exact(*late)
                )
            }
            FindingKind::MoreOverlaps { .. } => "Spread the tasks over time or over more task servers.".to_owned(),
            FindingKind::CpuAbsent { .. } => "Bind it to a CPU of the machine, or to none.".to_owned(),
            FindingKind::CpuOverload { .. } => {
                "Move some of them to another CPU, or lengthen their periods.".to_owned()
            }
            FindingKind::MachineOverload { .. } => {
                "Lengthen their periods, or run some of them on another machine.".to_owned()
            }
            FindingKind::CpuDemand { work, from, to, .. } => {
                let over = work.saturating_sub(to.saturating_sub(*from));
                format!(
                    "Move {} of that work elsewhere in time or to another CPU, or set deadlines later.",
                    exact(over)
                )
            }
            FindingKind::ResponseTime { .. } => {
                format!("Raise the priority of `{one}`, move it to another CPU, or give it more time.")
            }
            FindingKind::DeadlineBandwidth { .. } => {
                "Reserve less `runtime`, lengthen the `period`, or spread them over more CPUs.".to_owned()
            }
            FindingKind::Undecided { .. } => "Use fewer tasks or periods that are closer to each other.".to_owned(),
            FindingKind::Incomplete { .. } => "Split the schedule if the rest has to be looked at as well.".to_owned(),
        }
    }

    fn name(&self, index: usize) -> &str {
        self.tasks.get(index).map_or("", TaskId::as_str)
    }

    fn names(&self) -> String {
        list(&self.tasks)
    }

    fn others(&self) -> String {
        list(self.tasks.get(1..).unwrap_or_default())
    }
}

/// So many names are told in a sentence; `tasks` has them all.
const MAX_NAMES: usize = 6;

fn list(tasks: &[TaskId]) -> String {
    let mut names: Vec<String> = tasks.iter().take(MAX_NAMES).map(|task| format!("`{task}`")).collect();
    if tasks.len() > MAX_NAMES {
        names.push(format!("{} more", tasks.len() - MAX_NAMES));
    }
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// One decimal, and never `100 %` for what is more.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if share > 1.0 && text == "100" { "just over 100 %".to_owned() } else { format!("{text} %") }
}
