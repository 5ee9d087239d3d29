//! Work with deadlines that does not fit on its CPU in whatever order it runs.
//!
//! The processor-demand criterion: no window of time may hold more work, released and due within it, than it is long.
//! Instead of trying all windows, earliest-deadline-first is played through once, O(n log n): it misses a deadline
//! exactly when some window is too full (Dertouzos).

use super::expected::ExpectedRun;
use super::{Finding, FindingKind};
use crate::model::DeadlineFrom;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// One occurrence with a deadline, ordered by release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    release: Duration,
    deadline: Duration,
    work: Duration,
    task: usize,
}

/// The first overfull window of each CPU. Tasks that cannot hold by themselves (`judged`) are left out; those not
/// looked at to their end go into `cut`.
pub(super) fn check(run: &ExpectedRun<'_>, judged: &BTreeSet<usize>, cut: &mut BTreeSet<usize>) -> Vec<Finding> {
    let mut by_cpu: BTreeMap<u32, Vec<Job>> = BTreeMap::new();
    for (number, entry) in run.entries() {
        let (Some(cpu), Some((work, timing)), Some(deadline)) =
            (entry.task.real_time.cpu, entry.expected(), entry.task.deadline)
        else {
            continue;
        };
        if judged.contains(&number) {
            continue;
        }
        let occurrences = entry.task.release.occurrences();
        if occurrences > run.limit() {
            cut.insert(number);
        }
        let jobs = by_cpu.entry(cpu).or_default();
        jobs.extend((0..occurrences.min(run.limit())).map(|occurrence| {
            let deadline = match deadline.from {
                // That of a sequential task counts from when all that it needs has ended.
                DeadlineFrom::Release => {
                    entry.task.release.due(occurrence).unwrap_or(timing.ready).saturating_add(deadline.after)
                }
                DeadlineFrom::Run => deadline.after,
            };
            Job { release: entry.released(timing, occurrence), deadline, work, task: number }
        }));
    }
    let mut findings = Vec::new();
    for (cpu, mut jobs) in by_cpu {
        jobs.sort_unstable();
        if let Some((from, to, work, tasks)) = first_miss(&jobs).and_then(|to| window(&jobs, to)) {
            findings.extend(run.finding(FindingKind::CpuDemand { cpu, from, to, work }, tasks));
        }
    }
    findings
}

/// The first deadline that earliest-deadline-first misses. `jobs` are sorted by release.
fn first_miss(jobs: &[Job]) -> Option<Duration> {
    let mut ready: BinaryHeap<Reverse<(Duration, Duration)>> = BinaryHeap::new();
    let mut coming = jobs.iter().peekable();
    let mut now = Duration::ZERO;
    loop {
        if ready.is_empty() {
            now = now.max(coming.peek()?.release);
        }
        while let Some(job) = coming.next_if(|job| job.release <= now) {
            ready.push(Reverse((job.deadline, job.work)));
        }
        let Some(Reverse((deadline, work))) = ready.pop() else { continue };
        let end = now.saturating_add(work);
        if end > deadline {
            return Some(deadline);
        }
        let pause = coming.peek().map_or(end, |job| job.release.min(end));
        if pause < end {
            ready.push(Reverse((deadline, end.saturating_sub(pause))));
        }
        now = pause;
    }
}

/// The fullest window that ends at `to`: its start, its end, the work in it and whose that is.
fn window(jobs: &[Job], to: Duration) -> Option<(Duration, Duration, Duration, BTreeSet<usize>)> {
    let mut work = Duration::ZERO;
    let mut fullest: Option<(f64, Duration, Duration)> = None;
    for job in jobs.iter().rev().filter(|job| job.deadline <= to) {
        work = work.saturating_add(job.work);
        let length = to.saturating_sub(job.release);
        if work > length {
            let share = work.as_secs_f64() / length.as_secs_f64();
            if fullest.is_none_or(|(most, ..)| share >= most) {
                fullest = Some((share, job.release, work));
            }
        }
    }
    let (_, from, work) = fullest?;
    let within = jobs.iter().filter(|job| job.release >= from && job.deadline <= to);
    Some((from, to, work, within.map(|job| job.task).collect()))
}
