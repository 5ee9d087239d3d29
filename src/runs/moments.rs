//! What happens in a run, for who looks on: from the timekeeper, which never waits for that.

use super::timekeeper::Moment;
use crate::rt::{Alarm, Monotonic, Receiver, Sender, Waker, alarm, queue_of_one};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The timekeeper's end; dropped, nothing more comes.
#[derive(Debug)]
pub struct Onlooker {
    /// `None` while it is dropped.
    sender: Option<Sender<Moment>>,
    waker: Waker,
}

/// The end of who looks on.
#[derive(Debug)]
pub struct Moments {
    receiver: Receiver<Moment>,
    alarm: Alarm,
}

/// Both ends, with room for so many moments; who is further behind misses some.
pub fn moments(room: usize) -> (Onlooker, Moments) {
    let (sender, receiver) = queue_of_one(room);
    let (alarm, waker) = alarm();
    (Onlooker { sender: Some(sender), waker }, Moments { receiver, alarm })
}

impl Onlooker {
    pub(super) fn tell(&self, moment: Moment) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(moment);
            self.waker.wake();
        }
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.waker.wake();
    }
}

impl Moments {
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
    fn an_onlooker_gets_what_fits_waits_for_more_and_sees_the_end() {
        let (onlooker, mut moments) = moments(2);
        let moment = |ms| Moment::Input(Duration::from_millis(ms), Input::Tick);
        (0..3).for_each(|ms| onlooker.tell(moment(ms)));
        assert_eq!((moments.recv(), moments.recv()), (Some(moment(0)), Some(moment(1))));
        assert_eq!(
            moments.recv_timeout(Duration::from_millis(1)),
            Err(RecvTimeoutError::Timeout),
            "the third is missed"
        );
        let telling = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            onlooker.tell(moment(9));
        });
        assert_eq!((moments.recv(), moments.recv()), (Some(moment(9)), None));
        telling.join().unwrap();
    }
}
