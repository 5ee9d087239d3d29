//! What the timekeeper hands to the thread that makes the calls: it never waits for that thread, which has a lower priority.

use crate::rt::{NotSent, Receiver, Sender, queue_of_one};
use crate::schedule::Effect;
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// The timekeeper's end. Dropped, there are no more orders.
#[derive(Debug)]
pub(super) struct Orders {
    /// `None` while it is dropped.
    sender: Option<Sender<Effect>>,
    waker: Arc<AtomicWaker>,
}

/// The end of the thread that makes the calls.
#[derive(Debug)]
pub(super) struct Effects {
    receiver: Receiver<Effect>,
    waker: Arc<AtomicWaker>,
}

/// Orders, with room for so many.
pub(super) fn orders(room: usize) -> (Orders, Effects) {
    let (sender, receiver) = queue_of_one(room);
    let waker = Arc::new(AtomicWaker::new());
    (Orders { sender: Some(sender), waker: Arc::clone(&waker) }, Effects { receiver, waker })
}

impl Orders {
    pub(super) fn send(&self, effect: Effect) -> Result<(), NotSent<Effect>> {
        match &self.sender {
            Some(sender) => sender.send(effect),
            None => Err(NotSent::Closed(effect)),
        }
    }

    /// Lets them be taken. Takes no lock: while the other end is about to wait, that one notices.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.waker.wake();
    }
}

impl Effects {
    /// Takes what is there, at most `limit` of them, and waits for the first; 0 when no more can come. Dropped while it
    /// waits, it has taken nothing.
    pub(super) async fn recv_many(&mut self, batch: &mut Vec<Effect>, limit: usize) -> usize {
        let before = batch.len();
        poll_fn(|context| {
            // Before reading the queue, so that what comes afterwards wakes.
            self.waker.register(context.waker());
            let is_closed = self.receiver.is_closed();
            while batch.len() < before + limit
                && let Some(effect) = self.receiver.take()
            {
                batch.push(effect);
            }
            match batch.len() - before {
                0 if !is_closed => Poll::Pending,
                taken => Poll::Ready(taken),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Attempt, TaskIndex};
    use std::time::Duration;

    fn poll(occurrence: u32) -> Effect {
        Effect::Poll(Attempt { task: TaskIndex(0), occurrence, number: 1 })
    }

    #[tokio::test]
    async fn orders_come_in_batches_in_order_and_end_with_the_timekeeper() {
        let (orders, mut effects) = orders(8);
        let sending = std::thread::spawn(move || {
            for number in 0..100 {
                while orders.send(poll(number)).is_err() {
                    orders.wake();
                    std::thread::yield_now();
                }
                orders.wake();
            }
        });
        let (mut all, mut batch) = (Vec::new(), Vec::new());
        loop {
            let taken = tokio::time::timeout(Duration::from_secs(10), effects.recv_many(&mut batch, 3)).await.unwrap();
            assert!(taken <= 3 && taken == batch.len());
            if taken == 0 {
                break;
            }
            all.append(&mut batch);
        }
        assert_eq!(all, (0..100).map(poll).collect::<Vec<_>>());
        sending.join().unwrap();
    }
}
