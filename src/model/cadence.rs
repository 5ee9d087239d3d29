//! Cron expressions in a time zone: at which instants they are due.
//!
//! `croner` finds matching dates and times of day on the wall clock; what they are as instants is decided here, once
//! for both directions, so that looking back finds exactly what looking ahead announced. When clocks change:
//!
//! - An expression that lists its hours (`30 2 * * *`, `*/10 2,14 * * *`) fires at each of its times. Those that a
//!   spring change skips fire together, once, right after the gap. Those that an autumn change repeats fire the first
//!   time only.
//! - An expression with `*` in its hour (`*/30 * * * *`, `0 */6 * * *`) is an interval and goes by what the wall clock
//!   shows: a skipped time does not come, and a repeated one comes twice, in order.
//!
//! Vixie cron draws the line in nearly the same place (it also looks for `*` in the minute, and so loses `*/10 2 * * *`
//! in spring). `croner` on its own takes every list of hours for an interval and would lose the run of `30 2,14 * * *`.

use super::Timestamp;
use super::cron::{self, Mistake};
use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, ToSpan as _, Zoned};
use std::fmt;
use std::sync::Arc;

/// The finest step of a cron expression.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A cron expression in an IANA time zone. Equal when both texts are.
#[derive(Clone)]
pub struct Cadence {
    expression: String,
    zone: String,
    // `croner` keeps a table of all years, some 5 KB.
    cron: Arc<Cron>,
    time_zone: TimeZone,
}

/// Why two texts are not a cadence; the variant says which of them is to be mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CadenceError {
    /// The cron expression cannot be read, or never fires.
    #[error("{problem}")]
    Expression {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
    /// The time zone is not in the IANA database.
    #[error("{problem}")]
    Zone {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
}

impl CadenceError {
    /// What to write instead.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Expression { remedy, .. } | Self::Zone { remedy, .. } => remedy,
        }
    }
}

impl Cadence {
    /// Reads a cron expression of five fields, six with the second first, or a nickname such as `@hourly`; and the name
    /// of a time zone. White space is made single, and the zone takes the case of the database.
    ///
    /// # Errors
    /// When the expression is none or never fires, or the zone is not known. The expression is looked at first.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, CadenceError> {
        let (expression, cron) = cron::read(expression)
            .map_err(|Mistake { problem, remedy }| CadenceError::Expression { problem, remedy })?;
        let (zone, time_zone) = find_zone(zone)?;
        Ok(Self { expression, zone, cron: Arc::new(cron), time_zone })
    }

    /// The cron expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the time zone.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// What the clocks of the time zone show at an instant.
    pub fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.time_zone.clone())
    }

    /// The first due time after an instant (never the instant itself). `None` only beyond the year 4999.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.is_interval() { self.next_shown(after) } else { self.next_fixed(after) }
    }

    /// The latest due time at or before an instant. `None` only before the first year that the calendar has.
    pub fn previous(&self, at_or_before: Timestamp) -> Option<Timestamp> {
        if self.is_interval() { self.previous_shown(at_or_before) } else { self.previous_fixed(at_or_before) }
    }

    fn is_interval(&self) -> bool {
        self.cron.pattern.hours.from_wildcard
    }

    /// Interval, ahead: between two changes of the offset the wall clock is a straight line, so each such stretch is
    /// searched by itself.
    fn next_shown(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.time_zone.to_offset(from);
            let shown = self.cron.find_next_occurrence(&offset.to_datetime(from), inclusive).ok()?;
            let due = offset.to_timestamp(shown).ok()?;
            match self.time_zone.following(from).next() {
                Some(change) if change.timestamp() <= due => (from, inclusive) = (change.timestamp(), true),
                _ => return Some(due),
            }
        }
    }

    /// Interval, back.
    fn previous_shown(&self, at_or_before: Timestamp) -> Option<Timestamp> {
        let mut from = at_or_before;
        loop {
            let offset = self.time_zone.to_offset(from);
            let shown = self.cron.find_previous_occurrence(&offset.to_datetime(from), true).ok()?;
            let due = offset.to_timestamp(shown).ok()?;
            match self.change_at_or_before(from) {
                Some(change) if due < change => from = change.checked_sub(SECOND).ok()?,
                _ => return Some(due),
            }
        }
    }

    /// Listed hours, ahead. `instant` never goes back as the wall clock goes on, so the next match is due next.
    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        self.instant(self.cron.find_next_occurrence(&self.reading(after)?, false).ok()?)
    }

    /// Listed hours, back.
    fn previous_fixed(&self, at_or_before: Timestamp) -> Option<Timestamp> {
        self.instant(self.cron.find_previous_occurrence(&self.reading(at_or_before)?, true).ok()?)
    }

    /// What a clock shows that stands still while an hour is repeated: all times up to its reading are over.
    fn reading(&self, instant: Timestamp) -> Option<DateTime> {
        let shown = self.time_zone.to_datetime(instant);
        match self.time_zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Fold { before, after } if self.time_zone.to_offset(instant) == after => {
                let change = self.change_at_or_before(instant)?;
                Some(before.to_datetime(change.checked_sub(SECOND).ok()?))
            }
            _ => Some(shown),
        }
    }

    /// The latest change of the zone's offset.
    fn change_at_or_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let after = instant.checked_add(1.nanosecond()).ok()?;
        self.time_zone.preceding(after).next().map(|change| change.timestamp())
    }

    /// When a time of the wall clock is: the first of two, and the end of the gap for one that is skipped.
    fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        let ambiguous = self.time_zone.to_ambiguous_timestamp(shown);
        let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let earlier = ambiguous.earlier().ok()?;
        if skipped { Some(self.time_zone.following(earlier).next()?.timestamp()) } else { Some(earlier) }
    }
}

/// From the database in the program, never that of the host: two hosts agree, and a bare container has one.
fn find_zone(name: &str) -> Result<(String, TimeZone), CadenceError> {
    let database = TimeZoneDatabase::bundled();
    let found = database.get(name).ok().filter(|zone| !zone.is_unknown());
    if let Some(zone) = found {
        return Ok((zone.iana_name().unwrap_or(name).to_owned(), zone));
    }
    let problem = format!("`{name}` is not a time zone");
    let city = format!("/{}", name.to_ascii_lowercase().replace(' ', "_"));
    let meant = database.available().find(|known| known.as_str().to_ascii_lowercase().ends_with(&city));
    let remedy = match meant {
        Some(known) if !name.is_empty() => format!("write `{known}`"),
        _ => "write a name of the IANA database such as `Europe/Berlin` or `UTC`".to_owned(),
    };
    Err(CadenceError::Zone { problem, remedy })
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.expression, self.zone))
    }
}

impl fmt::Debug for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cadence")
            .field("expression", &self.expression)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Cadence {
    fn eq(&self, other: &Self) -> bool {
        (&self.expression, &self.zone) == (&other.expression, &other.zone)
    }
}

impl Eq for Cadence {}

#[cfg(test)]
#[path = "cadence_tests.rs"]
mod tests;
