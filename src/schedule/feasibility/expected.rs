//! The expected run: when each task can start and end at the earliest, if every task that starts succeeds and takes
//! its estimate. A task that waits for a failure has no part in it, nor one that needs the success of such a task.

use super::{Finding, FindingKind, MAX_OCCURRENCES, MAX_OCCURRENCES_IN_ALL};
use crate::model::{Location, On, Release, Task, TaskId};
use std::collections::BTreeMap;
use std::time::Duration;

/// The tasks in file order with what is expected of them.
pub(super) struct ExpectedRun<'a> {
    entries: Vec<Entry<'a>>,
}

/// One task and its place in the expected run.
pub(super) struct Entry<'a> {
    /// The task.
    pub(super) task: &'a Task,
    /// When it runs; `None` when it is not expected to.
    pub(super) timing: Option<Timing>,
}

/// When a task runs at the earliest. Times count from the run's start.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    /// Everything it needs has ended.
    pub(super) ready: Duration,
    /// Its last occurrence has ended. A lower bound when an estimate is missing: that task counts as instant.
    pub(super) end: Duration,
    /// The needed task that ends last; an index into the tasks.
    after: Option<usize>,
}

impl Entry<'_> {
    /// The estimate, unless it is missing or nothing.
    pub(super) fn estimate(&self) -> Option<Duration> {
        self.task.estimate.filter(|estimate| !estimate.is_zero())
    }

    /// The estimate of a timed task that is expected to run.
    pub(super) fn timed(&self) -> Option<(Duration, Timing)> {
        self.expected().filter(|_| self.is_timed())
    }

    /// The estimate of a task that is expected to run, timed or not.
    pub(super) fn expected(&self) -> Option<(Duration, Timing)> {
        self.estimate().zip(self.timing)
    }

    /// Whether it has a time of its own.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self.task.release, Release::Timed { .. })
    }

    /// When an occurrence (counted from 0) is released at the earliest.
    pub(super) fn released(&self, timing: Timing, occurrence: u32) -> Duration {
        self.task.release.due(occurrence).unwrap_or_default().max(timing.ready)
    }

    /// Period of a task with at least two occurrences, unless it is nothing.
    pub(super) fn period(&self) -> Option<Duration> {
        match self.task.release {
            Release::Timed { repeat: Some(repeat), .. } if repeat.count > 1 && !repeat.period.is_zero() => {
                Some(repeat.period)
            }
            _ => None,
        }
    }

    /// The due time of the last occurrence; zero for a sequential task.
    pub(super) fn last_due(&self) -> Duration {
        let last = self.task.release.occurrences().saturating_sub(1);
        self.task.release.due(last).unwrap_or_default()
    }

    fn end(&self, ready: Duration) -> Duration {
        let estimate = self.task.estimate.unwrap_or_default();
        let further = self.task.release.occurrences().saturating_sub(1);
        let mut start = self.last_due().max(ready);
        // A task server runs one occurrence after the other; programs may run side by side.
        if self.task.target.is_server() {
            start = start.max(self.released_first(ready).saturating_add(estimate.saturating_mul(further)));
        }
        start.saturating_add(estimate)
    }

    fn released_first(&self, ready: Duration) -> Duration {
        self.task.release.due(0).unwrap_or_default().max(ready)
    }
}

impl<'a> ExpectedRun<'a> {
    /// Walks the tasks in the order of their needs. One in a circle of needs is not expected to run.
    pub(super) fn new(tasks: &'a [Task]) -> Self {
        let numbers: BTreeMap<&TaskId, usize> = tasks.iter().enumerate().map(|(n, task)| (&task.id, n)).collect();
        let mut entries: Vec<Entry<'a>> = tasks.iter().map(|task| Entry { task, timing: None }).collect();
        let mut waiting = vec![0_usize; tasks.len()];
        let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
        for (number, task) in tasks.iter().enumerate() {
            for needed in task.needs.iter().filter_map(|need| numbers.get(&need.task)) {
                if let (Some(count), Some(list)) = (waiting.get_mut(number), dependants.get_mut(*needed)) {
                    *count += 1;
                    list.push(number);
                }
            }
        }
        let mut free: Vec<usize> = (0..tasks.len()).filter(|number| waiting.get(*number) == Some(&0)).collect();
        while let Some(number) = free.pop() {
            let timing = entries.get(number).and_then(|entry| timing(entry, &entries, &numbers));
            if let Some(entry) = entries.get_mut(number) {
                entry.timing = timing;
            }
            for dependant in dependants.get(number).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(*dependant) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(*dependant);
                    }
                }
            }
        }
        Self { entries }
    }

    /// The tasks in file order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &Entry<'a>)> {
        self.entries.iter().enumerate()
    }

    /// One of them.
    pub(super) fn entry(&self, number: usize) -> Option<&Entry<'a>> {
        self.entries.get(number)
    }

    /// How many occurrences of each task are looked at.
    pub(super) fn limit(&self) -> u32 {
        let tasks = u32::try_from(self.entries.len()).unwrap_or(u32::MAX).max(1);
        (MAX_OCCURRENCES_IN_ALL / tasks).clamp(1, MAX_OCCURRENCES)
    }

    /// The needed tasks that end last, one after the other, up to the given one, which is last.
    pub(super) fn path(&self, number: usize) -> Vec<TaskId> {
        let mut path = Vec::new();
        let mut next = Some(number);
        while let Some(entry) = next.and_then(|number| self.entry(number)) {
            path.push(entry.task.id.clone());
            next = entry.timing.and_then(|timing| timing.after);
        }
        path.reverse();
        path
    }

    /// A finding about these tasks, placed at the first of them; `None` when there is none.
    pub(super) fn finding(&self, kind: FindingKind, tasks: impl IntoIterator<Item = usize>) -> Option<Finding> {
        let tasks: Vec<&Task> = tasks.into_iter().filter_map(|number| Some(self.entry(number)?.task)).collect();
        let at: Location = tasks.first()?.at.clone();
        Some(Finding { kind, tasks: tasks.into_iter().map(|task| task.id.clone()).collect(), at })
    }
}

/// The timing of a task all of whose needs have theirs.
fn timing(entry: &Entry<'_>, entries: &[Entry<'_>], numbers: &BTreeMap<&TaskId, usize>) -> Option<Timing> {
    let mut latest: Option<(Duration, usize)> = None;
    for need in &entry.task.needs {
        let Some((number, needed)) = numbers.get(&need.task).and_then(|n| Some((*n, entries.get(*n)?))) else {
            continue;
        };
        match (need.on, needed.timing) {
            (On::Failure, _) | (On::Success, None) => return None,
            // What is not expected to run is recorded as skipped at once.
            (On::Always, None) => {}
            (On::Success | On::Always, Some(timing)) => {
                if latest.is_none_or(|(end, _)| timing.end > end) {
                    latest = Some((timing.end, number));
                }
            }
        }
    }
    let ready = latest.map_or(Duration::ZERO, |(end, _)| end);
    // When its own due time is what it waits for, the chain starts with it.
    let waits = ready >= entry.released_first(Duration::ZERO);
    Some(Timing { ready, end: entry.end(ready), after: latest.map(|(_, number)| number).filter(|_| waits) })
}
