//! Which task of all runs an end notice means, and what was learned from those before it.

use super::flights::{Flight, Flights, only};
use crate::model::TaskAddress;
use crate::rt::Monotonic;
use crate::wire::EndNotice;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// How many notices that ended a task are remembered, for those that come once more.
const TAKEN: usize = 256;
/// How many names of task servers are remembered.
const NAMES: usize = 1024;

/// What was learned from notices.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The last notices that ended a task.
    taken: VecDeque<Print>,
    /// Existing task servers by the name that they have said an end under.
    names: BTreeMap<String, TaskAddress>,
}

/// What tells a notice of an existing task server from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Print {
    name: String,
    times: (Option<Duration>, Option<Duration>),
    from: Option<IpAddr>,
}

impl Print {
    /// `None` where a notice says too little: our own runners name the attempt, and who says no times cannot be recognised.
    fn of(notice: &EndNotice) -> Option<Self> {
        let has = notice.run_id.is_empty() && notice.start.is_some() && notice.end.is_some();
        has.then(|| Self {
            name: notice.task_id.clone(),
            times: (notice.start, notice.end),
            from: notice.from.map(|from| from.ip()),
        })
    }
}

impl Ends {
    /// The task that a notice means, and the place of its run. Of several that go by its name the one at the sender's host is
    /// meant, and none when that leaves more than one: a task server that is asked for its state later tells the truth.
    pub(super) fn find(&self, runs: &[&Flights], notice: &EndNotice, now: Monotonic) -> Option<(usize, Flight)> {
        let one = |of: &dyn Fn(&Flights) -> Vec<(Flight, bool)>| {
            let each = runs.iter().enumerate();
            let all: Vec<(usize, Flight, bool)> =
                each.flat_map(|(at, run)| of(run).into_iter().map(move |(flight, near)| (at, flight, near))).collect();
            // Of several at one server, only one began when the notice says.
            let stamped = only(all.iter().filter(|(_, flight, _)| flight.is_stamped(notice)));
            let near = only(all.iter().filter(|(.., near)| *near));
            stamped.or_else(|| only(all.iter())).or(near).map(|(at, flight, _)| (*at, flight.clone()))
        };
        one(&|run| run.named(notice, now)).or_else(|| {
            let is_used = runs.iter().any(|run| run.uses(&notice.task_id));
            let server = self.names.get(&notice.task_id);
            (!is_used).then(|| one(&|run| run.guess(notice, server, now))).flatten()
        })
    }

    /// Whether a notice has ended a task before, and comes once more.
    pub(super) fn is_known(&self, notice: &EndNotice) -> bool {
        Print::of(notice).is_some_and(|print| self.taken.contains(&print))
    }

    /// A notice has ended a task at `server`.
    pub(super) fn took(&mut self, notice: &EndNotice, flight: &Flight, server: Option<&TaskAddress>) {
        if let Some(print) = Print::of(notice) {
            self.taken.truncate(TAKEN - 1);
            self.taken.push_front(print);
        }
        let has_name = notice.run_id.is_empty() && notice.task_id != flight.task.as_str();
        if let Some(server) = server.filter(|_| has_name && self.names.len() < NAMES) {
            self.names.insert(notice.task_id.clone(), server.clone());
        }
    }
}
