//! The thread that keeps the time of a run: it sleeps until the next instant or input, and sends out what is to be done.

use super::moments::{Moment, MomentSender};
use super::orders::Orders;
use crate::model::Schedule;
use crate::rt::{Alarm, Monotonic, NotSent, Receiver, Sender, Waker, waited};
use crate::schedule::{Effect, Input, Record, RunVerdict, Timeline};
use std::sync::Arc;
use std::time::Duration;

/// A sender that finds no room tries again after this.
const PAUSE: Duration = Duration::from_micros(100);

/// An input and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimedInput {
    pub(super) at: Monotonic,
    pub(super) input: Input,
}

/// Sends inputs to the timekeeper. Cheap to clone. The timekeeper never waits for a sender ([`crate::rt::queue`]).
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) sender: Sender<TimedInput>,
    pub(super) waker: Waker,
}

impl Inbox {
    /// Sends an input. Waits when the timekeeper is far behind; after its end the input is dropped.
    pub(super) fn send(&self, input: Input) {
        let mut input = TimedInput { at: Monotonic::now(), input };
        loop {
            let sent = self.sender.send(input);
            self.waker.wake();
            match sent {
                Ok(()) | Err(NotSent::Closed(_)) => return,
                Err(NotSent::Full(back)) => input = back,
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The result of the thread.
#[derive(Debug, Default)]
pub(super) struct TimekeeperEnd {
    /// How the run ended, and when, after its start.
    pub(super) ended: Option<(Duration, RunVerdict)>,
    /// How long it could have run during the run and had no CPU; `None` where the kernel does not say.
    pub(super) waited: Option<Duration>,
}

/// What the thread works with.
pub(super) struct Timekeeper {
    pub(super) schedule: Arc<Schedule>,
    pub(super) timeline: Timeline,
    pub(super) alarm: Alarm,
    pub(super) inbox: Receiver<TimedInput>,
    pub(super) orders: Orders,
    /// Gets what happens, and each occurrence when it is settled: what has ended is not kept here.
    pub(super) moments: MomentSender,
}

impl Timekeeper {
    /// Keeps the time until the run has ended, and returns how it ended.
    pub(super) fn run(self, start: Monotonic) -> TimekeeperEnd {
        let before = waited();
        let ended = self.keep(start).ended;
        let waited = waited().zip(before).map(|(all, before)| all.saturating_sub(before));
        TimekeeperEnd { ended, waited }
    }

    fn keep(mut self, start: Monotonic) -> Record {
        // The clock of a run has no time before its start.
        while Monotonic::now() < start {
            self.alarm.wait_until(start);
        }
        let mut record = Record::default();
        let mut effects = Vec::with_capacity(2 * self.schedule.tasks.len() + 16);
        while !self.timeline.is_over() {
            while let Some(input) = self.inbox.take() {
                let arrived = input.at.since(start);
                record.input(arrived, &input.input);
                self.show(Moment::Input(arrived, input.input));
                self.timeline.step(since(start), input.input, &mut effects);
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
        while !self.moments.hand_over() {
            std::thread::sleep(PAUSE);
        }
        record
    }

    /// Sends effects first, then records them.
    fn hand_on(&mut self, start: Monotonic, effects: &mut Vec<Effect>, record: &mut Record) {
        let sent = since(start);
        for effect in effects.iter() {
            // There is room for several effects of each task, unless there are very many: then the caller is behind, and needs
            // the CPU more than this thread does. A caller that is gone needs no effects.
            while let Err(NotSent::Full(_)) = self.orders.send(*effect) {
                self.orders.wake();
                std::thread::sleep(PAUSE);
            }
        }
        self.orders.wake();
        for effect in effects.drain(..) {
            record.effect(&self.schedule, sent, &effect);
            self.show(Moment::Effect(sent, effect));
            if let Effect::Settled { task, first, .. } = effect
                && let Some(row) = record.take(task, first)
            {
                self.moments.settled(row);
            }
        }
    }

    fn show(&self, moment: Moment) {
        self.moments.send(moment);
    }
}

/// The time of the run.
fn since(start: Monotonic) -> Duration {
    Monotonic::now().since(start)
}
