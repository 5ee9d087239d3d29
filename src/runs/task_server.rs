//! A task server of a run: how it is called, what it is, and how its clock relates to the one here.

use super::offset::{Offset, RoundTrip};
use super::start_time::StartTime;
use crate::model::TaskAddress;
use crate::process::clock;
use crate::rt::{Anchor, Monotonic};
use crate::schedule::short_time;
use crate::wire::{Capabilities, ClockReading, Stamp, TaskChannel};
use jiff::SignedDuration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Round trips in which a clock is measured.
const ROUNDS: usize = 4;
/// What was measured this long ago is measured again before a task is sent ahead.
const FRESH: Duration = Duration::from_millis(250);
/// Bound on that; it comes out of the time by which a task is sent ahead.
const MEASURING: Duration = Duration::from_millis(40);
/// A task is not sent ahead to a runner whose clock is known less well: a start over the network would not be later.
const LIMIT: Duration = Duration::from_millis(20);
/// Wall clocks that differ by more are reported; no start depends on them.
const WALL: SignedDuration = SignedDuration::from_millis(100);

/// A task server of a run.
pub(super) struct TaskServer {
    pub(super) channel: TaskChannel,
    pub(super) kind: ServerKind,
    clock: Mutex<Option<Clock>>,
}

/// What is known of a task server.
pub(super) enum ServerKind {
    /// Our own runner.
    Ours(Capabilities),
    /// An existing one.
    Existing,
    /// It could not be reached yet; its events are watched in case it is ours.
    Unknown,
}

/// The clock of a runner.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Whose it is; another one's may be another.
    instance: String,
    relation: ClockRelation,
    /// Its wall clock less the one here.
    wall: SignedDuration,
}

#[derive(Clone, Copy, Debug)]
enum ClockRelation {
    /// It is the one here: the same boot, and no round trip says otherwise.
    Same,
    /// Another one. Also on one host: in a time namespace, or in a machine restored from a snapshot of this one.
    Offset(Offset),
}

impl Clock {
    pub(super) fn of(before: Option<&Self>, reading: &ClockReading, trip: RoundTrip, boot_id: &str) -> Self {
        let one = Offset::of(trip);
        let relation = match before.filter(|before| before.instance == reading.instance).map(|before| before.relation) {
            _ if !boot_id.is_empty() && reading.boot_id == boot_id && one.may_be_none() => ClockRelation::Same,
            Some(ClockRelation::Offset(known)) => ClockRelation::Offset(known.and(trip)),
            Some(ClockRelation::Same) | None => ClockRelation::Offset(one),
        };
        let here = Anchor { wall: clock::now(), monotonic: Monotonic::now() };
        let middle = Monotonic::from_nanos(trip.sent.as_nanos().midpoint(trip.received.as_nanos()));
        let there = SignedDuration::try_from(reading.now.realtime).unwrap_or(SignedDuration::MAX);
        let wall = there.saturating_sub(here.wall(middle).as_duration());
        Self { instance: reading.instance.clone(), relation, wall }
    }

    /// What it shows at the latest at an instant here.
    pub(super) fn latest(&self, here: Monotonic) -> Monotonic {
        match self.relation {
            ClockRelation::Same => here,
            ClockRelation::Offset(offset) => offset.latest_there(here),
        }
    }

    /// Whose it is.
    #[cfg(test)]
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether it is known well enough for what is sent ahead.
    pub(super) fn is_sure(&self, at: Monotonic) -> bool {
        self.uncertainty(at) <= LIMIT
    }

    /// How far it may be off at an instant here.
    fn uncertainty(&self, at: Monotonic) -> Duration {
        match self.relation {
            ClockRelation::Same => Duration::ZERO,
            ClockRelation::Offset(offset) => offset.uncertainty(at),
        }
    }
}

impl TaskServer {
    pub(super) fn new(channel: TaskChannel, kind: ServerKind) -> Self {
        Self { channel, kind, clock: Mutex::new(None) }
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self.kind, ServerKind::Ours(_))
    }

    fn known(&self) -> MutexGuard<'_, Option<Clock>> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures its clock within a bound. When that fails, what was known stays.
    pub(super) async fn measure(&self, boot_id: &str, bound: Duration) {
        let until = tokio::time::Instant::now() + bound;
        let rounds = async {
            for _ in 0..ROUNDS {
                let sent = Monotonic::now();
                let Ok(reading) = self.channel.clock(bound).await else { return };
                let received = Monotonic::now();
                let there = Monotonic::from_nanos(crate::model::nanos(reading.now.monotonic));
                let mut known = self.known();
                let clock = Clock::of(known.as_ref(), &reading, RoundTrip { sent, there, received }, boot_id);
                let is_here = matches!(clock.relation, ClockRelation::Same);
                *known = Some(clock);
                if is_here {
                    return;
                }
            }
        };
        // When the bound is over, what was measured so far counts.
        let _ = tokio::time::timeout_at(until, rounds).await;
    }

    /// The runner, and what its clock shows at the latest at an instant here: what waits for that is never early.
    ///
    /// # Errors
    /// Its clock is not known well enough, and what helps.
    pub(super) async fn agree(&self, boot_id: &str, release: Monotonic) -> Result<(String, Duration), String> {
        let is_fresh = self.known().as_ref().is_some_and(|clock| match clock.relation {
            ClockRelation::Same => true,
            ClockRelation::Offset(offset) => Monotonic::now().since(offset.measured()) <= FRESH,
        });
        if !is_fresh {
            self.measure(boot_id, MEASURING).await;
        }
        if let Some(why) = self.unsure(release) {
            return Err(why);
        }
        let known = self.known();
        // It is not unsure, so it is known.
        let Some(clock) = known.as_ref() else { return Err(String::new()) };
        Ok((clock.instance.clone(), Duration::from_nanos(clock.latest(release).as_nanos())))
    }

    /// Why no task is sent ahead for an instant here, and what helps; `None` when its clock is known well enough.
    pub(super) fn unsure(&self, at: Monotonic) -> Option<String> {
        let address = self.channel.address();
        match self.known().as_ref() {
            None => Some(format!(
                "{address} did not report what its clock shows, so no task is sent ahead to it; it may be an earlier version"
            )),
            Some(clock) if !clock.is_sure(at) => Some(format!(
                "the clock of {address} is known to within {} only, and no task is sent ahead beyond {}: a runner nearer by or \
                 a quieter network helps",
                short_time(clock.uncertainty(at)),
                short_time(LIMIT)
            )),
            Some(_) => None,
        }
    }

    /// That its wall clock is not that of this host. Logs what was measured.
    pub(super) fn wall_remark(&self) -> Option<String> {
        let known = self.known();
        let Some(Clock { relation: ClockRelation::Offset(offset), wall, .. }) = known.as_ref() else { return None };
        let address = self.channel.address();
        let within = offset.uncertainty(Monotonic::now());
        tracing::info!(
            server = %address,
            within_us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX),
            wall_ahead_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            "the clock of a task runner was measured"
        );
        remark_of(address, *wall, within)
    }

    /// The time of the run at which an event happened there, as its runner stamped it.
    pub(super) fn time_of(&self, start: &StartTime, instance: &str, stamp: Stamp) -> Duration {
        let there = Monotonic::from_nanos(crate::model::nanos(stamp.monotonic));
        match self.known().as_ref().filter(|clock| clock.instance == instance).map(|clock| clock.relation) {
            Some(ClockRelation::Same) => there.since(start.monotonic),
            Some(ClockRelation::Offset(offset)) => offset.here(there).since(start.monotonic),
            // For the record alone: as well as both wall clocks agree.
            None => stamp.realtime.saturating_sub(start.wall()),
        }
    }
}

/// That a wall clock differs from the one here, known to within half of `within`.
fn remark_of(address: &TaskAddress, wall: SignedDuration, within: Duration) -> Option<String> {
    let side = if wall.is_negative() { "behind" } else { "ahead of" };
    (wall.abs() > WALL).then(|| {
        format!(
            "the wall clock of {address} is {} {side} the one here; no start depends on it (its clock is known to within {}), \
             but its own logs say other times: NTP keeps both in step",
            short_time(wall.unsigned_abs()),
            short_time(within)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot_id: &str, instance: &str, realtime: Duration) -> ClockReading {
        let now = Stamp { monotonic: Duration::ZERO, realtime };
        ClockReading { instance: instance.to_owned(), boot_id: boot_id.to_owned(), now }
    }

    fn trip(sent: u64, there: u64, received: u64) -> RoundTrip {
        let at = Monotonic::from_nanos;
        RoundTrip { sent: at(sent), there: at(there), received: at(received) }
    }

    #[test]
    fn a_step_of_the_wall_clock_does_not_make_two_hosts_of_one() {
        for wall in [0, 1_000, 4_000_000_000] {
            let reading = reading("boot", "i", Duration::from_secs(wall));
            let clock = Clock::of(None, &reading, trip(10, 15, 20), "boot");
            assert!(matches!(clock.relation, ClockRelation::Same), "whatever its wall clock says: {wall}");
        }
    }

    #[test]
    fn one_boot_id_is_not_enough_for_one_clock() {
        let reading = |boot: &str| reading(boot, "i", Duration::ZERO);
        let apart = |clock: &Clock| matches!(clock.relation, ClockRelation::Offset(_));
        let namespace = Clock::of(None, &reading("boot"), trip(10, 5_000, 20), "boot");
        assert!(apart(&namespace), "a time namespace");
        assert!(apart(&Clock::of(None, &reading("other"), trip(10, 15, 20), "boot")), "another host");
        assert!(apart(&Clock::of(None, &reading(""), trip(10, 15, 20), "")), "no boot id is not the same one");
    }

    #[test]
    fn another_runner_at_the_same_address_has_a_clock_of_its_own() {
        let far = Clock::of(None, &reading("b", "one", Duration::ZERO), trip(0, 9_000_000, 1_000_000), "a");
        let near =
            Clock::of(Some(&far), &reading("b", "one", Duration::ZERO), trip(2_000_000, 10_600_000, 2_200_000), "a");
        let at = Monotonic::from_nanos(2_200_000);
        assert!(near.uncertainty(at) < far.uncertainty(at));
        let anew =
            Clock::of(Some(&near), &reading("b", "two", Duration::ZERO), trip(3_000_000, 11_800_000, 4_000_000), "a");
        assert!(anew.uncertainty(Monotonic::from_nanos(4_000_000)) == Duration::from_millis(1), "nothing is kept");
    }

    #[test]
    fn wall_clocks_that_differ_are_remarked_with_the_remedy() {
        let address = TaskAddress::Tcp("far".to_owned(), 50051);
        let within = Duration::from_micros(300);
        assert_eq!(remark_of(&address, SignedDuration::from_millis(-40), within), None);
        let text = remark_of(&address, SignedDuration::from_millis(-3_200), within).unwrap();
        assert!(text.contains("behind") && text.contains("NTP") && text.contains("far:50051"), "{text}");
    }
}
