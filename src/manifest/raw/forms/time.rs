//! Times within a run, and instants.

use super::error::{Form, FormError};
use crate::model::{Timestamp, parse_duration};
use std::time::Duration;

/// A time that says its unit: these keys stand beside others in which a bare number has one.
pub(in crate::manifest) fn timespan(text: &str) -> Form<Duration> {
    let time = parse_duration(text, Duration::ZERO)?;
    if text.trim().chars().all(|letter| letter.is_ascii_digit() || letter == '.') && text.trim() != "0" {
        let help = format!("write `\"{0}ms\"` or `\"{0}s\"`", text.trim());
        return Err(FormError::new(format!("`{text}` has no unit"), help));
    }
    Ok(time)
}

/// An instant that says its offset from UTC, so that it is the same wherever it is read.
pub(in crate::manifest) fn instant(text: &str) -> Form<Timestamp> {
    text.trim().parse().map_err(|_| {
        let help = "write date, time and offset: `2026-03-01T06:00:00+01:00`, or with `Z` for UTC";
        FormError::new(format!("`{text}` is not an instant"), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_says_its_unit() {
        assert_eq!(timespan("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(timespan("0"), Ok(Duration::ZERO));
        assert!(timespan("100").unwrap_err().message.contains("no unit"));
        assert!(timespan("soon").is_err());
    }

    #[test]
    fn an_instant_says_its_offset() {
        assert_eq!(instant("2026-03-01T06:00:00+01:00"), instant("2026-03-01T05:00:00Z"));
        assert!(instant("2026-03-01T06:00:00").is_err());
        assert!(instant("tomorrow").is_err());
    }
}
