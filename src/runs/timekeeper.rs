//! The thread that keeps the time of a run: it sleeps until the next instant or input, and hands on what is to be done.

use crate::model::Schedule;
use crate::rt::{Alarm, Monotonic, Waker};
use crate::schedule::{Effect, Input, Record, Timeline};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;
use tokio::sync::mpsc;

/// An input and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) at: Monotonic,
    pub(super) input: Input,
}

/// Tells the timekeeper what happened. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) sender: SyncSender<Told>,
    pub(super) waker: Waker,
}

impl Inbox {
    /// Hands over an input. Waits when the timekeeper is far behind; one that has ended takes nothing more.
    pub(super) fn tell(&self, input: Input) {
        if self.sender.send(Told { at: Monotonic::now(), input }).is_ok() {
            self.waker.wake();
        }
    }
}

/// Something that happened in a run, for who looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It came in at this time after the run's start.
    Input(Duration, Input),
    /// It was asked for at this time after the run's start.
    Effect(Duration, Effect),
}

/// What the thread works with.
pub(super) struct Timekeeper {
    pub(super) schedule: Arc<Schedule>,
    pub(super) timeline: Timeline,
    pub(super) alarm: Alarm,
    pub(super) inbox: Receiver<Told>,
    pub(super) orders: mpsc::Sender<Effect>,
    /// Onlookers; one that does not keep up misses something.
    pub(super) onlooker: Option<SyncSender<Moment>>,
}

impl Timekeeper {
    /// Keeps the time until the run is over, and says what happened.
    pub(super) fn run(mut self, start: Monotonic) -> Record {
        // The clock of a run has no time before its start.
        while Monotonic::now() < start {
            self.alarm.wait_until(start);
        }
        let mut record = Record::default();
        let mut effects = Vec::with_capacity(2 * self.schedule.tasks.len() + 16);
        while !self.timeline.is_over() {
            while let Ok(told) = self.inbox.try_recv() {
                let arrived = told.at.since(start);
                record.input(arrived, &told.input);
                self.look(Moment::Input(arrived, told.input));
                self.timeline.step(since(start), told.input, &mut effects);
                self.hand_on(start, &mut effects, &mut record);
            }
            let now = since(start);
            match self.timeline.next() {
                Some(next) if next <= now => {
                    self.timeline.step(now, Input::Tick, &mut effects);
                    self.hand_on(start, &mut effects, &mut record);
                }
                _ if self.timeline.is_over() => {}
                Some(next) => {
                    self.alarm.wait_until(start + next);
                }
                None => self.alarm.wait(),
            }
        }
        record
    }

    /// First on their way, then on record.
    fn hand_on(&self, start: Monotonic, effects: &mut Vec<Effect>, record: &mut Record) {
        let sent = since(start);
        for effect in effects.iter() {
            // The queue has room for several effects of each task; a caller that is gone has nothing to do any more.
            if let Err(mpsc::error::TrySendError::Full(effect)) = self.orders.try_send(*effect) {
                let _ = self.orders.blocking_send(effect);
            }
        }
        for effect in effects.drain(..) {
            record.effect(&self.schedule, sent, &effect);
            self.look(Moment::Effect(sent, effect));
        }
    }

    fn look(&self, moment: Moment) {
        if let Some(onlooker) = &self.onlooker {
            let _ = onlooker.try_send(moment);
        }
    }
}

/// The time of the run.
fn since(start: Monotonic) -> Duration {
    Monotonic::now().since(start)
}
