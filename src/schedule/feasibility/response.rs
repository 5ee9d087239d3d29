//! Worst-case response times of tasks with fixed priorities on one CPU. One that runs once is one whose period never ends.
//!
//! Joseph and Pandya's recurrence R = C + Σ ⌈R / T⌉ · C over the tasks that go before, with Lehoczky's extension to
//! deadlines beyond the period: all occurrences of a busy period are looked at. A task has finitely many occurrences,
//! so none interferes more often than that. Equal priorities count as going before. The worst case is that all come due
//! together, which the written due times may avoid.

use super::expected::ExpectedRun;
use super::{Finding, FindingKind};
use crate::model::{DeadlineFrom, RtPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

/// Steps of the recurrence for one task, over all its occurrences; fewer when many tasks share a CPU. Near full load a busy
/// period is as long as all periods multiplied, so that the recurrence would not end in useful time.
const MAX_STEPS: usize = 20_000;

/// About so many terms of the recurrence are computed for one CPU, because every commit that is checked waits for them.
const MAX_TERMS: usize = 5_000_000;

/// The period of a task that runs once: longer than any window.
const ONCE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A task on its CPU; times in nanoseconds.
struct Load {
    number: usize,
    rank: u16,
    estimate: u128,
    period: u128,
    count: u128,
    /// What it should stay within, and whether that is a deadline; `None` when it is not judged here.
    limit: Option<(u128, bool)>,
    /// First due time, and one period after the last, or the end of one that runs once.
    span: (Duration, Duration),
}

/// What the analysis of one task says.
enum Response {
    Within,
    Beyond {
        response: u128,
        at_least: bool,
    },
    /// The bound on steps was reached before it was decided.
    Unknown,
}

/// Tasks whose worst case is beyond their deadline because of others.
pub(super) fn check(run: &ExpectedRun<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (cpu, loads) in loads(run) {
        let max_steps = (MAX_TERMS / loads.len().pow(2).max(1)).clamp(30, MAX_STEPS);
        let mut undecided = Vec::new();
        for load in &loads {
            let Some((limit, deadline)) = load.limit else { continue };
            let before: Vec<&Load> = loads.iter().filter(|other| goes_before(other, load)).collect();
            // What a task cannot hold by itself is told by the check of its deadline and period.
            if before.is_empty() {
                continue;
            }
            match response(load, &before, limit, max_steps) {
                Response::Within => {}
                Response::Unknown => undecided.push(load.number),
                Response::Beyond { response, at_least } => {
                    let (response, limit) = (time(response), time(limit));
                    let kind = FindingKind::ResponseTime { cpu, response, at_least, limit, deadline };
                    let tasks = [load.number].into_iter().chain(before.iter().map(|other| other.number));
                    findings.extend(run.finding(kind, tasks));
                }
            }
        }
        findings.extend(run.finding(FindingKind::Undecided { cpu }, undecided));
    }
    findings
}

fn loads(run: &ExpectedRun<'_>) -> BTreeMap<u32, Vec<Load>> {
    let mut loads: BTreeMap<u32, Vec<Load>> = BTreeMap::new();
    for (number, entry) in run.entries() {
        let real_time = entry.task.real_time;
        let (Some(cpu), Some((estimate, timing))) = (real_time.cpu, entry.expected()) else { continue };
        let period = entry.period();
        let (rank, fixed) = match real_time.policy {
            RtPolicy::Other => continue,
            RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => (u16::from(priority), true),
            // The kernel runs these before every fixed priority.
            RtPolicy::Deadline { .. } => (u16::MAX, false),
        };
        let limit = match entry.task.deadline {
            _ if !fixed => None,
            None => period.filter(|period| estimate <= *period).map(|period| (period, false)),
            Some(deadline) => match deadline.from {
                DeadlineFrom::Release => Some((deadline.after, true)),
                DeadlineFrom::Run => {
                    let released = entry.last_due().max(if period.is_none() { timing.ready } else { Duration::ZERO });
                    Some((deadline.after.saturating_sub(released), true))
                }
            },
        };
        // One that runs once is in the way for as long as it runs.
        let last = entry.last_due().max(timing.ready).saturating_add(period.unwrap_or(estimate));
        loads.entry(cpu).or_default().push(Load {
            number,
            rank,
            estimate: estimate.as_nanos(),
            period: period.unwrap_or(ONCE).as_nanos(),
            count: u128::from(entry.task.release.occurrences()),
            limit: limit.map(|(limit, deadline)| (limit.as_nanos(), deadline)),
            span: (entry.released(timing, 0), last),
        });
    }
    loads
}

fn goes_before(other: &Load, load: &Load) -> bool {
    let meet = other.span.0 < load.span.1 && load.span.0 < other.span.1;
    other.number != load.number && other.rank >= load.rank && meet
}

/// The response time of the first occurrence that is beyond the limit, of those in one busy period.
fn response(load: &Load, before: &[&Load], limit: u128, max_steps: usize) -> Response {
    let mut steps = 0;
    let mut window = 0;
    for occurrence in 0..load.count {
        let own = load.estimate * (occurrence + 1);
        let released = load.period * occurrence;
        window = own.max(window);
        let settled = loop {
            let next = own + before.iter().map(|other| interference(other, window)).sum::<u128>();
            if next == window {
                break true;
            }
            window = next;
            steps += 1;
            if steps >= max_steps {
                break false;
            }
        };
        let response = window.saturating_sub(released);
        match (response > limit, settled) {
            (true, _) => return Response::Beyond { response, at_least: !settled },
            (false, false) => return Response::Unknown,
            // The CPU is idle for these tasks before the next occurrence: the busy period is over.
            (false, true) if window <= released + load.period => return Response::Within,
            (false, true) => {}
        }
    }
    Response::Within
}

fn interference(other: &Load, window: u128) -> u128 {
    window.div_ceil(other.period).min(other.count) * other.estimate
}

fn time(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
