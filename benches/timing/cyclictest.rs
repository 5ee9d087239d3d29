//! The kernel's own latency, taken by its usual tool at the same time as ours.

use crate::figures::Times;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer latencies than this, in microseconds, are counted as this.
const LONGEST: usize = 20_000;

/// A `cyclictest` that runs.
pub struct Cyclictest(Child);

impl Cyclictest {
    /// Wakes `count` times, once in each interval, with memory locked and `SCHED_FIFO` 80.
    pub fn start(count: usize, interval: Duration) -> Self {
        let (count, interval) = (count.to_string(), interval.as_micros().to_string());
        let longest = LONGEST.to_string();
        let child = Command::new("cyclictest")
            .args(["-m", "-p", "80", "-q", "-i", &interval, "-l", &count, "-h", &longest])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cyclictest runs: install rt-tests");
        Self(child)
    }

    /// Its latencies, to the microsecond.
    pub fn join(self) -> Times {
        let out = self.0.wait_with_output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let mut times = Times::default();
        for line in text.lines() {
            if let Some(beyond) = line.strip_prefix("# Histogram Overflows:") {
                let count: u64 = beyond.trim().parse().unwrap();
                (0..count).for_each(|_| times.add(Duration::from_micros(LONGEST as u64)));
            }
            let mut words = line.split_whitespace().map(str::parse::<u64>);
            if let (Some(Ok(micros)), Some(Ok(count))) = (words.next(), words.next()) {
                (0..count).for_each(|_| times.add(Duration::from_micros(micros)));
            }
        }
        assert!(times.count() > 0, "cyclictest said nothing: {text}");
        times
    }
}
