//! Health checks.

use crate::model::{Healthcheck, Test};
use bollard::models::HealthConfig;
use std::time::Duration;

/// Docker's form: the first word says how the rest is run; times are in nanoseconds, and 0 means the image's value.
pub(super) fn write(check: &Healthcheck) -> HealthConfig {
    let nanos = |time: Option<Duration>| time.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    let test = match &check.test {
        Test::Disabled => vec!["NONE".to_owned()],
        Test::Inherit => Vec::new(),
        Test::Exec(words) => [&["CMD".to_owned()], words.as_slice()].concat(),
        Test::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
    };
    HealthConfig {
        test: Some(test),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries.map(i64::from),
        start_period: nanos(check.start_period),
        start_interval: None,
    }
}

/// From Docker's form; an empty check is absent.
pub(in super::super) fn read(check: &HealthConfig) -> Option<Healthcheck> {
    let time = |nanos: Option<i64>| {
        nanos.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    };
    let words = check.test.as_deref().unwrap_or_default();
    let test = match words.split_first() {
        None => Test::Inherit,
        Some((first, rest)) => match (first.as_str(), rest) {
            ("NONE", _) => Test::Disabled,
            ("CMD-SHELL", [line]) => Test::Shell(line.clone()),
            ("CMD-SHELL", rest) => Test::Shell(rest.join(" ")),
            ("CMD", rest) => Test::Exec(rest.to_vec()),
            _ => Test::Exec(words.to_vec()),
        },
    };
    let check = Healthcheck {
        test,
        interval: time(check.interval),
        timeout: time(check.timeout),
        retries: check.retries.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0),
        start_period: time(check.start_period),
    };
    let says_nothing = check.test == Test::Inherit
        && check.interval.is_none()
        && check.timeout.is_none()
        && check.retries.is_none()
        && check.start_period.is_none();
    (!says_nothing).then_some(check)
}
