//! Task servers that are wanted by two tasks at once. A server runs one task at a time, first due first, so each
//! address is walked once as a queue: what is released while the server is busy starts late, and by how much is known.

use super::course::Course;
use super::{Finding, FindingKind, MAX_PAIRS};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// Late starts of one task behind another.
struct Late {
    count: u64,
    most: Duration,
    first: Duration,
}

/// Timed tasks that start late, one finding for each pair of tasks, with a bound on their number. Tasks not looked at
/// to their end go into `cut`.
pub(super) fn check(course: &Course<'_>, cut: &mut BTreeSet<usize>) -> Vec<Finding> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, entry) in course.entries() {
        if let (Some(address), Some(_)) = (entry.task.target.address(), entry.timed()) {
            groups.entry(address).or_default().push(number);
        }
    }
    let mut findings = Vec::new();
    for (address, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
        cut.extend(group.iter().filter(|number| {
            course.entry(**number).is_some_and(|entry| entry.task.release.occurrences() > course.limit())
        }));
        let mut pairs: Vec<((usize, usize), Late)> = sweep(course, group).into_iter().collect();
        pairs.sort_by_key(|(pair, how)| (Reverse(how.most), *pair));
        let rest = pairs.split_off(pairs.len().min(MAX_PAIRS));
        pairs.sort_by_key(|(pair, _)| *pair);
        for ((late, behind), how) in pairs {
            let address = address.to_string();
            let kind = FindingKind::AddressOverlap { address, count: how.count, late: how.most, first: how.first };
            findings.extend(course.finding(kind, [late, behind]));
        }
        let kind = FindingKind::MoreOverlaps { address: address.to_string(), pairs: rest.len() };
        findings.extend(course.finding(kind, rest.iter().map(|((late, _), _)| *late).collect::<BTreeSet<usize>>()));
    }
    findings
}

/// Late starts as (late task, task before it). Of occurrences released at once the higher priority goes first, then
/// file order. O(n log k) for n occurrences of k tasks.
fn sweep(course: &Course<'_>, group: &[usize]) -> BTreeMap<(usize, usize), Late> {
    let mut found: BTreeMap<(usize, usize), Late> = BTreeMap::new();
    let mut queue = BinaryHeap::new();
    let push = |queue: &mut BinaryHeap<_>, number: usize, occurrence: u32| {
        let Some(entry) = course.entry(number) else { return };
        let Some((estimate, timing)) = entry.timed() else { return };
        if occurrence < entry.task.release.occurrences().min(course.limit()) {
            let release = entry.released(timing, occurrence);
            queue.push(Reverse((release, Reverse(entry.task.priority), number, occurrence, estimate)));
        }
    };
    for number in group {
        push(&mut queue, *number, 0);
    }
    let mut busy_until = Duration::ZERO;
    // Since the server was last idle: the task before, and the one before that which is another.
    let (mut last, mut other) = (None, None);
    while let Some(Reverse((release, _, number, occurrence, estimate))) = queue.pop() {
        push(&mut queue, number, occurrence + 1);
        if release >= busy_until {
            (last, other) = (None, None);
        } else if let Some(behind) = if last == Some(number) { other } else { last } {
            let late = busy_until.saturating_sub(release);
            let how = found.entry((number, behind)).or_insert(Late { count: 0, most: late, first: release });
            how.count += 1;
            how.most = how.most.max(late);
        }
        if last != Some(number) {
            (last, other) = (Some(number), last);
        }
        busy_until = release.max(busy_until).saturating_add(estimate);
    }
    found
}
