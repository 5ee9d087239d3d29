//! Waiting longer after each failure, with jitter so that many waiters do not come back at the same time.

use std::time::Duration;

/// An exponential backoff. Pure: randomness is an argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// Share of the wait that is random, 0 to 1: 0.2 means between 80 % and 100 %.
    pub jitter: f64,
    failures: u32,
}

impl Backoff {
    /// A backoff that doubles from `first` up to `max`, a fifth of it random.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, jitter: 0.2, failures: 0 }
    }

    /// How many failures in a row were counted.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and says how long to wait. `random` is uniform in 0..1.
    pub fn fail(&mut self, random: f64) -> Duration {
        let wait = doubled(self.first, self.failures, self.max);
        self.failures = self.failures.saturating_add(1);
        let share = 1.0 - self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0);
        wait.mul_f64(share)
    }

    /// Something worked: the next failure waits `first` again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `first`, doubled for each failure in a row, and never longer than `max`.
pub fn doubled(first: Duration, failures: u32, max: Duration) -> Duration {
    first.saturating_mul(2u32.saturating_pow(failures.min(30))).min(max)
}

/// `interval` with up to `share` (0 to 1) of it added or taken away. `random` is uniform in 0..1.
pub fn jittered(interval: Duration, share: f64, random: f64) -> Duration {
    let swing = share.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
    interval.mul_f64(1.0 + swing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_up_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(3));
        let waits: Vec<u128> = (0..5).map(|_| backoff.fail(0.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(backoff.failures(), 5);
        backoff.reset();
        assert_eq!(backoff.fail(0.0).as_millis(), 500);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(failures in 0u32..200, random in 0.0f64..1.0) {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(60));
            for _ in 0..failures {
                backoff.fail(random);
            }
            let wait = backoff.fail(random);
            prop_assert!(wait <= Duration::from_secs(60));
            prop_assert!(wait >= Duration::from_millis(79));
        }

        #[test]
        fn jitter_is_symmetric(random in 0.0f64..1.0) {
            let wait = jittered(Duration::from_secs(60), 0.1, random);
            prop_assert!(wait >= Duration::from_secs(54) && wait <= Duration::from_secs(66));
        }
    }
}
