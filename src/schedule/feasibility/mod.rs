//! What a committed schedule cannot hold, found before it runs.
//!
//! In: a schedule with its estimates. Out: findings, check by check, each in file order. Judged is the *expected
//! run*, in which every task that starts succeeds and takes its estimate, and a CPU is busy for the whole of it. A
//! task without estimate is left out of load and overlap: nothing is known of it. Must not: look at a machine, decide
//! what is a mistake, or take unbounded time.

mod address;
mod bounds;
mod cpu;
mod deadline;
mod demand;
mod expected;
mod finding;
#[cfg(test)]
mod property_tests;
mod response;
mod sentence;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod textbook_tests;

pub use bounds::{MAX_OCCURRENCES, MAX_OCCURRENCES_IN_ALL, MAX_PAIRS};
pub use finding::{Finding, FindingKind, Proof};

use crate::model::{FeasibilityPolicy, Schedule};
use expected::ExpectedRun;
use std::collections::BTreeSet;

/// Everything that cannot hold, with the number of CPUs of the machine when that is known. Empty when the schedule
/// says that it is not to be looked at.
pub fn feasibility(schedule: &Schedule, cpus: Option<u32>) -> Vec<Finding> {
    if schedule.feasibility == FeasibilityPolicy::Off {
        return Vec::new();
    }
    let run = ExpectedRun::new(&schedule.tasks);
    let mut cut = BTreeSet::new();
    // Deadlines first: a task that cannot hold its own is not blamed on the others that share its CPU.
    let (mut findings, judged) = deadline::check(&run);
    findings.extend(address::check(&run, &mut cut));
    findings.extend(cpu::check(&run, cpus));
    findings.extend(response::check(&run));
    findings.extend(demand::check(&run, &judged, &mut cut));
    findings.extend(run.finding(FindingKind::Incomplete { occurrences: run.limit() }, cut));
    findings
}

/// What makes a revision one that is refused: certain findings of schedules whose policy says that they are mistakes.
/// The machine is left out of it, so that every machine says the same.
pub fn refusals<'s>(schedules: impl IntoIterator<Item = &'s Schedule>) -> Vec<Finding> {
    let strict = schedules.into_iter().filter(|schedule| schedule.feasibility == FeasibilityPolicy::Error);
    let certain = |finding: &Finding| finding.kind.proof() == Proof::Certain;
    strict.flat_map(|schedule| feasibility(schedule, None)).filter(certain).collect()
}

/// A finding as people read it: place, sentence, remedy.
pub fn line(finding: &Finding) -> String {
    format!("{}: {finding}. {}", finding.at, finding.remedy())
}
