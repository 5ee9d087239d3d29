//! Due times whose rows were removed from the fire ledger by age: spans that count as fired.
//!
//! There are several for a schedule: a wall clock that was far in the future for a while leaves one there, and what lies
//! between it and the others was never fired.

use super::ledger::parsed;
use crate::model::Timestamp;
use rusqlite::{Connection, params};

/// The most spans of a schedule; beyond that the two earliest become one.
const SPANS: usize = 64;

/// Due times from `since` to `until`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// The spans of a schedule, earliest first.
pub(super) fn spans(db: &Connection, environment: &str, schedule: &str) -> rusqlite::Result<Vec<Span>> {
    let mut spans = db
        .prepare_cached("SELECT since, due FROM fires_removed WHERE environment = ?1 AND schedule = ?2")?
        .query_map(params![environment, schedule], |row| Ok(Span { since: parsed(row, 0)?, until: parsed(row, 1)? }))?
        .collect::<rusqlite::Result<Vec<Span>>>()?;
    // As texts they are not in the order of time where seconds have fractions.
    spans.sort_by_key(|span| span.since);
    Ok(spans)
}

/// Whether a due time was fired and its row removed.
pub(super) fn has(spans: &[Span], due: Timestamp) -> bool {
    spans.iter().any(|span| span.since <= due && due <= span.until)
}

/// The latest removed due time that is not later than `now`.
pub(super) fn latest(spans: &[Span], now: Timestamp) -> Option<Timestamp> {
    spans.iter().filter(|span| span.since <= now).map(|span| span.until.min(now)).max()
}

/// Adds removed due times, given earliest first. One that stood for missed due times begins a span of its own: those
/// before it were not fired one by one, and may come again when a clock that was ahead is put back.
pub(super) fn add(
    db: &Connection,
    environment: &str,
    schedule: &str,
    removed: &[(Timestamp, bool)],
) -> rusqlite::Result<()> {
    let mut all = spans(db, environment, schedule)?;
    for (due, missed) in removed {
        extend(&mut all, *due, *missed);
    }
    while all.len() > SPANS {
        let first = all.remove(0);
        if let Some(second) = all.first_mut() {
            second.since = first.since;
        }
    }
    db.prepare_cached("DELETE FROM fires_removed WHERE environment = ?1 AND schedule = ?2")?
        .execute(params![environment, schedule])?;
    let mut insert =
        db.prepare_cached("INSERT INTO fires_removed (environment, schedule, since, due) VALUES (?1, ?2, ?3, ?4)")?;
    for span in all {
        insert.execute(params![environment, schedule, span.since.to_string(), span.until.to_string()])?;
    }
    Ok(())
}

fn extend(all: &mut Vec<Span>, due: Timestamp, missed: bool) {
    if has(all, due) {
        return;
    }
    let after = all.partition_point(|span| span.since <= due);
    match after.checked_sub(1).and_then(|before| all.get_mut(before)).filter(|_| !missed) {
        Some(before) => before.until = due,
        None => all.insert(after, Span { since: due, until: due }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn all(removed: &[(i64, bool)]) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        for (due, missed) in removed {
            extend(&mut all, at(*due), *missed);
        }
        all.iter().map(|span| (span.since.as_second(), span.until.as_second())).collect()
    }

    #[test]
    fn removed_due_times_in_a_row_are_one_span_and_what_was_missed_begins_another() {
        assert_eq!(all(&[(1, false), (2, false), (5, false)]), [(1, 5)]);
        assert_eq!(all(&[(1, false), (2, false), (900, true), (901, false)]), [(1, 2), (900, 901)]);
        assert_eq!(all(&[(900, true), (901, false), (1, false), (2, false)]), [(1, 2), (900, 901)]);
    }

    #[test]
    fn a_span_in_the_future_settles_nothing_before_it() {
        let spans = [Span { since: at(1), until: at(5) }, Span { since: at(900), until: at(950) }];
        assert_eq!(latest(&spans, at(100)), Some(at(5)));
        assert_eq!(latest(&spans, at(920)), Some(at(920)));
        assert!(has(&spans, at(5)) && has(&spans, at(900)) && !has(&spans, at(6)));
    }
}
