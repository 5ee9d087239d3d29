//! A finding in words: what cannot hold, and what can be done about it.

use super::finding::{Finding, FindingKind};
use crate::model::TaskId;
use crate::schedule::units::exact;
use std::fmt;
use std::time::Duration;

/// So many names stand in a sentence, which has to stay readable; `tasks` has them all.
const MAX_NAMES: usize = 6;

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
                write!(f, "`{one}` starts {most}{} late at {address}, ", exact(*late))?;
                write!(f, "where `{other}` is still running: {}", times(*count, *first))
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
                let (share, names) = (percent(*load), self.names());
                write!(f, "{} asked for {share} of the time of one by {names}", all_cpus(*cpus))
            }
            FindingKind::CpuDemand { cpu, from, to, work } => {
                write!(f, "CPU {cpu} has {} of work to do between {} ", exact(*work), exact(*from))?;
                let share = work.as_secs_f64() / to.saturating_sub(*from).as_secs_f64();
                write!(f, "and {} ({}): {}", exact(*to), percent(share), self.names())
            }
            FindingKind::ResponseTime { cpu, response, at_least, limit, deadline } => {
                let least = if *at_least { "at least " } else { "" };
                write!(f, "`{one}` ends {least}{} after its due time in the worst case, but ", exact(*response))?;
                write!(f, "{}{}", bound(*limit, *deadline), self.waits(*cpu))
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

    /// Whom the first task waits for.
    fn waits(&self, cpu: u32) -> String {
        match self.tasks.get(1..) {
            None | Some([]) => String::new(),
            Some(others) => format!(" (on CPU {cpu} it waits for {})", list(others)),
        }
    }
}

/// How often, and when first.
fn times(count: u64, first: Duration) -> String {
    match count {
        1 => format!("at {}", exact(first)),
        _ => format!("{count} times, first at {}", exact(first)),
    }
}

fn all_cpus(cpus: u32) -> String {
    match cpus {
        1 => "the one CPU of this machine is".to_owned(),
        _ => format!("the {cpus} CPUs of this machine are"),
    }
}

/// What a response time should stay within: a deadline, or the next due time.
fn bound(limit: Duration, deadline: bool) -> String {
    match deadline {
        true => format!("has {} until its deadline", exact(limit)),
        false => format!("it is due again after {}", exact(limit)),
    }
}

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
