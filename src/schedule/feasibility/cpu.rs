//! What the tasks that are bound to one CPU ask of it over time, and all real-time tasks of all CPUs of this machine.

use super::expected::ExpectedRun;
use super::{Finding, FindingKind};
use crate::model::{RealTime, RtPolicy, Target, TaskAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Share of the CPU time that the kernel gives to real-time threads unless told otherwise
/// (`kernel.sched_rt_runtime_us` over `kernel.sched_rt_period_us`); its admission test for `SCHED_DEADLINE`.
const ADMITTED: f64 = 0.95;

/// Sums of fractions are not exact.
const TOLERANCE: f64 = 1e-9;

/// CPUs that do not exist or are asked for more than there is.
pub(super) fn check(run: &ExpectedRun<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let mut findings = absent(run, cpus);
    findings.extend(overload(run, cpus));
    findings.extend(bandwidth(run, cpus));
    findings
}

fn absent(run: &ExpectedRun<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let asked = run.entries().filter_map(|(number, entry)| Some((number, entry.task.real_time.cpu?, cpus?)));
    let absent = asked.filter(|(_, cpu, cpus)| cpu >= cpus);
    absent.filter_map(|(number, cpu, cpus)| run.finding(FindingKind::CpuAbsent { cpu, cpus }, [number])).collect()
}

/// Estimate over period, summed over the periodic tasks of a CPU that are active at once: from the first due time to
/// one period after the last. The real-time tasks that run on this machine, bound or not, are likewise held against all of
/// its CPUs together, when their number is known.
fn overload(run: &ExpectedRun<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let mut shares: BTreeMap<usize, f64> = BTreeMap::new();
    let mut places: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for (number, entry) in run.entries() {
        let (Some((estimate, _)), Some(period)) = (entry.timed(), entry.period()) else { continue };
        shares.insert(number, estimate.as_secs_f64() / period.as_secs_f64());
        let RealTime { policy, cpu } = entry.task.real_time;
        if cpu.is_some() {
            places.entry(cpu).or_default().push(number);
        }
        if policy != RtPolicy::Other && is_here(&entry.task.target) {
            places.entry(None).or_default().push(number);
        }
    }
    let mut findings = Vec::new();
    for (cpu, tasks) in places {
        let Some(most) = cpu.map_or(cpus, |_| Some(1)) else { continue };
        let (load, busiest) = peak(run, &shares, &tasks);
        // Where all are bound, one of their CPUs is told.
        let bound = |number: &usize| run.entry(*number).is_some_and(|entry| entry.task.real_time.cpu.is_some());
        if load <= f64::from(most) + TOLERANCE || (cpu.is_none() && busiest.iter().all(bound)) {
            continue;
        }
        let kind = match cpu {
            Some(cpu) => FindingKind::CpuOverload { cpu, load },
            None => FindingKind::MachineOverload { cpus: most, load },
        };
        findings.extend(run.finding(kind, busiest));
    }
    // In the order of CPUs, the machine last.
    findings.sort_by_key(|one| matches!(one.kind, FindingKind::MachineOverload { .. }));
    findings
}

/// The largest sum of shares that are active at once, and whose they are.
fn peak(run: &ExpectedRun<'_>, shares: &BTreeMap<usize, f64>, tasks: &[usize]) -> (f64, BTreeSet<usize>) {
    // At one time ends (false) come before starts (true).
    let mut changes: BTreeSet<(Duration, bool, usize)> = BTreeSet::new();
    for number in tasks {
        let Some((entry, period)) = run.entry(*number).and_then(|entry| Some((entry, entry.period()?))) else {
            continue;
        };
        changes.insert((entry.task.release.due(0).unwrap_or_default(), true, *number));
        changes.insert((entry.last_due().saturating_add(period), false, *number));
    }
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
    (peak, busiest)
}

/// Whether a task certainly runs on the machine that conducts the run: a daemon manages the services of its own host alone.
fn is_here(target: &Target) -> bool {
    match target {
        Target::Command(_) | Target::Service(_) | Target::Address(TaskAddress::Unix(_)) => true,
        Target::Address(address) => {
            address.place().is_some_and(|(host, _)| ["localhost", "127.0.0.1", "::1"].contains(&host))
        }
    }
}

/// `SCHED_DEADLINE` reservations that the kernel would refuse. It admits 95 % of the CPUs that a thread may run on,
/// so for threads that are bound to none it is known only with the number of CPUs.
fn bandwidth(run: &ExpectedRun<'_>, cpus: Option<u32>) -> Vec<Finding> {
    let mut places: BTreeMap<Option<u32>, (f64, Vec<usize>)> = BTreeMap::new();
    for (number, entry) in run.entries() {
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
            findings.extend(run.finding(FindingKind::DeadlineBandwidth { cpu, load, limit }, tasks));
        }
    }
    findings
}
