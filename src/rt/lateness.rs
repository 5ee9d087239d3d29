//! How late things were and how long they took, as a histogram of nanoseconds.
//!
//! Values are kept to three significant digits, so that a percentile is at most 0.1 % off. What is longer than an
//! hour counts as an hour. The counters (about 250 KiB) are there and touched from the start: recording allocates
//! nothing and meets no page for the first time.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest value that is recorded: one hour in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// First byte of the byte form.
const VERSION: u8 = 1;

/// A histogram of latenesses or durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Lateness {
    histogram: Histogram<u64>,
}

impl Default for Lateness {
    fn default() -> Self {
        Self::new()
    }
}

impl Lateness {
    /// One without values.
    ///
    /// # Panics
    /// Never: the bounds are constants that the crate accepts.
    #[expect(clippy::expect_used, reason = "the bounds are constants within what the crate accepts, and tested")]
    pub fn new() -> Self {
        let mut histogram =
            Histogram::new_with_bounds(1, LONGEST, SIGNIFICANT_DIGITS).expect("constant bounds are valid");
        // Writes every counter, so that its pages are there before a real-time thread records.
        histogram.reset();
        Self { histogram }
    }

    /// Counts a value.
    pub fn record(&mut self, value: Duration) {
        self.histogram.saturating_record(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value that `percent` (0 to 100) of the values do not exceed; zero without values.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(percent / 100.0))
    }

    /// The largest value; zero without values.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }

    /// The mean; zero without values.
    pub fn mean(&self) -> Duration {
        // Not negative and at most an hour.
        Duration::from_nanos(self.histogram.mean().round() as u64)
    }

    /// Adds the values of another one.
    pub fn merge(&mut self, other: &Self) {
        for step in other.histogram.iter_recorded() {
            self.histogram.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
    }

    /// The byte form, for a database column: the version 1, then a pair for each value with a count, in rising order:
    /// the difference to the value before it (at first to 0) in nanoseconds, and the count. Numbers are LEB128: seven
    /// bits in a byte, lowest first, the high bit set on all bytes but the last.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut before = 0;
        for step in self.histogram.iter_recorded() {
            put(&mut bytes, step.value_iterated_to() - before);
            put(&mut bytes, step.count_at_value());
            before = step.value_iterated_to();
        }
        bytes
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// When the bytes are not such a form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&version, mut rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let mut lateness = Self::new();
        let (mut value, mut total) = (0u64, 0u64);
        while !rest.is_empty() {
            let (difference, count) = (take(&mut rest)?, take(&mut rest)?);
            value = value.checked_add(difference).ok_or(DecodeError::OutOfRange)?;
            total = total.checked_add(count).ok_or(DecodeError::OutOfRange)?;
            lateness.histogram.record_n(value, count).map_err(|_| DecodeError::OutOfRange)?;
        }
        Ok(lateness)
    }
}

/// Why bytes are not a histogram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Of another version.
    #[error("the histogram has the unknown version {0}")]
    Version(u8),
    /// Ends within a number or a pair.
    #[error("the histogram is cut off")]
    Truncated,
    /// A value of more than an hour, or a number beyond 64 bits.
    #[error("the histogram has a number out of range")]
    OutOfRange,
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut number = 0u64;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let placed = bits.checked_shl(shift).filter(|placed| placed >> shift == bits);
        number |= placed.ok_or(DecodeError::OutOfRange)?;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Lateness {
        let mut lateness = Lateness::new();
        for value in values {
            lateness.record(Duration::from_nanos(*value));
        }
        lateness
    }

    #[test]
    fn without_values_everything_is_zero() {
        let none = Lateness::new();
        assert_eq!((none.count(), none.max(), none.mean()), (0, Duration::ZERO, Duration::ZERO));
        assert_eq!(none.percentile(99.0), Duration::ZERO);
        assert_eq!(Lateness::from_bytes(&none.to_bytes()), Ok(none));
    }

    #[test]
    fn more_than_an_hour_counts_as_an_hour() {
        let long = of(&[u64::MAX]);
        assert_eq!(long.count(), 1);
        let hour = Duration::from_hours(1);
        assert!(long.max() >= hour && long.max() < hour.mul_f64(1.001));
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_thousandth(mut values in vec(0u64..LONGEST, 1..200), percent in 0.0f64..=100.0) {
            let lateness = of(&values);
            values.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let recorded = lateness.percentile(percent).as_nanos() as f64;
            prop_assert!(recorded >= exact && recorded <= exact * 1.001 + 1.0, "{recorded} for {exact}");
        }

        #[test]
        fn bytes_give_the_histogram_back(values in vec(0u64..=2 * LONGEST, 0..200)) {
            let lateness = of(&values);
            prop_assert_eq!(Lateness::from_bytes(&lateness.to_bytes()), Ok(lateness));
        }

        #[test]
        fn merging_is_recording_all(one in vec(0u64..LONGEST, 0..50), two in vec(0u64..LONGEST, 0..50)) {
            let mut merged = of(&one);
            merged.merge(&of(&two));
            let all = of(&[one, two].concat());
            prop_assert_eq!(merged.to_bytes(), all.to_bytes());
            prop_assert_eq!(merged, all);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..40)) {
            let _ = Lateness::from_bytes(&bytes);
            let _ = Lateness::from_bytes(&[&[VERSION], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn what_is_not_a_histogram_is_said_to_be_none() {
        assert_eq!(Lateness::from_bytes(&[]), Err(DecodeError::Truncated));
        assert_eq!(Lateness::from_bytes(&[2]), Err(DecodeError::Version(2)));
        assert_eq!(Lateness::from_bytes(&[1, 5]), Err(DecodeError::Truncated));
        assert_eq!(Lateness::from_bytes(&[1, 0x85]), Err(DecodeError::Truncated));
        let huge = [[1].as_slice(), &[0xff; 10], &[1]].concat();
        assert_eq!(Lateness::from_bytes(&huge), Err(DecodeError::OutOfRange));
    }
}
