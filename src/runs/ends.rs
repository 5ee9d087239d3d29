//! Which task of all runs an end notice means, and which notices came before.

use super::flights::{Flight, Flights, only};
use crate::rt::Monotonic;
use crate::wire::EndNotice;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How many notices that ended a task are remembered, for those that come once more.
const TAKEN: usize = 256;

/// The last notices that ended a task.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<Print>);

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
        let each = runs.iter().enumerate();
        let all: Vec<(usize, Flight, bool)> = each
            .flat_map(|(at, run)| run.named(notice, now).into_iter().map(move |(flight, near)| (at, flight, near)))
            .collect();
        // Of several at one server, only one began when the notice says.
        let stamped = only(all.iter().filter(|(_, flight, _)| flight.is_stamped(notice)));
        let near = only(all.iter().filter(|(.., near)| *near));
        stamped.or_else(|| only(all.iter())).or(near).map(|(at, flight, _)| (*at, flight.clone()))
    }

    /// Whether a notice has ended a task before, and comes once more.
    pub(super) fn is_known(&self, notice: &EndNotice) -> bool {
        Print::of(notice).is_some_and(|print| self.0.contains(&print))
    }

    /// A notice has ended a task.
    pub(super) fn took(&mut self, notice: &EndNotice) {
        if let Some(print) = Print::of(notice) {
            self.0.truncate(TAKEN - 1);
            self.0.push_front(print);
        }
    }
}
