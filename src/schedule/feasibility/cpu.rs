//! What the tasks that are bound to one CPU ask of it over time.

use super::course::Course;
use super::{Finding, FindingKind};
use crate::model::RtPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Share of the CPU time that the kernel gives to real-time threads unless told otherwise
/// (`kernel.sched_rt_runtime_us` over `kernel.sched_rt_period_us`); its admission test for `SCHED_DEADLINE`.
const ADMITTED: f64 = 0.95;

/// Sums of fractions are not exact.
const TOLERANCE: f64 = 1e-9;

/// CPUs that do not exist or are asked for more than there is.
pub(super) fn check(course: &Course<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let mut findings = absent(course, cpus);
    findings.extend(overload(course));
    findings.extend(bandwidth(course, cpus));
    findings
}

fn absent(course: &Course<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let asked = course.entries().filter_map(|(number, entry)| Some((number, entry.task.real_time.cpu?, cpus?)));
    let absent = asked.filter(|(_, cpu, cpus)| cpu >= cpus);
    absent.filter_map(|(number, cpu, cpus)| course.finding(FindingKind::CpuAbsent { cpu, cpus }, [number])).collect()
}

/// Estimate over period, summed over the periodic tasks of a CPU that are active at once: from the first due time to
/// one period after the last.
fn overload(course: &Course<'_>) -> Vec<Finding> {
    // At one time ends (false) come before starts (true).
    let mut changes: BTreeMap<u32, BTreeSet<(Duration, bool, usize)>> = BTreeMap::new();
    let mut shares: BTreeMap<usize, f64> = BTreeMap::new();
    for (number, entry) in course.entries() {
        let (Some(cpu), Some((estimate, _)), Some(period)) = (entry.task.real_time.cpu, entry.timed(), entry.period())
        else {
            continue;
        };
        shares.insert(number, estimate.as_secs_f64() / period.as_secs_f64());
        let of_cpu = changes.entry(cpu).or_default();
        of_cpu.insert((entry.task.release.due(0).unwrap_or_default(), true, number));
        of_cpu.insert((entry.last_due().saturating_add(period), false, number));
    }
    let mut findings = Vec::new();
    for (cpu, changes) in changes {
        let (mut active, mut busiest) = (BTreeSet::new(), BTreeSet::new());
        let (mut load, mut peak) = (0.0_f64, 0.0_f64);
        for (_, starts, number) in changes {
            let share = shares.get(&number).copied().unwrap_or_default();
            if starts {
                active.insert(number);
                load += share;
            } else if active.remove(&number) {
                load -= share;
            }
            if load > peak + TOLERANCE {
                peak = load;
                busiest.clone_from(&active);
            }
        }
        if peak > 1.0 + TOLERANCE {
            findings.extend(course.finding(FindingKind::CpuOverload { cpu, load: peak }, busiest));
        }
    }
    findings
}

/// `SCHED_DEADLINE` reservations that the kernel would refuse. It admits 95 % of the CPUs that a thread may run on,
/// so for threads that are bound to none it is known only with the number of CPUs.
fn bandwidth(course: &Course<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let mut places: BTreeMap<Option<u32>, (f64, Vec<usize>)> = BTreeMap::new();
    for (number, entry) in course.entries() {
        let RtPolicy::Deadline { runtime, period, .. } = entry.task.real_time.policy else { continue };
        if period.is_zero() {
            continue;
        }
        let share = runtime.as_secs_f64() / period.as_secs_f64();
        let bound = entry.task.real_time.cpu.map(Some);
        for place in bound.into_iter().chain([None]) {
            let (load, tasks) = places.entry(place).or_default();
            *load += share;
            tasks.push(number);
        }
    }
    let mut findings = Vec::new();
    for (cpu, (load, tasks)) in places {
        let limit = match (cpu, cpus) {
            (Some(_), _) => ADMITTED,
            (None, Some(cpus)) => ADMITTED * f64::from(cpus),
            (None, None) => continue,
        };
        if load > limit + TOLERANCE {
            findings.extend(course.finding(FindingKind::DeadlineBandwidth { cpu, load, limit }, tasks));
        }
    }
    findings
}
