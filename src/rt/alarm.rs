//! Waiting until an absolute instant or until another thread calls, whichever comes first.
//!
//! One word in memory holds the state: idle, a thread waits, a call came. The kernel compares it before it puts the waiter to
//! sleep (`FUTEX_WAIT_BITSET`), so a call cannot be lost between the check and the sleep. Nothing is allocated after
//! [`alarm`], and a call without a waiter makes no system call.

use super::clock::Monotonic;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// No thread waits, and no call came since the last wait.
const IDLE: u32 = 0;
/// The alarm's thread sleeps or is about to.
const WAITING: u32 = 1;
/// A call came, and the alarm's thread has not seen it yet.
const CALLED: u32 = 2;

/// A pair of which one end waits and the other wakes it.
pub fn alarm() -> (Alarm, Waker) {
    let state = Arc::new(AtomicU32::new(IDLE));
    (Alarm { state: Arc::clone(&state) }, Waker { state })
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The instant has come. A call at the same moment ends the next wait.
    Due,
    /// A call came, once or more. Says nothing about the instant: read the clock.
    Called,
}

/// The waiting end; one thread has it.
#[derive(Debug)]
pub struct Alarm {
    state: Arc<AtomicU32>,
}

impl Alarm {
    /// Waits until `at` or a call. Never returns [`Wake::Due`] before `at`. Returns immediately when a call came
    /// since the last wait, or when `at` has passed.
    pub fn wait_until(&mut self, at: Monotonic) -> Wake {
        self.sleep(Some(&at.timespec()))
    }

    /// Waits for a call, however long.
    pub fn wait(&mut self) {
        self.sleep(None);
    }

    fn sleep(&mut self, until: Option<&Timespec>) -> Wake {
        const ANY: NonZeroU32 = NonZeroU32::MAX;
        if self.state.compare_exchange(IDLE, WAITING, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // From here on only a call changes the word. A signal and a wake-up for no reason leave it as it is.
            while self.state.load(Ordering::Relaxed) == WAITING {
                // Without FUTEX_CLOCK_REALTIME the time is an absolute one on CLOCK_MONOTONIC.
                if futex::wait_bitset(&self.state, Flags::PRIVATE, WAITING, until, ANY) == Err(Errno::TIMEDOUT) {
                    // When this fails a call came just now, and the next wait finds that.
                    let _ = self.state.compare_exchange(WAITING, IDLE, Ordering::Relaxed, Ordering::Relaxed);
                    return Wake::Due;
                }
            }
        }
        // A swap, not a store: it takes over what every caller wrote before calling.
        self.state.swap(IDLE, Ordering::Acquire);
        Wake::Called
    }
}

/// The calling end. Any number of threads may have one; calls before the next wait count as one.
#[derive(Clone, Debug)]
pub struct Waker {
    state: Arc<AtomicU32>,
}

impl Waker {
    /// Ends the present wait, or the next one. What was written before this call is seen after the wait. Never blocks;
    /// makes a system call only when the alarm's thread sleeps.
    pub fn wake(&self) {
        if self.state.swap(CALLED, Ordering::Release) == WAITING {
            // Fails only for an address that is not mapped, and ours is.
            let _ = futex::wake(&self.state, Flags::PRIVATE, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;
    use std::thread;
    use std::time::Duration;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_alarm_is_never_early(after in 0u64..3_000_000) {
            let (mut alarm, _waker) = alarm();
            let at = Monotonic::now() + Duration::from_nanos(after);
            prop_assert_eq!(alarm.wait_until(at), Wake::Due);
            prop_assert!(Monotonic::now() >= at);
        }
    }

    #[test]
    fn calls_before_a_wait_end_it_at_once_and_only_that_one() {
        let (mut alarm, waker) = alarm();
        waker.wake();
        waker.clone().wake();
        assert_eq!(alarm.wait_until(Monotonic::from_nanos(u64::MAX)), Wake::Called);
        assert_eq!(alarm.wait_until(Monotonic::now() + Duration::from_millis(1)), Wake::Due);
    }

    #[test]
    fn a_call_ends_a_sleep_long_before_its_instant() {
        let (mut alarm, waker) = alarm();
        let caller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        let far = Monotonic::now() + Duration::from_mins(1);
        assert_eq!(alarm.wait_until(far), Wake::Called);
        assert!(Monotonic::now() < far);
        caller.join().unwrap();
        assert_eq!(alarm.state.load(Ordering::Relaxed), IDLE);
    }

    #[test]
    fn an_instant_that_has_passed_is_due_at_once() {
        let (mut alarm, _waker) = alarm();
        assert_eq!(alarm.wait_until(Monotonic::from_nanos(0)), Wake::Due);
    }

    /// One call in each round, at about the instant: it ends this wait or the next one, and never both.
    #[test]
    fn a_call_at_the_instant_ends_one_wait() {
        let (mut alarm, waker) = alarm();
        let (target, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let caller = thread::spawn({
            let (target, done) = (Arc::clone(&target), Arc::clone(&done));
            move || {
                for round in 1u64.. {
                    while done.load(Ordering::Acquire) == target.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                    let at = target.load(Ordering::Acquire);
                    if at == u64::MAX {
                        return;
                    }
                    // The waiter is back up to some 100 µs after its instant; the calls go through all of that.
                    while Monotonic::now().as_nanos() < at + round * 397 % 100_000 {}
                    waker.wake();
                    done.store(at, Ordering::Release);
                }
            }
        });
        let (end, mut due, mut called) = (Monotonic::now() + Duration::from_millis(1_500), 0, 0);
        while Monotonic::now() < end {
            let at = Monotonic::now() + Duration::from_micros(50);
            target.store(at.as_nanos(), Ordering::Release);
            let first = alarm.wait_until(at);
            while done.load(Ordering::Acquire) != at.as_nanos() {
                thread::yield_now();
            }
            let second = alarm.wait_until(Monotonic::from_nanos(0));
            assert_ne!(first, second, "one call and two waits, after {due} due and {called} called");
            *(if first == Wake::Due { &mut due } else { &mut called }) += 1;
        }
        target.store(u64::MAX, Ordering::Release);
        caller.join().unwrap();
        assert!(due > 100, "{due} due and {called} called: too few to say anything");
    }

    /// Callers count up and call; one of them waits each time until its count was seen. Most waits have no instant,
    /// so that a lost call would leave the waiter asleep, and that caller would notice.
    #[test]
    fn no_call_is_lost_under_load() {
        let (mut alarm, waker) = alarm();
        let (sent, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let end = Monotonic::now() + Duration::from_secs(1);
        let patience = Duration::from_secs(2);

        let waiter = thread::spawn({
            let (sent, seen) = (Arc::clone(&sent), Arc::clone(&seen));
            move || {
                let (mut called, mut due) = (0u64, 0u64);
                while sent.load(Ordering::Relaxed) != u64::MAX {
                    // Short instants meet calls at the same moment.
                    if (called + due) % 4 != 0 {
                        alarm.wait();
                        called += 1;
                    } else if alarm.wait_until(Monotonic::now() + Duration::from_micros(20)) == Wake::Due {
                        due += 1;
                    } else {
                        called += 1;
                    }
                    seen.store(sent.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                (called, due)
            }
        });
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (waker, sent, seen) = (waker.clone(), Arc::clone(&sent), Arc::clone(&seen));
                thread::spawn(move || {
                    let mut calls = 0u64;
                    while Monotonic::now() < end {
                        let mine = sent.fetch_add(1, Ordering::Relaxed) + 1;
                        waker.wake();
                        calls += 1;
                        let lost = Monotonic::now() + patience;
                        // The others leave the waiter alone now and then, so that only this call can wake it.
                        while caller == 0 && seen.load(Ordering::Relaxed) < mine {
                            assert!(Monotonic::now() < lost, "call {mine} was lost");
                            thread::yield_now();
                        }
                        if caller != 0 && calls.is_multiple_of(8) {
                            thread::sleep(Duration::from_micros(200));
                        }
                    }
                    calls
                })
            })
            .collect();
        let calls: u64 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        sent.store(u64::MAX, Ordering::Relaxed);
        waker.wake();
        let lost = Monotonic::now() + patience;
        while !waiter.is_finished() {
            assert!(Monotonic::now() < lost, "the last call was lost");
            thread::yield_now();
        }
        let (called, due) = waiter.join().unwrap();
        assert!(calls > 1_000 && called > 500, "{calls} calls, {called} seen, {due} due: too few to say anything");
    }
}
