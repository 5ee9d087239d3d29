//! From drafts that refer to each other to numbered steps, each after the steps that it needs.

use super::draft::{Draft, Drafts, Rank};
use super::step::{Held, HeldReason, Need, Step, StepId};
use super::subject::Subject;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers the drafts: each after those it needs, and among those that are free the lowest rank first. What waits for
/// itself is held; the planner makes no such drafts, and if it does they must neither be done nor be forgotten.
pub(super) fn order(drafts: Drafts) -> (Vec<Step>, Vec<Held>) {
    let mut open: BTreeMap<Subject, Draft> = drafts.steps;
    let mut waiting: BTreeMap<Subject, usize> = BTreeMap::new();
    let mut dependants: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
    let mut free: BTreeSet<(Rank, Subject)> = BTreeSet::new();
    for (subject, draft) in &open {
        let needs: BTreeSet<&Subject> =
            draft.needs.iter().map(|(need, _)| need).filter(|need| open.contains_key(need)).collect();
        if needs.is_empty() {
            free.insert((draft.rank, subject.clone()));
        }
        waiting.insert(subject.clone(), needs.len());
        for need in needs {
            dependants.entry(need.clone()).or_default().push(subject.clone());
        }
    }

    let mut numbers: BTreeMap<Subject, StepId> = BTreeMap::new();
    let mut steps = Vec::with_capacity(open.len());
    while let Some((_, subject)) = free.pop_first() {
        let Some(draft) = open.remove(&subject) else { continue };
        let id = steps.len();
        let needs =
            draft.needs.iter().filter_map(|(need, until)| Some(Need { step: *numbers.get(need)?, until: *until }));
        // Waiting for the end includes waiting for the start.
        let mut furthest: BTreeMap<StepId, Need> = BTreeMap::new();
        for need in needs {
            let entry = furthest.entry(need.step).or_insert(need);
            entry.until = entry.until.max(need.until);
        }
        for dependant in dependants.remove(&subject).unwrap_or_default() {
            if let (Some(count), Some(draft)) = (waiting.get_mut(&dependant), open.get(&dependant)) {
                *count -= 1;
                if *count == 0 {
                    free.insert((draft.rank, dependant));
                }
            }
        }
        numbers.insert(subject.clone(), id);
        steps.push(Step {
            id,
            subject,
            deployment: draft.deployment,
            action: draft.action,
            guard: draft.guard,
            needs: furthest.into_values().collect(),
            changes: draft.changes,
            reason: draft.reason,
            disruption: draft.disruption,
        });
    }
    let held = open.iter().map(|(subject, draft)| Held {
        subject: subject.clone(),
        wanted: draft.action.verb(),
        why: circle(&open, subject),
        changes: draft.changes.clone(),
    });
    (steps, held.collect())
}

/// Why a draft could not be placed: the circle that it is part of, or the draft in a circle that it waits for. Every open
/// draft needs another open one, so following the first need of each ends in a circle.
fn circle(open: &BTreeMap<Subject, Draft>, start: &Subject) -> HeldReason {
    let next = |subject: &Subject| {
        let needs = open.get(subject).into_iter().flat_map(|draft| &draft.needs);
        needs.map(|(need, _)| need).find(|need| open.contains_key(need)).cloned()
    };
    let mut path = vec![start.clone()];
    while let Some(need) = path.last().and_then(next) {
        if need == *start {
            path.push(need);
            return HeldReason::Circle(path);
        }
        if path.contains(&need) {
            break;
        }
        path.push(need);
    }
    HeldReason::Needs(path.swap_remove(1.min(path.len() - 1)))
}

/// The wave in which each step runs when nothing else limits it, counted from 0.
pub fn waves(steps: &[Step]) -> Vec<usize> {
    let mut waves: Vec<usize> = Vec::with_capacity(steps.len());
    for step in steps {
        let wave = step.needs.iter().filter_map(|need| waves.get(need.step)).map(|wave| wave + 1).max().unwrap_or(0);
        waves.push(wave);
    }
    waves
}
