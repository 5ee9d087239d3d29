//! What happens in a run, for whoever shows or records it: sent by the timekeeper, which never waits for a receiver.

use super::details::{Detail, Details};
use crate::rt::{Alarm, Monotonic, NotSent, Receiver, Sender, Waker, alarm, queue_of_one};
use crate::schedule::{Attempt, Effect, Input, Row};
use std::collections::VecDeque;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most settled occurrences that the queue has room for; what is more waits at the timekeeper.
const OCCURRENCES: usize = 1024;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It came in at this time after the run's start.
    Input(Duration, Input),
    /// It was asked for at this time after the run's start.
    Effect(Duration, Effect),
}

/// The timekeeper's end of the queue. When it is dropped, no more moments come.
#[derive(Debug)]
pub struct MomentSender {
    /// `None` while it is dropped.
    sender: Option<Sender<Moment>>,
    settled: Sender<Row>,
    /// Occurrences for which there was no room yet.
    backlog: VecDeque<Row>,
    pub(super) details: Arc<Mutex<Details>>,
    waker: Waker,
}

/// The receiving end of the queue.
#[derive(Debug)]
pub struct Moments {
    receiver: Receiver<Moment>,
    settled: Receiver<Row>,
    details: Arc<Mutex<Details>>,
    alarm: Alarm,
}

/// An occurrence that is settled, with what is known of its attempts beside their times at the orchestrator.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// What happened to it.
    pub row: Row,
    /// Its attempts, in their order.
    pub details: Vec<(Attempt, Detail)>,
}

/// Both ends of the queue, with room for so many moments; a receiver that is further behind misses some. No settled
/// occurrence is missed.
pub fn moments(room: usize) -> (MomentSender, Moments) {
    let (queue, receiver) = queue_of_one(room);
    let (settled, rows) = queue_of_one(room.min(OCCURRENCES));
    let (alarm, waker) = alarm();
    let details = Arc::new(Mutex::new(Details::default()));
    let sender =
        MomentSender { sender: Some(queue), settled, backlog: VecDeque::new(), details: Arc::clone(&details), waker };
    (sender, Moments { receiver, settled: rows, details, alarm })
}

impl MomentSender {
    /// Sends a moment, if there is room for it.
    pub fn send(&self, moment: Moment) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(moment);
            self.waker.wake();
        }
    }

    /// Sends a settled occurrence, after all its moments.
    pub fn settled(&mut self, row: Row) {
        self.backlog.push_back(row);
        self.hand_over();
    }

    /// Sends the occurrences for which there was no room; returns whether all of them are sent. Without a receiver they are
    /// dropped.
    pub fn hand_over(&mut self) -> bool {
        while let Some(row) = self.backlog.pop_front() {
            match self.settled.send(row) {
                Ok(()) => {}
                Err(NotSent::Closed(_)) => self.backlog.clear(),
                Err(NotSent::Full(row)) => {
                    self.backlog.push_front(row);
                    break;
                }
            }
        }
        self.waker.wake();
        self.backlog.is_empty()
    }
}

impl Drop for MomentSender {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.waker.wake();
    }
}

impl Moments {
    /// Occurrences that were settled and not taken yet, at most `most`. All moments of an occurrence come before it.
    pub fn settled(&mut self, most: usize) -> Vec<Occurrence> {
        let rows: Vec<Row> = std::iter::from_fn(|| self.settled.take()).take(most).collect();
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        rows.into_iter().map(|row| Occurrence { details: details.take(row.task, row.occurrence), row }).collect()
    }

    /// The next one, if there is one now.
    pub fn try_recv(&mut self) -> Option<Moment> {
        self.receiver.take()
    }

    /// The next one; `None` when no more can come.
    pub fn recv(&mut self) -> Option<Moment> {
        loop {
            match self.recv_timeout(Duration::from_secs(3600)) {
                Ok(moment) => return Some(moment),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The next one, if it comes within this time.
    ///
    /// # Errors
    /// When it does not, or no more can come.
    pub fn recv_timeout(&mut self, time: Duration) -> Result<Moment, RecvTimeoutError> {
        let until = Monotonic::now() + time;
        loop {
            let is_closed = self.receiver.is_closed();
            match self.receiver.take() {
                Some(moment) => return Ok(moment),
                None if is_closed => return Err(RecvTimeoutError::Disconnected),
                None if Monotonic::now() >= until => return Err(RecvTimeoutError::Timeout),
                None => {
                    self.alarm.wait_until(until);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Input;

    #[test]
    fn a_receiver_gets_what_fits_waits_for_more_and_sees_the_end() {
        let (sender, mut moments) = moments(2);
        let moment = |ms| Moment::Input(Duration::from_millis(ms), Input::Tick);
        (0..3).for_each(|ms| sender.send(moment(ms)));
        assert_eq!((moments.recv(), moments.recv()), (Some(moment(0)), Some(moment(1))));
        assert_eq!(
            moments.recv_timeout(Duration::from_millis(1)),
            Err(RecvTimeoutError::Timeout),
            "the third is missed"
        );
        let telling = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.send(moment(9));
        });
        assert_eq!((moments.recv(), moments.recv()), (Some(moment(9)), None));
        telling.join().unwrap();
    }
}
