//! Handing values to a thread of a higher priority, or from it, without that thread ever waiting for a lower one.
//!
//! A queue in which a sender first claims a place and then fills it makes a receiver of a higher priority spin, for ever on
//! one CPU, when it interrupts the sender between the two; that holds for `std::sync::mpsc` and for most others. Here each
//! sender has a lane of its own while it sends: a ring in which a value counts only once it is complete. The receiver sees
//! complete values only; a lane whose sender was interrupted does not block another one. Numbers given to the values keep
//! those of one sender in their order although it may change lanes.
//!
//! Nothing is allocated after [`queue`].

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

/// Threads that may send at the same time; a further one has to try again.
const LANES: usize = 4;

/// A queue with room for this many values of each of its senders.
pub fn queue<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    with_lanes(LANES, capacity)
}

/// The same for one thread that sends.
pub fn queue_of_one<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    with_lanes(1, capacity)
}

fn with_lanes<T: Send>(lanes: usize, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let lanes: Vec<Arc<Lane<T>>> = (0..lanes).map(|_| Arc::new(Lane::new(capacity.max(1)))).collect();
    let fillers = lanes.iter().map(|lane| Mutex::new(Filler { lane: Arc::clone(lane), given: 0 }));
    let shared = Arc::new(Queue {
        lanes: fillers.collect(),
        next: AtomicU64::new(0),
        senders: AtomicUsize::new(1),
        is_received: AtomicBool::new(true),
    });
    let lanes = lanes.into_iter().map(|lane| Taker { lane, taken: 0 }).collect();
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared, lanes })
}

/// A value with its number.
type Numbered<T> = (u64, T);

/// A ring that one thread fills at a time and one empties. No two ever want the same place, so that its lock, which keeps
/// this free of unsafe code, is never waited for.
#[derive(Debug)]
struct Lane<T> {
    places: Box<[Mutex<Option<Numbered<T>>>]>,
    /// How many values were put in, in total; counted when they are whole.
    given: AtomicUsize,
    /// How many were taken out.
    taken: AtomicUsize,
}

impl<T> Lane<T> {
    fn new(capacity: usize) -> Self {
        let places = (0..capacity).map(|_| Mutex::new(None)).collect();
        Self { places, given: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    fn place(&self, number: usize) -> Option<&Mutex<Option<Numbered<T>>>> {
        self.places.get(number % self.places.len())
    }
}

/// The sending end of a lane.
#[derive(Debug)]
struct Filler<T> {
    lane: Arc<Lane<T>>,
    given: usize,
}

impl<T> Filler<T> {
    /// Puts a value in; gives it back when there is no room. `filled` is called when it is in its place and does not count
    /// yet.
    fn put(&mut self, value: Numbered<T>, filled: impl FnOnce()) -> Result<(), T> {
        if self.given.wrapping_sub(self.lane.taken.load(Ordering::Acquire)) >= self.lane.places.len() {
            return Err(value.1);
        }
        match self.lane.place(self.given).map(Mutex::try_lock) {
            Some(Ok(mut place)) => *place = Some(value),
            Some(Err(TryLockError::Poisoned(place))) => *place.into_inner() = Some(value),
            Some(Err(TryLockError::WouldBlock)) | None => return Err(value.1),
        }
        filled();
        self.given = self.given.wrapping_add(1);
        self.lane.given.store(self.given, Ordering::Release);
        Ok(())
    }
}

/// The receiving end of a lane.
#[derive(Debug)]
struct Taker<T> {
    lane: Arc<Lane<T>>,
    taken: usize,
}

impl<T> Taker<T> {
    /// The number of the value that comes next, if it is whole.
    fn next(&self) -> Option<u64> {
        if self.lane.given.load(Ordering::Acquire) == self.taken {
            return None;
        }
        let place = self.lane.place(self.taken)?.try_lock().ok()?;
        place.as_ref().map(|(number, _)| *number)
    }

    fn take(&mut self) -> Option<T> {
        let value = self.lane.place(self.taken)?.try_lock().ok()?.take()?;
        self.taken = self.taken.wrapping_add(1);
        self.lane.taken.store(self.taken, Ordering::Release);
        Some(value.1)
    }
}

#[derive(Debug)]
struct Queue<T> {
    lanes: Box<[Mutex<Filler<T>>]>,
    /// The number of the next value.
    next: AtomicU64,
    senders: AtomicUsize,
    is_received: AtomicBool,
}

/// Why a value was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent<T> {
    /// There is no room: the receiver is behind. It is the sender's choice whether to wait.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// The sending end; its clones may be on several threads.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Queue<T>>,
}

impl<T> Sender<T> {
    /// Sends a value, or gives it back immediately. Never waits, neither for the receiver nor for another sender.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub fn send(&self, value: T) -> Result<(), NotSent<T>> {
        self.send_with(value, || {})
    }

    fn send_with(&self, value: T, filled: impl FnOnce()) -> Result<(), NotSent<T>> {
        if !self.shared.is_received.load(Ordering::Acquire) {
            return Err(NotSent::Closed(value));
        }
        for lane in &self.shared.lanes {
            let mut lane = match lane.try_lock() {
                Ok(lane) => lane,
                Err(TryLockError::Poisoned(lane)) => lane.into_inner(),
                // Another sender uses it.
                Err(TryLockError::WouldBlock) => continue,
            };
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            return lane.put((number, value), filled).map_err(NotSent::Full);
        }
        Err(NotSent::Full(value))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Queue<T>>,
    lanes: Box<[Taker<T>]>,
}

impl<T> Receiver<T> {
    /// The next value that is whole, if there is one. Never waits for a sender, whatever that one was interrupted in.
    pub fn take(&mut self) -> Option<T> {
        let mut first = self.first()?;
        loop {
            // A sender that changed its lane between two passes has its earlier value in one that was read before. What
            // a further pass finds has a smaller number each time, and at most one of each sender: this ends soon.
            let again = self.first()?;
            if again == first {
                return self.lanes.get_mut(first.1)?.take();
            }
            first = again;
        }
    }

    /// The smallest number among the values that come next, and its lane.
    fn first(&self) -> Option<(u64, usize)> {
        self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.next()?, at))).min()
    }

    /// All senders are gone; what was sent before can still be taken.
    pub fn is_closed(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.is_received.store(false, Ordering::Release);
        // Values that are not taken are dropped here rather than with the last sender.
        for lane in &mut self.lanes {
            while lane.take().is_some() {}
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
