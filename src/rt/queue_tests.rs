//! Order, room, ends, and that a sender which was interrupted holds up nobody.

use super::*;
use crate::model::{RealTime, RtPolicy};
use crate::rt::{Monotonic, apply, current};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn values_of_a_sender_come_in_order_and_go_back_when_there_is_no_room() {
    let (sender, mut receiver) = queue(3);
    assert_eq!((sender.send(1), sender.send(2), sender.send(3)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(sender.send(4), Err(NotSent::Full(4)));
    assert_eq!((receiver.take(), receiver.take()), (Some(1), Some(2)));
    assert_eq!((sender.send(4), sender.send(5)), (Ok(()), Ok(())));
    assert_eq!(std::iter::from_fn(|| receiver.take()).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn each_end_notices_that_the_other_is_gone() {
    let (sender, mut receiver) = queue(1);
    let other = sender.clone();
    sender.send(1).unwrap();
    drop(sender);
    assert!(!receiver.is_closed());
    drop(other);
    assert!(receiver.is_closed());
    assert_eq!(receiver.take(), Some(1), "what was sent is not lost");
    let (sender, receiver) = queue(1);
    let value = Arc::new(());
    sender.send(Arc::clone(&value)).unwrap();
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1, "what nobody takes does not stay");
    assert!(matches!(sender.send(value), Err(NotSent::Closed(_))));
}

/// Stops a sender where its value is in its place and does not count yet: the very place where the receiver of another
/// queue would spin until it goes on.
#[test]
fn a_sender_that_is_interrupted_holds_up_neither_the_receiver_nor_other_senders() {
    let (sender, mut receiver) = queue(8);
    let (stopped, has_stopped) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let interrupted = sender.clone();
    let thread = thread::spawn(move || {
        let halfway = || {
            stopped.send(()).unwrap();
            may_go_on.recv().unwrap();
        };
        interrupted.send_with(0, halfway).unwrap();
        interrupted.send(3).unwrap();
    });
    has_stopped.recv().unwrap();
    // All of this returns while the other one stands still, or the test never ends.
    assert_eq!(receiver.take(), None, "what is not whole is not there");
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((receiver.take(), receiver.take(), receiver.take()), (Some(1), Some(2), None));
    go_on.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!((receiver.take(), receiver.take(), receiver.take()), (Some(0), Some(3), None));
}

#[test]
fn more_senders_at_once_than_lanes_are_told_to_try_again() {
    let (sender, mut receiver) = queue(8);
    let mut stopped = Vec::new();
    for number in 0..LANES {
        let (at, is_at) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let sender = sender.clone();
        let halfway = move || {
            at.send(()).unwrap();
            may_go_on.recv().unwrap();
        };
        let thread = thread::spawn(move || sender.send_with(number, halfway).unwrap());
        is_at.recv().unwrap();
        stopped.push((go_on, thread));
    }
    assert_eq!(sender.send(100), Err(NotSent::Full(100)));
    for (go_on, thread) in stopped {
        go_on.send(()).unwrap();
        thread.join().unwrap();
    }
    assert_eq!(std::iter::from_fn(|| receiver.take()).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// Two senders below the receiver, all on one CPU where that is permitted, the receiver woken by its timer all the time.
#[test]
fn under_load_nothing_is_lost_doubled_or_out_of_order() {
    const EACH: u64 = 60_000;
    let (sender, mut receiver) = queue::<(u8, u64)>(256);
    let cpu = current().unwrap().cpus.first().copied();
    let fifo = move |priority| apply(RealTime { policy: RtPolicy::Fifo { priority }, cpu });
    let senders = [0u8, 1].map(|own| {
        let sender = sender.clone();
        thread::spawn(move || {
            let _ = fifo(10 + own);
            for number in 0..EACH {
                let mut value = (own, number);
                while let Err(NotSent::Full(back)) = sender.send(value) {
                    value = back;
                    thread::sleep(Duration::from_micros(50));
                }
            }
        })
    });
    drop(sender);
    let receiving = thread::spawn(move || {
        let _ = fifo(12);
        let mut next = [0u64; 2];
        let (mut alarm, _waker) = crate::rt::alarm();
        while next != [EACH; 2] {
            while let Some((own, number)) = receiver.take() {
                assert_eq!(number, next[usize::from(own)], "sender {own}");
                next[usize::from(own)] += 1;
            }
            alarm.wait_until(Monotonic::now() + Duration::from_micros(30));
        }
        assert_eq!((receiver.take(), receiver.is_closed()), (None, true));
    });
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    receiving.join().unwrap();
}
