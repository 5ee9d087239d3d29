//! Sizes, durations and CPU shares as people write and read them.
//!
//! Sources of the rules: a bare number is seconds for a duration, megabytes for `memory` and bytes for `memlock`
//! (the existing deployment files); a text carries its unit. Each `*_text` is exact: parsing it gives the number back.

use std::time::Duration;

/// Why a text is not a quantity; says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}; write {example}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// Splits `"1.5h"` into number and unit; the number is non-negative and finite.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then_some((number, text[end..].trim()))
}

/// `"500ms"`, `"5s"`, `"1m30s"`, `"2h"`, `"1d"`; a bare number is in units of `bare` (nanoseconds each).
///
/// # Errors
/// When the text is not such a duration or longer than ten years.
pub fn parse_duration(text: &str, bare: Duration) -> Result<Duration, QuantityError> {
    let error =
        || QuantityError { text: text.to_owned(), what: "duration", example: "`\"500ms\"`, `\"5s\"` or `\"1m30s\"`" };
    const LIMIT: f64 = 10.0 * 365.0 * 86_400.0 * 1e9;
    let mut rest = text.trim();
    let mut nanos = 0.0;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let (number, tail) = split(rest).ok_or_else(error)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let unit = match tail[..end].trim() {
            "" if rest.trim() == text.trim() => bare.as_nanos() as f64,
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" | "sec" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            _ => return Err(error()),
        };
        nanos += number * unit;
        rest = &tail[end..];
    }
    if nanos > LIMIT { Err(error()) } else { Ok(Duration::from_nanos(nanos.round() as u64)) }
}

/// `"512MiB"`, `"1G"`, `"64k"`, `"4096"`: bytes. `k m g t` and `Ki Mi Gi Ti` count in 1024, as Docker does;
/// `kB MB GB TB` as well. A bare number is in units of `bare` bytes.
///
/// # Errors
/// When the text is not such a size or is 2^63 bytes or more.
pub fn parse_size(text: &str, bare: u64) -> Result<u64, QuantityError> {
    let error =
        || QuantityError { text: text.to_owned(), what: "size", example: "`512` (MB), `\"512MiB\"` or `\"1G\"`" };
    let (number, unit) = split(text).ok_or_else(error)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" => bare,
        "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        "t" | "tb" | "ti" | "tib" => 1 << 40,
        _ => return Err(error()),
    };
    let bytes = number * unit as f64;
    if bytes < i64::MAX as f64 { Ok(bytes.round() as u64) } else { Err(error()) }
}

/// `"0.5"`, `"2"`: CPUs, as billionths (Docker's `NanoCpus`).
///
/// # Errors
/// When the text is not a number of CPUs above zero.
pub fn parse_cpus(text: &str) -> Result<u64, QuantityError> {
    match split(text) {
        Some((number, "")) if number > 0.0 && number < 1e6 => Ok((number * 1e9).round() as u64),
        _ => Err(QuantityError { text: text.to_owned(), what: "number of CPUs", example: "`0.5` or `2`" }),
    }
}

/// The shortest exact text of a size: `512MiB`, `1GiB`, `1000B`.
pub fn size_text(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// A duration in whole nanoseconds; the longest number stands for all that are longer (584 years).
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The shortest exact text of a duration in one unit: `90s`, `500ms`, `1500us`.
pub fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos.is_multiple_of(size) {
            return format!("{}{unit}", nanos / size);
        }
    }
    format!("{nanos}ns")
}

/// The shortest exact text of billionths of a CPU: `0.5`, `2`.
pub fn cpus_text(nano_cpus: u64) -> String {
    let text = format!("{}.{:09}", nano_cpus / 1_000_000_000, nano_cpus % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_of_quantities_are_exact(bytes in 0u64..1 << 50, nanos in 0u64..1 << 50, cpus in 1u64..1_000_000_000_000_000) {
            prop_assert_eq!(parse_size(&size_text(bytes), 1), Ok(bytes));
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&duration_text(duration), Duration::from_secs(1)), Ok(duration));
            prop_assert_eq!(parse_cpus(&cpus_text(cpus)), Ok(cpus));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*") {
            let _ = (parse_size(&text, 1 << 20), parse_duration(&text, Duration::from_secs(1)), parse_cpus(&text));
        }
    }

    #[test]
    fn a_bare_number_takes_the_unit_of_its_key() {
        assert_eq!(parse_duration("60", Duration::from_secs(1)), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("60", Duration::from_micros(1)), Ok(Duration::from_micros(60)));
        assert_eq!(parse_size("512", 1 << 20), Ok(512 << 20));
        assert_eq!(parse_size("4096000000", 1), Ok(4_096_000_000));
    }

    #[test]
    fn a_duration_may_join_units() {
        assert_eq!(parse_duration("1m30s", Duration::from_secs(1)), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h", Duration::from_secs(1)), Ok(Duration::from_secs(5400)));
        assert!(parse_duration("1m30", Duration::from_secs(1)).is_err());
        assert!(parse_duration("five", Duration::from_secs(1)).is_err());
        assert!(parse_duration("-1s", Duration::from_secs(1)).is_err());
    }
}
