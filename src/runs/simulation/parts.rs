//! The parts of the simulation.

use crate::manifest;
use crate::model::{FileEntry, FileKind, FileTree, Schedule, Target};
use crate::schedule::End;
use crate::wire::{EndNotice, Stamp, TaskResult};
use std::sync::Arc;
use std::time::Duration;

/// The clocks of a host: a monotonic one that goes a little faster or slower than the one here, and a wall clock.
pub(super) struct Host {
    pub(super) since: u64,
    pub(super) shown: u64,
    /// Millionths by which it is fast.
    pub(super) fast: i64,
    /// Its wall clock less its monotonic one.
    pub(super) wall: u64,
}

impl Host {
    pub(super) fn monotonic(&self, now: u64) -> u64 {
        let gone = (now - self.since).cast_signed();
        self.shown + (gone + gone * self.fast / 1_000_000).cast_unsigned()
    }

    pub(super) fn stamp(&self, now: u64) -> Stamp {
        let monotonic = self.monotonic(now);
        Stamp { monotonic: Duration::from_nanos(monotonic), realtime: Duration::from_nanos(monotonic + self.wall) }
    }
}

pub(super) fn from(last: u8) -> Option<std::net::SocketAddr> {
    Some(([10, 0, 0, last], 9).into())
}

pub(super) fn server_of(target: &Target) -> usize {
    let Target::Address(address) = target else { panic!("{target} is no address") };
    usize::from(address.place().expect("each task has a server").1) - 1
}

/// A notice that says as little as can be.
pub(super) fn stranger(name: &str, end: End) -> EndNotice {
    let result = match end {
        End::Success => TaskResult::Success,
        End::Cancelled => TaskResult::Cancelled,
        End::Failure | End::Timeout => TaskResult::Failure,
    };
    EndNotice::new(name, result)
}

pub(super) fn schedule(run: usize, random: &mut fastrand::Rng) -> Schedule {
    let mut ms = |from: u32, to: u32| random.u32(from..to);
    let text = format!(
        "schedule:\n  name: s\n  \
         defaults: {{timeout: 3s, start_timeout: 2s, lease: 1s, grace: 500ms, max_retries: 1, retry_delay: 100ms}}\n  tasks:\n    \
         - {{id: a{run}, address: \"h:1\", scheduled_time: {}ms, period: {}ms, count: 8}}\n    \
         - {{id: b{run}, address: \"h:2\", scheduled_time: {}ms, period: {}ms, count: 6}}\n    \
         - {{id: c{run}, address: \"h:3\", scheduled_time: {}ms, period: {}ms, count: 5, deadline: 700ms}}\n    \
         - {{id: d{run}, address: \"h:3\", mode: sequential, depends_on: c{run}, start_timeout: 300ms}}\n    \
         - {{id: e{run}, address: \"h:1\", mode: sequential, depends_on: d{run}}}\n",
        ms(100, 900),
        ms(150, 900),
        ms(100, 900),
        ms(150, 900),
        ms(100, 900),
        ms(150, 900),
    );
    let content: Arc<[u8]> = text.as_bytes().into();
    let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
    let mut tree = FileTree::default();
    tree.files.insert("schedules/s.yaml".to_owned(), entry);
    let compiled = manifest::compile(&tree).unwrap_or_else(|report| panic!("{report}"));
    compiled.schedules.into_values().next().unwrap()
}
