//! The priority of the thread that serves: above that of every task it has accepted, so that a task which never waits cannot
//! keep a request to stop it from being read.
//!
//! It follows the tasks instead of being the highest all the time: work for the network then has a real-time priority only
//! while a real-time task is accepted, and one step above that task, not above everything on the machine. A task that asks
//! for so much that nothing is left above it gets the priority below the server's, and that is reported.

use crate::model::{RealTime, RtPolicy};
use crate::rt::{Thread, apply, current};

/// The highest there is.
const HIGHEST: u8 = 99;

/// The priority of the serving thread; it has to be asked on that thread.
#[derive(Debug)]
pub(super) struct ServerPriority {
    /// What it has without tasks.
    base: u8,
    /// What it has; 0 is none of real time.
    own: u8,
    /// Sets it for the calling thread; says whether it is in force.
    set: fn(RtPolicy) -> bool,
}

impl ServerPriority {
    /// For the calling thread, which serves.
    pub(super) fn new() -> Self {
        let base = current().ok().and_then(|in_force| priority(in_force.policy)).unwrap_or(0);
        Self { base, own: base, set: |policy| apply(RealTime { policy, cpu: None }).policy.is_ok() }
    }

    /// Raises the server above a task. Returns what the task can have, and why that is less than it asked for.
    pub(super) fn raise_above(&mut self, asked: RealTime) -> (RealTime, Option<String>) {
        let Some(priority) = priority(asked.policy) else { return (asked, None) };
        for own in [priority.saturating_add(1).min(HIGHEST), priority] {
            if own > self.own && (self.set)(RtPolicy::Fifo { priority: own }) {
                self.own = own;
            }
        }
        // Not even this thread may be real-time: then the task is refused the setting as well, with the reason.
        if priority < self.own || self.own < 2 {
            return (asked, None);
        }
        let highest = self.own - 1;
        let policy = match asked.policy {
            RtPolicy::RoundRobin { .. } => RtPolicy::RoundRobin { priority: highest },
            _ => RtPolicy::Fifo { priority: highest },
        };
        let why = too_high(asked.policy, self.own);
        (RealTime { policy, cpu: asked.cpu }, Some(why))
    }

    /// Back to the base, when none of the tasks that are left is real-time.
    pub(super) fn lower(&mut self, mut left: impl Iterator<Item = RealTime>) {
        if self.own > self.base && !left.any(|one| priority(one.policy).is_some()) {
            let base = if self.base == 0 { RtPolicy::Other } else { RtPolicy::Fifo { priority: self.base } };
            (self.set)(base);
            self.own = self.base;
        }
    }
}

/// Which of these settings a task here could not have, each by its index: they are tried on a thread of its own, which
/// ends after that.
pub(super) fn refused_here(wishes: &[RealTime]) -> Vec<(usize, String)> {
    let one = |asked: &RealTime| {
        let applied = apply(*asked);
        let mut refused: Vec<String> = applied.refusals().map(ToString::to_string).collect();
        if let (true, Some(wish)) = (refused.is_empty(), priority(asked.policy))
            && (wish == HIGHEST
                || apply(RealTime { policy: RtPolicy::Fifo { priority: wish + 1 }, cpu: None }).policy.is_err())
        {
            refused.push(too_high(asked.policy, wish));
        }
        refused.join("; ")
    };
    let all = || {
        let thread = Thread::current();
        let each = |wish| {
            let refused = one(wish);
            let _ = thread.apply(RealTime { policy: RtPolicy::Other, cpu: None });
            refused
        };
        wishes.iter().map(each).enumerate().filter(|(_, refused)| !refused.is_empty()).collect()
    };
    std::thread::scope(|scope| {
        let trying = std::thread::Builder::new().name("task-trial".to_owned()).spawn_scoped(scope, all);
        trying.ok().and_then(|trying| trying.join().ok()).unwrap_or_default()
    })
}

fn too_high(asked: RtPolicy, own: u8) -> String {
    format!(
        "{0} {1} was not applied: the thread that reads the request to stop a task stands above it, and may have {own} at \
         most; ask for {2}, which is in force",
        asked.name(),
        priority(asked).unwrap_or_default(),
        own.saturating_sub(1)
    )
}

/// `SCHED_DEADLINE` has none, and needs none above it: the kernel ends each of its turns.
fn priority(policy: RtPolicy) -> Option<u8> {
    match policy {
        RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => Some(priority),
        RtPolicy::Other | RtPolicy::Deadline { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fifo(priority: u8) -> RealTime {
        RealTime { policy: RtPolicy::Fifo { priority }, cpu: None }
    }

    fn server_with(set: fn(RtPolicy) -> bool) -> ServerPriority {
        ServerPriority { base: 0, own: 0, set }
    }

    #[test]
    fn the_server_stands_above_every_task_and_comes_down_after_them() {
        let mut server = server_with(|_| true);
        assert_eq!(server.raise_above(fifo(40)), (fifo(40), None));
        assert_eq!(server.own, 41);
        assert_eq!(server.raise_above(fifo(10)), (fifo(10), None));
        assert_eq!(server.own, 41, "a lower task does not bring it down");
        server.lower([fifo(10)].into_iter());
        assert_eq!(server.own, 41);
        server.lower([RealTime { policy: RtPolicy::Other, cpu: Some(1) }].into_iter());
        assert_eq!(server.own, 0);
    }

    #[test]
    fn a_task_at_the_top_gets_the_priority_below_the_server_and_is_told() {
        let mut server = server_with(|_| true);
        let (had, why) = server.raise_above(RealTime { policy: RtPolicy::RoundRobin { priority: 99 }, cpu: Some(1) });
        assert_eq!(had, RealTime { policy: RtPolicy::RoundRobin { priority: 98 }, cpu: Some(1) });
        assert!(why.unwrap().starts_with("rr 99 was not applied"));
    }

    #[test]
    fn what_is_tried_for_one_wish_does_not_stay_for_the_next() {
        let other = RealTime { policy: RtPolicy::Other, cpu: None };
        let wishes = [other, RealTime { cpu: Some(100_000), ..other }, other, fifo(99), other];
        let refused = refused_here(&wishes);
        let places: Vec<usize> = refused.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [1, 3], "{refused:?}");
        assert_eq!(current().unwrap().policy, RtPolicy::Other, "and nothing of it reaches who asks");
    }

    #[test]
    fn who_may_not_be_real_time_leaves_the_reason_to_the_task() {
        let mut server = server_with(|_| false);
        assert_eq!(server.raise_above(fifo(40)), (fifo(40), None));
    }

    proptest! {
        #[test]
        fn no_task_reaches_the_server(asked in proptest::collection::vec(1u8..=99, 1..8), limit in 2u8..=99) {
            thread_local!(static LIMIT: std::cell::Cell<u8> = const { std::cell::Cell::new(0) });
            LIMIT.set(limit);
            let mut server = server_with(|wish| priority(wish).is_none_or(|priority| priority <= LIMIT.get()));
            for wish in asked {
                let (had, why) = server.raise_above(fifo(wish));
                let had = priority(had.policy).unwrap();
                // Beyond the limit the kernel refuses the task itself.
                prop_assert!(had < server.own || had > limit, "{wish} has {had}, the server {}", server.own);
                prop_assert_eq!(why.is_some(), had != wish);
            }
        }
    }
}
