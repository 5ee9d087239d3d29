//! Which tasks wait for a task, and for what end of it.

use crate::model::{On, Task, TaskId};
use std::collections::BTreeMap;
use std::ops::Range;

/// The dependants of all tasks in one list: those of a task stand in a row.
#[derive(Debug)]
pub(super) struct Dependants {
    edges: Vec<(u32, On)>,
    /// Where the row of a task starts; the next one's start is its end.
    starts: Vec<u32>,
}

impl Dependants {
    /// From what the tasks need, and how many of its needs each task waits for. A need that is not in the schedule is left out.
    pub(super) fn new(tasks: &[Task]) -> (Self, Vec<u32>) {
        let index: BTreeMap<&TaskId, u32> = (0..).zip(tasks).map(|(at, task)| (&task.id, at)).collect();
        let mut pairs: Vec<(u32, u32, On)> = Vec::new();
        let mut needs = vec![0; tasks.len()];
        for (at, task) in tasks.iter().enumerate() {
            for need in &task.needs {
                if let Some(first) = index.get(&need.task) {
                    pairs.push((*first, at as u32, need.on));
                    needs[at] += 1;
                }
            }
        }
        pairs.sort_by_key(|(first, after, _)| (*first, *after));
        let mut starts = vec![0; tasks.len() + 1];
        for (first, ..) in &pairs {
            starts[*first as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        (Self { edges: pairs.into_iter().map(|(_, after, on)| (after, on)).collect(), starts }, needs)
    }

    /// The edges from a task to its dependants.
    pub(super) fn of(&self, task: u32) -> Range<usize> {
        self.starts[task as usize] as usize..self.starts[task as usize + 1] as usize
    }

    /// Who waits, and for what end.
    pub(super) fn edge(&self, at: usize) -> (usize, On) {
        let (after, on) = self.edges[at];
        (after as usize, on)
    }
}
