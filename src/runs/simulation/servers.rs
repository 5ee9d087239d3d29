//! What task servers do with what they are asked.

use super::parts::{from, stranger};
use super::{Event, Id, MS, SECOND, Simulation, WRAPPER};
use crate::model::nanos;
use crate::runs::calls_in_flight::StartProgress;
use crate::schedule::{End, Input};
use crate::wire::{Arm, EndNotice, through};
use std::time::Duration;

impl Simulation {
    /// A start ahead arrives.
    pub(super) fn armed(&mut self, id: Id, arm: &Arm) {
        let (call, server, way) = (through::arm(arm), self.server(id), self.way());
        let (now, there) = (self.now, &mut self.servers[server]);
        let is_other = call.instance != there.instance.to_string();
        if is_other || there.unwanted.contains(&id) || there.host.monotonic(now) > nanos(call.release + call.late_limit)
        {
            self.runs[id.0].calls.set_progress(id.1, StartProgress::Refused);
            return self.push(way, Event::Tell(id.0, Input::Refused(id.1)));
        }
        there.armed.insert(id, nanos(call.release));
        self.runs[id.0].calls.set_progress(id.1, StartProgress::Armed);
        self.due(server, id);
    }

    /// Waits for the instant of what is armed, by the clock there, and begins it.
    pub(super) fn due(&mut self, server: usize, id: Id) {
        let there = &mut self.servers[server];
        let Some(release) = there.armed.get(&id).copied() else { return };
        let left = release.saturating_sub(there.host.monotonic(self.now));
        if left > 0 {
            // Its clock may be made faster or slower meanwhile: it looks again.
            return self.push((left - left / 1_000).max(1), Event::Due(server, id));
        }
        if there.running.is_none() {
            there.armed.remove(&id);
            self.ahead += 1;
            self.begin(server, id);
        } else {
            self.push(MS, Event::Due(server, id));
        }
    }

    pub(super) fn begin(&mut self, server: usize, id: Id) {
        assert!(self.begun.insert((id, 0)), "seed {}: {id:?} begins twice", self.seed);
        let run = &self.runs[id.0];
        let due = run.schedule.tasks[id.1.task.at()].release.due(id.1.occurrence).unwrap_or_default();
        let instant = run.start + nanos(due);
        assert!(self.now >= instant, "seed {}: {id:?} is {} ns early", self.seed, instant - self.now);
        let wall = self.servers[server].host.stamp(self.now).realtime;
        self.servers[server].running = Some(id);
        self.since.insert(id, (wall, self.now));
        let (way, takes) = (self.way(), self.random.u64(0..400 * MS));
        self.push(way, Event::Acknowledged(id, wall));
        let end = if self.chance(10) { End::Failure } else { End::Success };
        self.push(takes, Event::Over(server, id, end));
    }

    /// A start arrives.
    pub(super) fn start(&mut self, id: Id, until: u64) {
        let (server, way) = (self.server(id), self.way());
        let Some(call) = self.runs[id.0].calls.of(id.1) else { return };
        call.tries(self.here(self.now));
        if self.servers[server].running.is_none() && !self.servers[server].unwanted.contains(&id) {
            return self.begin(server, id);
        }
        call.sent.send_replace(StartProgress::Refused);
        let again = self.now + 20 * MS;
        if self.servers[server].unwanted.contains(&id) || again > until || call.unwanted.is_cancelled() {
            self.push(way, Event::Tell(id.0, Input::Refused(id.1)));
        } else {
            self.push(20 * MS, Event::Start(id, until));
        }
    }

    /// As [`super::stopping::stop`] does it.
    pub(super) fn stop(&mut self, id: Id) {
        let (way, come) = (self.way(), self.runs[id.0].calls.of(id.1).map(|call| call.progress()));
        match come {
            None => {}
            Some(StartProgress::Refused) => self.push(0, Event::Tell(id.0, Input::Stopped(id.1))),
            Some(StartProgress::Armed | StartProgress::Pending | StartProgress::Acknowledged) => {
                // It may end before the request arrives, and something else begin there.
                if self.servers[self.server(id)].running == Some(id) {
                    self.unsure.insert(id);
                }
                self.push(way, Event::StopArrives(id));
            }
        }
    }

    pub(super) fn stop_arrives(&mut self, id: Id) {
        let (server, way) = (self.server(id), self.way());
        let there = &mut self.servers[server];
        there.armed.remove(&id);
        let stopped = if server == WRAPPER { there.running } else { there.running.filter(|running| *running == id) };
        if server != WRAPPER {
            there.unwanted.insert(id);
        }
        if let Some(running) = stopped {
            let is_unsure = self.unsure.contains(&id);
            assert!(running == id || is_unsure, "seed {}: {id:?} stops {running:?}", self.seed);
            self.over(server, running, End::Cancelled);
        }
        self.push(way, Event::Tell(id.0, Input::Stopped(id.1)));
    }

    /// A task ends.
    pub(super) fn over(&mut self, server: usize, id: Id, end: End) {
        if self.servers[server].running != Some(id) {
            return;
        }
        let way = self.way();
        if server != WRAPPER {
            self.servers[server].running = None;
            return self.push(way, Event::Ended(id, end));
        }
        if std::mem::replace(&mut self.servers[server].ending, true) {
            return;
        }
        let ended = self.servers[server].host.stamp(self.now).realtime;
        let (begun, since) = self.since[&id];
        let duration = Some(Duration::from_nanos(self.now - since));
        // It says its own name, and seems to come from its host or, where addresses are translated, from elsewhere.
        let last = if self.chance(50) { 2 } else { 99 };
        let notice =
            EndNotice { start: Some(begun), end: Some(ended), duration, from: from(last), ..stranger("kind", end) };
        // It takes the next start when it has said the end of this one.
        let pause = self.random.u64(0..5 * MS);
        self.push(way + pause, Event::Idle);
        if self.chance(20) {
            let later = self.random.u64(0..3 * SECOND);
            self.push(way + later, Event::Notice(Box::new(notice.clone()), Some(id)));
        }
        if self.chance(5) {
            self.unsure.insert(id);
        } else {
            self.push(way, Event::Notice(Box::new(notice), Some(id)));
        }
    }
}
