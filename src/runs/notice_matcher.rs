//! Which task of all runs an end notice means, and whether the notice is a repetition.

use super::calls_in_flight::{CallInFlight, CallsInFlight, only};
use crate::rt::Monotonic;
use crate::wire::EndNotice;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How many notices that ended a task are remembered, to recognise repetitions.
const TAKEN: usize = 256;

/// Matches notices with tasks; knows the last notices that ended one.
#[derive(Debug, Default)]
pub(super) struct NoticeMatcher(VecDeque<Fingerfingerprint>);

/// What distinguishes a notice of an existing task server from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fingerfingerprint {
    name: String,
    times: (Option<Duration>, Option<Duration>),
    from: Option<IpAddr>,
}

impl Fingerfingerprint {
    /// `None` where a notice says too little: our own runners name the attempt, and a notice without times cannot be recognised.
    fn of(notice: &EndNotice) -> Option<Self> {
        let has = notice.run_id.is_empty() && notice.start.is_some() && notice.end.is_some();
        has.then(|| Self {
            name: notice.task_id.clone(),
            times: (notice.start, notice.end),
            from: notice.from.map(|from| from.ip()),
        })
    }
}

impl NoticeMatcher {
    /// The task that a notice means, and the place of its run. Of several that go by its name the one at the sender's host is
    /// meant, and none when that leaves more than one: the task server will be asked for the state later.
    pub(super) fn find(
        &self,
        runs: &[&CallsInFlight],
        notice: &EndNotice,
        now: Monotonic,
    ) -> Option<(usize, CallInFlight)> {
        let each = runs.iter().enumerate();
        let all: Vec<(usize, CallInFlight, bool)> = each
            .flat_map(|(at, run)| run.named(notice, now).into_iter().map(move |(call, near)| (at, call, near)))
            .collect();
        // Of several at one server, only one began when the notice says.
        let stamped = only(all.iter().filter(|(_, call, _)| call.is_stamped(notice)));
        let near = only(all.iter().filter(|(.., near)| *near));
        stamped.or_else(|| only(all.iter())).or(near).map(|(at, call, _)| (*at, call.clone()))
    }

    /// Whether a notice has ended a task before, and comes once more.
    pub(super) fn is_repeated(&self, notice: &EndNotice) -> bool {
        Fingerfingerprint::of(notice).is_some_and(|fingerprint| self.0.contains(&fingerprint))
    }

    /// Remembers a notice that has ended a task.
    pub(super) fn remember(&mut self, notice: &EndNotice) {
        if let Some(fingerprint) = Fingerfingerprint::of(notice) {
            self.0.truncate(TAKEN - 1);
            self.0.push_front(fingerprint);
        }
    }
}
