//! Properties, and server queues against brute force.

use super::tests::{With, ms, schedule, task};
use super::{Finding, FindingKind, feasibility};
use crate::model::{DeadlineFrom, On, Release, RtPolicy, Target, Task};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// Timed tasks at few servers and CPUs, with times small enough that they meet often; so few that all pairs are told.
fn any_tasks() -> impl Strategy<Value = Vec<Task>> {
    let one = (
        0..30_u64,
        1..8_u64,
        1..15_u64,
        1..6_u32,
        0..3_u8,
        0..2_u32,
        prop::option::of((1..40_u64, any::<bool>())),
        any::<u8>(),
    );
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let tasks = all.into_iter().enumerate();
        tasks
            .map(|(n, (due, estimate, period, count, server, cpu, deadline, odd))| {
                let mut task = task(&format!("t{n}"), due, estimate).every(period, count).server(&format!("s{server}"));
                task.priority = odd % 3;
                if odd % 4 < 3 {
                    task = task.on(cpu, RtPolicy::Fifo { priority: odd % 4 + 1 });
                }
                if let Some((after, run)) = deadline {
                    task = task.within(after, if run { DeadlineFrom::Run } else { DeadlineFrom::Release });
                }
                if odd % 5 == 0 && n > 0 {
                    task = task.needs(&format!("t{}", n - 1), On::Success);
                }
                task
            })
            .collect()
    })
}

fn without_overrun(mut task: Task) -> Task {
    if let (Release::Timed { repeat: Some(repeat), .. }, Some(estimate)) = (&mut task.release, task.estimate) {
        repeat.period = repeat.period.max(estimate);
    }
    task
}

/// Each server is asked every millisecond what it does: late starts and their sum, in milliseconds.
fn simulated(tasks: &[Task]) -> (u64, u64) {
    let servers: BTreeSet<&Target> =
        tasks.iter().map(|task| &task.target).filter(|target| target.is_server()).collect();
    let (mut late, mut most) = (0, 0);
    for server in servers {
        let mine = tasks.iter().enumerate().filter(|(_, task)| task.target == *server);
        let mut waiting: Vec<(u64, u8, usize, u64)> = mine
            .flat_map(|(n, task)| {
                (0..task.release.occurrences()).map(move |k| {
                    let due = u64::try_from(task.release.due(k).unwrap().as_millis()).unwrap();
                    (due, u8::MAX - task.priority, n, u64::try_from(task.estimate.unwrap().as_millis()).unwrap())
                })
            })
            .collect();
        let mut now = 0;
        let (mut free_at, mut busy) = (0, Vec::new());
        while !waiting.is_empty() {
            let first = waiting.iter().filter(|one| one.0 <= now).min_by_key(|one| (one.1, one.0, one.2)).copied();
            if let (Some(one), true) = (first, now >= free_at) {
                waiting.remove(waiting.iter().position(|other| *other == one).unwrap());
                if free_at < now || one.0 == now {
                    busy.clear();
                }
                if now > one.0 && busy.iter().any(|other| *other != one.2) {
                    late += 1;
                    most = most.max(now - one.0);
                }
                busy.push(one.2);
                free_at = now + one.3;
            } else {
                now += 1;
            }
        }
    }
    (late, most)
}

fn overlaps(findings: &[Finding]) -> (u64, u64) {
    let found = findings.iter().filter_map(|finding| match &finding.kind {
        FindingKind::AddressOverlap { count, late, .. } => Some((*count, u64::try_from(late.as_millis()).unwrap())),
        _ => None,
    });
    found.fold((0, 0), |(sum, most), (count, late)| (sum + count, most.max(late)))
}

proptest! {
    #[test]
    fn the_sweep_agrees_with_a_simulation_of_the_servers(tasks in any_tasks()) {
        let tasks: Vec<Task> = tasks.into_iter().map(|task| Task { needs: Vec::new(), ..task }).collect();
        let expected = simulated(&tasks);
        prop_assert_eq!(overlaps(&feasibility(&schedule(tasks), None)), expected);
    }

    #[test]
    fn there_is_an_overlap_finding_exactly_when_two_tasks_at_one_server_overlap(tasks in any_tasks()) {
        let tasks: Vec<Task> = tasks.into_iter().map(|task| Task { needs: Vec::new(), ..task }).collect();
        // A task that overruns its own period is late without any other.
        let tasks: Vec<Task> = tasks.into_iter().map(without_overrun).collect();
        let spans = |task: &Task| -> Vec<(Duration, Duration)> {
            let estimate = task.estimate.unwrap();
            let due = (0..task.release.occurrences()).map(|k| task.release.due(k).unwrap());
            due.map(|due| (due, due + estimate)).collect()
        };
        let overlap = tasks.iter().enumerate().any(|(n, a)| {
            tasks.iter().skip(n + 1).filter(|b| a.target == b.target).any(|b| {
                spans(a).iter().any(|a| spans(b).iter().any(|b| a.0 < b.1 && b.0 < a.1))
            })
        });
        prop_assert_eq!(overlaps(&feasibility(&schedule(tasks), None)).0 > 0, overlap);
    }

    #[test]
    fn disjoint_occurrences_have_no_overlap(gaps in prop::collection::vec((0..5_u64, 1..9_u64, 0..3_u8), 0..30)) {
        let mut now = 0;
        let tasks = gaps.into_iter().enumerate().map(|(n, (gap, estimate, server))| {
            let due = now + gap;
            now = due + estimate;
            task(&format!("t{n}"), due, estimate).server(&format!("s{server}"))
        });
        prop_assert_eq!(feasibility(&schedule(tasks.collect()), None), []);
    }

    #[test]
    fn more_time_never_adds_a_finding(tasks in any_tasks(), which in 0..6_usize, slack in 1..60_u64) {
        let before = feasibility(&schedule(tasks.clone()), Some(1)).len();
        let mut relaxed = tasks;
        if let Some(deadline) = relaxed.get_mut(which).and_then(|task| task.deadline.as_mut()) {
            deadline.after += ms(slack);
        }
        prop_assert!(feasibility(&schedule(relaxed), Some(1)).len() <= before);
    }

    #[test]
    fn findings_name_tasks_of_the_schedule_and_read_as_sentences(
        tasks in any_tasks(),
        cpus in prop::option::of(0..3_u32),
    ) {
        let schedule = schedule(tasks);
        let findings = feasibility(&schedule, cpus);
        prop_assert_eq!(&findings, &feasibility(&schedule, cpus));
        for finding in findings {
            let first = schedule.tasks.iter().find(|task| Some(&task.id) == finding.tasks.first());
            prop_assert_eq!(first.map(|task| &task.at), Some(&finding.at));
            prop_assert!(finding.tasks.iter().all(|id| schedule.tasks.iter().any(|task| task.id == *id)));
            prop_assert!(!finding.to_string().contains("``") && finding.remedy().ends_with('.'));
        }
    }
}
