//! Limits repairs: an object that was repaired several times without lasting effect is held.

use super::context::Context;
use super::input::{AllowedGuard, Repair};
use super::step::{FieldChange, HeldReason, Origin};
use super::subject::Subject;
use super::wish::wish;
use crate::model::{DriftPolicy, FieldKind, Timestamp};
use jiff::SignedDuration;

/// How many repairs of the same fields of one object, one soon after the other, make it count as flapping.
const FLAPPING: usize = 5;
/// How soon the next repair follows when it counts as one of a row. Longer than the longest pause between two repairs.
const SOON: SignedDuration = SignedDuration::from_mins(10);
/// How long a container that does not stay up is left alone: what it waits for may come back.
const HELD_DOWN: SignedDuration = SignedDuration::from_mins(30);
/// How long a fight over fields is left alone.
const HELD_FIELDS: SignedDuration = SignedDuration::from_hours(24);
/// How long a repair has to be remembered.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(25);
/// How often an unhealthy container is restarted before it is recreated.
const RESTARTS: usize = 2;

/// Why what the host changed is not changed back now. Concerns repairs only: a commit is never held here.
pub(super) fn hold_repair(cx: &Context<'_>, subject: &Subject, changes: &[FieldChange]) -> Option<HeldReason> {
    if changes.is_empty() || changes.iter().any(|change| change.origin != Origin::Drift) {
        return None;
    }
    if cx.desired().settings.drift == DriftPolicy::Report {
        return Some(HeldReason::DriftReported);
    }
    let row = row(cx, subject, &fought_over(changes));
    let for_long = if changes.iter().all(is_state) { HELD_DOWN } else { HELD_FIELDS };
    let held = row.times >= FLAPPING && row.last.is_some_and(|last| cx.observed().at.duration_since(last) < for_long);
    let times = u32::try_from(row.times).unwrap_or(u32::MAX);
    (held && !cx.allows(AllowedGuard::Retry, &subject.to_string())).then_some(HeldReason::Flapping { times })
}

/// Whether restarting did not help, so that a container is recreated.
pub(super) fn restarts_in_vain(cx: &Context<'_>, subject: &Subject, changes: &[FieldChange]) -> bool {
    row(cx, subject, &fought_over(changes)).times >= RESTARTS
}

/// The last repairs to the settings that are wanted now that followed soon after each other.
struct Row {
    times: usize,
    last: Option<Timestamp>,
}

fn row(cx: &Context<'_>, subject: &Subject, fields: &str) -> Row {
    let name = subject.to_string();
    let now = cx.observed().at;
    // A clock that was put back leaves repairs in the future; they say nothing.
    let counts = |repair: &&Repair| repair.subject == name && repair.fields == fields && repair.at <= now;
    let mut repairs = cx.input.memory.repairs.iter().filter(counts).peekable();
    let wanted = repairs.peek().map(|_| wish(cx.desired(), subject));
    let mut times: Vec<Timestamp> =
        repairs.filter(|repair| Some(&repair.wish) == wanted.as_ref()).map(|repair| repair.at).collect();
    times.sort_unstable();
    let breaks = |pair: &[Timestamp]| matches!(pair, [a, b] if b.duration_since(*a) > SOON);
    let first = times.windows(2).rposition(breaks).map_or(0, |index| index + 1);
    let last = times.last().copied();
    // A single failure long ago is not the begin of a row.
    let stale = times.len() - first < FLAPPING && last.is_some_and(|last| now.duration_since(last) > SOON);
    Row { times: if stale { 0 } else { times.len() - first }, last }
}

fn is_state(change: &FieldChange) -> bool {
    change.field.kind == FieldKind::State
}

/// The fields that a repair reverts, as one text; if the same text is repeated, something on the host keeps changing them. `state`
/// means an object that no longer exists or is not running.
pub fn fought_over(changes: &[FieldChange]) -> String {
    let fields: Vec<String> =
        changes.iter().filter(|change| !is_state(change)).map(|change| change.field.to_string()).collect();
    if fields.is_empty() { FieldKind::State.as_str().to_owned() } else { fields.join(", ") }
}
