//! Task sets whose response times are known, and fixed priorities and demand against brute force.

use super::tests::{With, ms, schedule, task};
use super::{Finding, FindingKind, feasibility};
use crate::model::{DeadlineFrom, RtPolicy, Task};
use proptest::prelude::*;

const fn fifo(priority: u8) -> RtPolicy {
    RtPolicy::Fifo { priority }
}

/// Periodic tasks of (estimate, period) on one CPU, the first with the highest priority, all due at 0.
fn set(tasks: &[(u64, u64)]) -> Vec<Task> {
    let each = tasks.iter().zip((1..90).rev()).enumerate();
    each.map(|(n, ((c, t), priority))| task(&format!("t{}", n + 1), 0, *c).every(*t, 1000).on(0, fifo(priority)))
        .collect()
}

/// Task, response time and limit in milliseconds of each finding about a response time.
fn responses(tasks: Vec<Task>) -> Vec<(String, u128, u128)> {
    let findings = feasibility(&schedule(tasks), None);
    let beyond = findings.iter().filter_map(|finding| match finding.kind {
        FindingKind::ResponseTime { response, limit, at_least: false, .. } => {
            Some((finding.tasks.first()?.to_string(), response.as_millis(), limit.as_millis()))
        }
        _ => None,
    });
    beyond.collect()
}

/// The limit of the given task becomes `after`.
fn limited(mut tasks: Vec<Task>, number: usize, after: u64) -> Vec<Task> {
    let task = tasks.remove(number);
    tasks.insert(number, task.within(after, DeadlineFrom::Release));
    tasks
}

#[test]
fn response_times_of_a_schedulable_set() {
    // (1,4), (2,6), (3,13): R1 = 1; R2 = 2 + 1 = 3;
    // R3: 3 → 3+1+2 = 6 → 3+2+2 = 7 → 3+2+4 = 9 → 3+3+4 = 10 → 3+3+4 = 10.
    let tasks = set(&[(1, 4), (2, 6), (3, 13)]);
    assert_eq!(feasibility(&schedule(tasks.clone()), None), []);
    // A limit one below the response time shows what it was found to be.
    assert_eq!(responses(limited(tasks.clone(), 1, 2)), [("t2".to_owned(), 3, 2)]);
    assert_eq!(responses(limited(tasks.clone(), 2, 9)), [("t3".to_owned(), 10, 9)]);
    assert_eq!(responses(limited(tasks, 2, 10)), []);
}

#[test]
fn a_set_beyond_the_bound_of_liu_and_layland_that_holds_all_the_same() {
    // (40,80), (10,40), (5,20) in rate-monotonic order: load 1.0 > 0.78, but harmonic.
    // R3: 40 → 40+10+10 = 60 → 40+20+15 = 75 → 40+20+20 = 80 → 80.
    let tasks = set(&[(5, 20), (10, 40), (40, 80)]);
    assert_eq!(feasibility(&schedule(tasks.clone()), None), []);
    assert_eq!(responses(limited(tasks, 2, 79)), [("t3".to_owned(), 80, 79)]);
}

#[test]
fn a_set_below_full_load_that_fixed_priorities_cannot_hold() {
    // (2,4), (2,5), (1,10): load 0.5 + 0.4 + 0.1 = 1.0. R2: 2 → 4 → 4.
    // R3: 1 → 1+2+2 = 5 → 1+4+2 = 7 → 1+4+4 = 9 → 1+6+4 = 11 → 1+6+6 = 13 → 1+8+6 = 15 → 15, beyond 10.
    assert_eq!(responses(set(&[(2, 4), (2, 5), (1, 10)])), [("t3".to_owned(), 15, 10)]);
    let findings = feasibility(&schedule(set(&[(2, 4), (2, 5), (1, 10)])), None);
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`t3` ends 15 ms after its due time in the worst case, but it is due again after 10 ms \
          (on CPU 0 it waits for `t1` and `t2`)"]
    );
}

#[test]
fn an_overloaded_set() {
    // (2,4), (2,5), (2,10): load 1.1. R3: 2 → 2+2+2 = 6 → 2+4+4 = 10 → 2+6+4 = 12 → 2+6+6 = 14 → 2+8+6 = 16
    // → 2+8+8 = 18 → 2+10+8 = 20 → 2+10+8 = 20, beyond 10.
    let findings = feasibility(&schedule(set(&[(2, 4), (2, 5), (2, 10)])), None);
    let load = findings.iter().find_map(|finding| match finding.kind {
        FindingKind::CpuOverload { load, .. } => Some(format!("{load:.3}")),
        _ => None,
    });
    assert_eq!(load, Some("1.100".to_owned()));
    assert_eq!(responses(set(&[(2, 4), (2, 5), (2, 10)])), [("t3".to_owned(), 20, 10)]);
}

#[test]
fn a_deadline_beyond_the_period_needs_all_occurrences_of_the_busy_period() {
    // Lehoczky 1990: (26,70) and (62,100). The occurrences of the second end after
    // 114, 102, 116, 104, 118, 106, 94: the fifth has the longest response time.
    let tasks = set(&[(26, 70), (62, 100)]);
    assert_eq!(responses(tasks.clone()), [("t2".to_owned(), 114, 100)]);
    assert_eq!(responses(limited(tasks.clone(), 1, 117)), [("t2".to_owned(), 118, 117)]);
    assert_eq!(responses(limited(tasks, 1, 118)), []);
}

#[test]
fn tasks_that_are_never_active_together_do_not_interfere() {
    let first = task("first", 0, 9).every(10, 10).on(0, fifo(9));
    let second = |due| task("second", due, 9).every(10, 10).on(0, fifo(5));
    assert_eq!(feasibility(&schedule(vec![first.clone(), second(100)]), None), []);
    assert_eq!(responses(vec![first, second(90)]).len(), 1);
}

#[test]
fn a_long_analysis_is_given_up_and_that_is_told() {
    // A millisecond of work in each 1.000001 ms: a second of work below it takes a million steps.
    let mut fast = task("fast", 0, 1).every(1, u32::MAX).on(0, fifo(9));
    fast.release = crate::model::Release::Timed {
        at: ms(0),
        repeat: Some(crate::model::Repeat { period: std::time::Duration::from_nanos(1_000_001), count: u32::MAX }),
    };
    let slow = task("slow", 0, 1000).every(4_000_000_000, 2).on(0, fifo(5));
    let findings = feasibility(&schedule(vec![fast, slow]), None);
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["too much happens on CPU 0 to find the worst-case response time of `slow`"]
    );
}

/// Whether all keep their periods when each millisecond goes to the highest priority, from a common start on.
fn holds(tasks: &[(u64, u64)], until: u64) -> bool {
    let mut left: Vec<u64> = vec![0; tasks.len()];
    for now in 0..until {
        for (left, (c, t)) in left.iter_mut().zip(tasks) {
            if now % t == 0 {
                if *left > 0 {
                    return false;
                }
                *left = *c;
            }
        }
        if let Some(left) = left.iter_mut().find(|left| **left > 0) {
            *left -= 1;
        }
    }
    true
}

fn demands(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| matches!(finding.kind, FindingKind::CpuDemand { .. })).count()
}

proptest! {
    #[test]
    fn response_times_agree_with_a_simulation(tasks in prop::collection::vec((1..6_u64, 6..24_u64), 1..5)) {
        // The worst case is at the common start: a first occurrence that keeps its period shows that all do.
        let longest = tasks.iter().map(|(_, t)| *t).max().unwrap();
        let expected = holds(&tasks, longest + 1);
        prop_assert_eq!(responses(set(&tasks)).is_empty(), expected);
    }

    #[test]
    fn demand_agrees_with_all_windows(jobs in prop::collection::vec((0..40_u64, 1..9_u64, 0..12_u64), 0..9)) {
        let overfull = jobs.iter().any(|from| jobs.iter().any(|to| {
            let (start, end) = (from.0, to.0 + to.1 + to.2);
            let within = jobs.iter().filter(|job| job.0 >= start && job.0 + job.1 + job.2 <= end);
            start < end && within.map(|job| job.1).sum::<u64>() > end - start
        }));
        let tasks = jobs.iter().enumerate().map(|(n, (due, work, slack))| {
            task(&format!("t{n}"), *due, *work).within(work + slack, DeadlineFrom::Release).on(0, RtPolicy::Other)
        });
        let findings = feasibility(&schedule(tasks.collect()), None);
        prop_assert_eq!(demands(&findings) > 0, overfull);
        for finding in &findings {
            if let FindingKind::CpuDemand { from, to, work, .. } = &finding.kind {
                prop_assert!(*from + *work > *to, "{finding}");
            }
        }
    }
}
