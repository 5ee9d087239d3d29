//! How soon a step may be tried again. Pure. The first attempt and the first repair are never delayed; the wait before each further
//! one gets longer, whatever it did. Otherwise a step that fails immediately, or a container that exits immediately, would be tried
//! again as fast as the engine reports its own events. `plan::flapping` decides how often something is repaired in total.

use crate::plan::{Origin, Reason, Step, Subject};
use crate::process::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(300);
/// How long a subject must have needed nothing before its next step counts as the first again.
const QUIET: Duration = Duration::from_secs(600);

/// How long the first wait is; each further one doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tempo {
    /// 100 ms: the host changed meanwhile.
    Soon,
    /// 100 ms once, then as `Later`: a repair failed, because of another fault, or because the engine is shutting down and refuses
    /// starts. The two cannot be distinguished.
    Again,
    /// 1 s.
    Later,
}

impl Tempo {
    fn first(self) -> Duration {
        match self {
            Self::Soon => SOON,
            Self::Again | Self::Later => Duration::from_secs(1),
        }
    }
}

/// What was tried at the current revision.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    tried: BTreeMap<Subject, Tried>,
}

#[derive(Clone, Debug)]
struct Tried {
    backoff: Backoff,
    not_before: Instant,
    failed: bool,
}

impl Pace {
    /// A new revision, or a person, asks to try everything again now.
    pub fn clear(&mut self) {
        self.tried.clear();
    }

    /// How long the subject has to wait, and how often it was tried; `None` is not at all.
    pub fn wait(&self, subject: &Subject, now: Instant) -> Option<(Duration, u32)> {
        let tried = self.tried.get(subject)?;
        let left = tried.not_before.checked_duration_since(now)?;
        (!left.is_zero()).then(|| (left, tried.backoff.failures()))
    }

    /// When the first of those that wait may be tried again.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.tried.values().map(|tried| tried.not_before).filter(|at| *at > now).min()
    }

    /// A step was tried, with whatever result. `random` is uniform in 0..1.
    pub fn tried(&mut self, subject: &Subject, tempo: Tempo, now: Instant, random: f64) {
        let entry = self.tried.entry(subject.clone()).or_insert_with(|| Tried {
            backoff: Backoff::new(tempo.first(), MAX),
            not_before: now,
            failed: false,
        });
        let first = entry.backoff.failures() == 0;
        let wait = entry.backoff.fail(random);
        entry.not_before = now + if first && tempo == Tempo::Again { SOON } else { wait };
        entry.failed = false;
    }

    /// The last try of a subject failed.
    pub fn failed(&mut self, subject: &Subject) {
        if let Some(entry) = self.tried.get_mut(subject) {
            entry.failed = true;
        }
    }

    /// The subjects whose last try failed.
    pub fn failing(&self) -> BTreeSet<Subject> {
        self.tried.iter().filter(|(_, tried)| tried.failed).map(|(subject, _)| subject.clone()).collect()
    }

    /// Drops what has needed nothing for long enough. `wanted` says whether a plan still asks for a subject.
    pub fn keep(&mut self, wanted: impl Fn(&Subject) -> bool, now: Instant) {
        self.tried.retain(|subject, tried| wanted(subject) || now.saturating_duration_since(tried.not_before) < QUIET);
    }
}

/// Whether a step only takes back what the host did.
pub fn is_repair(step: &Step) -> bool {
    match step.reason {
        Reason::Vanished | Reason::NotRunning(_) | Reason::Unhealthy | Reason::Suspended => true,
        Reason::Changed => !step.changes.is_empty() && step.changes.iter().all(|it| it.origin == Origin::Drift),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeName;
    use crate::process::clock;

    #[test]
    fn waits_longer_each_time_and_starts_over() {
        let mut pace = Pace::default();
        let (api, now) = (Subject::Container(NodeName::local(), "api".to_owned()), clock::monotonic());
        assert_eq!(pace.wait(&api, now), None);
        pace.tried(&api, Tempo::Later, now, 0.0);
        assert_eq!(pace.wait(&api, now), Some((Duration::from_secs(1), 1)));
        pace.tried(&api, Tempo::Later, now, 0.0);
        assert_eq!(pace.wait(&api, now), Some((Duration::from_secs(2), 2)));
        assert_eq!(pace.next(now), Some(now + Duration::from_secs(2)));
        assert_eq!(pace.wait(&api, now + Duration::from_secs(2)), None);
        assert_eq!(pace.next(now + Duration::from_secs(2)), None, "it is due, not waiting");
        pace.keep(|_| false, now + Duration::from_secs(60));
        pace.tried(&api, Tempo::Later, now, 0.0);
        assert_eq!(pace.wait(&api, now), Some((Duration::from_secs(4), 3)), "a minute is not enough to start over");
        pace.keep(|_| false, now + Duration::from_secs(605));
        pace.tried(&api, Tempo::Later, now, 0.0);
        assert_eq!(pace.wait(&api, now), Some((Duration::from_secs(1), 1)), "it was as it should be for ten minutes");
    }

    #[test]
    fn a_repair_that_fails_is_tried_again_at_once_and_then_with_long_waits() {
        let mut pace = Pace::default();
        let (api, begin) = (Subject::Container(NodeName::local(), "api".to_owned()), clock::monotonic());
        let mut now = begin;
        let waits: Vec<u128> = (0..4)
            .map(|_| {
                pace.tried(&api, Tempo::Again, now, 0.0);
                let (wait, _) = pace.wait(&api, now).unwrap();
                now += wait;
                wait.as_millis()
            })
            .collect();
        assert_eq!(waits, [100, 2000, 4000, 8000]);
    }
}
