//! Medians, and one line for each figure.

#![allow(dead_code, reason = "not every benchmark needs all of it")]

use std::time::Duration;

/// Times of one thing, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The value below which this share of all lies.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `p50 12 µs, p99 40 µs, most 55 µs (1000 times)`
    pub fn micros(&self) -> String {
        let at = |share: f64| self.quantile(share).as_secs_f64() * 1e6;
        format!("p50 {:.1} µs, p99 {:.1} µs, most {:.1} µs ({} times)", at(0.5), at(0.99), at(1.0), self.count())
    }

    /// Milliseconds of the median.
    pub fn median(&self) -> f64 {
        self.quantile(0.5).as_secs_f64() * 1e3
    }

    /// `7.1 ms (6.2 to 9.0, 30 times)`
    pub fn text(&self) -> String {
        let ms = |share: f64| self.quantile(share).as_secs_f64() * 1e3;
        format!("{:.1} ms (p10 {:.1}, p90 {:.1}, {} times)", ms(0.5), ms(0.1), ms(0.9), self.0.len())
    }
}

/// A figure that has something to reach.
pub fn verdict(what: &str, measured: &str, reach: &str, good: bool) {
    println!("{} {what}: {measured}  [{reach}]", if good { "reached" } else { "MISSED " });
}

/// A figure for orientation.
pub fn note(what: &str, measured: &str) {
    println!("        {what}: {measured}");
}
