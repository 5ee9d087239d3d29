//! Task servers that are wanted by two tasks at once. A server that runs one task at a time serves who waits in the order
//! of its lane: by priority, then who was due first, then by file. So each server is walked once as such a queue: what is
//! released while the server is busy starts late, and by how much is known. A sequential task takes its place in it from when
//! all that it needs has ended; it has no time to be late for.

use super::expected::{Entry, ExpectedRun};
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
pub(super) fn check(run: &ExpectedRun<'_>, cut: &mut BTreeSet<usize>) -> Vec<Finding> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, entry) in run.entries() {
        if entry.task.target.is_server() && entry.expected().is_some() {
            groups.entry(&entry.task.target).or_default().push(number);
        }
    }
    let mut findings = Vec::new();
    for (server, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
        cut.extend(
            group.iter().filter(|number| {
                run.entry(**number).is_some_and(|entry| entry.task.release.occurrences() > run.limit())
            }),
        );
        let mut pairs: Vec<((usize, usize), Late)> = sweep(run, group).into_iter().collect();
        pairs.sort_by_key(|(pair, how)| (Reverse(how.most), *pair));
        let rest = pairs.split_off(pairs.len().min(MAX_PAIRS));
        pairs.sort_by_key(|(pair, _)| *pair);
        for ((late, behind), how) in pairs {
            let address = server.to_string();
            let kind = FindingKind::AddressOverlap { address, count: how.count, late: how.most, first: how.first };
            findings.extend(run.finding(kind, [late, behind]));
        }
        let kind = FindingKind::MoreOverlaps { address: server.to_string(), pairs: rest.len() };
        findings.extend(run.finding(kind, rest.iter().map(|((late, _), _)| *late).collect::<BTreeSet<usize>>()));
    }
    findings
}

/// When an occurrence is released, whose it is, and which.
type Pending = Reverse<(Duration, usize, u32)>;
/// An occurrence that waits: the order of a lane, then its work.
type Waiting = Reverse<(Reverse<u8>, Duration, usize, Duration)>;

/// Late starts of timed tasks as (late task, task before it). O(n log k) for n occurrences of k tasks.
fn sweep(run: &ExpectedRun<'_>, group: &[usize]) -> BTreeMap<(usize, usize), Late> {
    let mut found: BTreeMap<(usize, usize), Late> = BTreeMap::new();
    let mut pending: BinaryHeap<Pending> = BinaryHeap::new();
    let mut waiting: BinaryHeap<Waiting> = BinaryHeap::new();
    let release = |number: usize, occurrence: u32| {
        let entry = run.entry(number)?;
        let (_, timing) = entry.expected()?;
        let more = occurrence < entry.task.release.occurrences().min(run.limit());
        more.then(|| Reverse((entry.released(timing, occurrence), number, occurrence)))
    };
    pending.extend(group.iter().filter_map(|number| release(*number, 0)));
    let mut busy_until = Duration::ZERO;
    // Since the server was last idle: the task before, and the one before that which is another.
    let (mut last, mut other) = (None, None);
    loop {
        let next = pending.peek().map(|Reverse((at, ..))| *at);
        let start = if waiting.is_empty() { busy_until.max(next.unwrap_or_default()) } else { busy_until };
        while let Some(Reverse((at, number, occurrence))) =
            pending.peek().copied().filter(|Reverse((at, ..))| *at <= start)
        {
            pending.pop();
            pending.extend(release(number, occurrence + 1));
            if let Some((entry, estimate)) = run.entry(number).and_then(|entry| Some((entry, entry.estimate()?))) {
                waiting.push(Reverse((Reverse(entry.task.priority), at, number, estimate)));
            }
        }
        let Some(Reverse((_, release, number, estimate))) = waiting.pop() else { break };
        if release >= busy_until {
            (last, other) = (None, None);
        } else if let Some(behind) = if last == Some(number) { other } else { last }
            && run.entry(number).is_some_and(Entry::is_timed)
        {
            let late = busy_until.saturating_sub(release);
            let how = found.entry((number, behind)).or_insert(Late { count: 0, most: late, first: release });
            how.count += 1;
            how.most = how.most.max(late);
            how.first = how.first.min(release);
        }
        if last != Some(number) {
            (last, other) = (Some(number), last);
        }
        busy_until = start.saturating_add(estimate);
    }
    found
}
