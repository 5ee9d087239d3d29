//! The bars of one row as SVG.

use super::layout::{Drawn, LEAST, cut, drawn, plain};
use super::scale::Scale;
use super::svg_style::{class, patterned};
use super::svg_text::{escape, number};
use super::{Bar, BarState, ChartRow};
use crate::schedule::units::short;
use std::fmt::Write;

/// Height of a row.
pub(super) const ROW: f64 = 30.0;
/// Width of a sign and the space after it.
const SIGN: f64 = 14.0;
/// Average width of a character beside a bar.
const CHARACTER: f64 = 6.1;

/// The bars of a row whose upper edge is at `top`, at most `most`; texts may reach to `right`.
pub(super) fn bars(out: &mut String, row: &ChartRow, scale: &Scale, most: usize, (top, right): (f64, f64)) {
    let drawn = drawn(row, scale, most);
    // The end of what was drawn last, which texts must not cover.
    let mut taken = scale.left;
    let mut signed = f64::NEG_INFINITY;
    let mut above = String::new();
    for (index, one) in drawn.iter().enumerate() {
        let next = drawn.get(index + 1).map_or(right, |next| next.places.0 - 4.0);
        // What went wrong lies above its neighbours, however narrow it is.
        let layer = if wrong(one.bar.state) { &mut above } else { &mut *out };
        let _ = write!(layer, "<g><title>{}</title>", escape(&tooltip(row, one)));
        let end = if one.count() > 1 { several(layer, one, top) } else { single(layer, one.bar, scale, top) };
        notes(layer, one, scale, top, (taken, end, next), &mut signed);
        layer.push_str("</g>\n");
        taken = end.max(taken);
    }
    out.push_str(&above);
}

/// Whether a bar must not be overlooked.
fn wrong(state: BarState) -> bool {
    matches!(state, BarState::Failed | BarState::TimedOut | BarState::Cancelled)
}

fn least(state: BarState) -> f64 {
    if wrong(state) { 2.0 * LEAST } else { LEAST }
}

/// Several bars that cannot be told apart. Returns the last place.
fn several(out: &mut String, one: &Drawn<'_>, top: f64) -> f64 {
    let (from, to) = (one.places.0, one.places.1.max(one.places.0 + least(one.bar.state)));
    let planned = one.bar.actual.is_none();
    let shape = if planned { "plan" } else { class(one.bar.state) };
    rect(out, shape, (from, to), (top + 8.0, 10.0));
    if !planned && patterned(one.bar.state) {
        pattern(out, one.bar.state, (from, to), top);
    }
    to
}

fn single(out: &mut String, bar: &Bar, scale: &Scale, top: f64) -> f64 {
    let mut last = scale.left;
    if let Some((due, end)) = bar.planned {
        let from = scale.place(due);
        let to = scale.place(end.max(due)).max(from + LEAST);
        let unstarted = bar.actual.is_none() && bar.state != BarState::Planned;
        rect(out, if unstarted { "plan void" } else { "plan" }, (from, to), (top + 5.0, 16.0));
        last = last.max(to);
    }
    if let Some((start, end)) = bar.actual {
        let from = scale.place(start);
        let to = scale.place(end.max(start)).max(from + least(bar.state));
        if let (Some(_), Some((due, _))) = (bar.late_start(), bar.planned) {
            let (due, middle) = (number(scale.place(due)), number(top + 13.0));
            let _ = write!(out, r#"<path class="wait" d="M{due} {middle}H{}"/>"#, number(from));
        }
        rect(out, class(bar.state), (from, to), (top + 8.0, 10.0));
        if patterned(bar.state) && to - from >= 4.0 {
            pattern(out, bar.state, (from, to), top);
        }
        if let (Some(_), Some(deadline)) = (bar.overdue(), bar.deadline) {
            let since = scale.place(deadline.max(start));
            rect(out, "over", (since, to.max(since + LEAST)), (top + 23.5, 3.0));
        }
        last = last.max(to);
    }
    if let Some(deadline) = bar.deadline.filter(|deadline| *deadline <= scale.length) {
        let at = scale.place(deadline);
        let (x, a, b) = (number(at), number(at - 3.0), number(at + 3.0));
        let (y, point, foot) = (number(top + 2.0), number(top + 5.5), number(top + 26.5));
        let _ = write!(out, r#"<path class="deadline" stroke-width="1.8" d="M{x} {y}V{foot}"/>"#);
        let _ = write!(out, r#"<path class="deadline" stroke="none" d="M{a} {y}H{b}L{x} {point}Z"/>"#);
        if (at - last).abs() < SIGN + 4.0 {
            last = last.max(at + 2.0);
        }
    }
    last
}

/// Sign and words beside a bar, where there is room between `before`, the bar's `end` and `next`.
fn notes(
    out: &mut String,
    one: &Drawn<'_>,
    scale: &Scale,
    top: f64,
    (before, end, next): (f64, f64, f64),
    signed: &mut f64,
) {
    let (state, from) = (one.bar.state, one.places.0);
    let mut at = end + 5.0;
    if state != BarState::Planned {
        if next - at >= SIGN - 3.0 {
            sign(out, state, (at, top + 8.0), 1.0);
            at += SIGN;
        } else if wrong(state) && from - 4.0 >= *signed {
            // No room beside it: below it, and only where the one before leaves room.
            let x = from.midpoint(end) - 4.0;
            sign(out, state, (x, top + 21.0), 0.8);
            *signed = x + 10.0;
        }
    }
    let words = match one.count() {
        1 => plain(&one.bar.label),
        count if one.bar.label.is_empty() => format!("×{count}"),
        count => format!("×{count} {}", plain(&one.bar.label)),
    };
    if words.is_empty() {
        return;
    }
    let y = number(top + 17.0);
    let width = words.chars().count() as f64 * CHARACTER;
    if width > next - at && width <= from - 10.0 - before {
        let x = number(from - 5.0);
        let _ = write!(out, r#"<text class="note" text-anchor="end" x="{x}" y="{y}">{}</text>"#, escape(&words));
        return;
    }
    // Words do not lie across the deadline.
    if let Some(deadline) = one.bar.deadline.filter(|deadline| *deadline <= scale.length) {
        let place = scale.place(deadline);
        if place > at - 6.0 && place < at + width {
            at = place + 7.0;
        }
    }
    let room = ((next - at) / CHARACTER).max(0.0) as usize;
    let words = cut(&words, room);
    if words.chars().count() > 2 {
        let _ = write!(out, r#"<text class="note" x="{}" y="{y}">{}</text>"#, number(at), escape(&words));
    }
}

/// The sign of a state with its upper left corner at `place`.
pub(super) fn sign(out: &mut String, state: BarState, (x, y): (f64, f64), size: f64) {
    let (class, x, y) = (class(state), number(x), number(y));
    let scale = if size < 1.0 { format!(" scale({size})") } else { String::new() };
    let _ = write!(out, "<g class=\"sign {class}\" transform=\"translate({x} {y}){scale}\">");
    let _ = write!(out, "<use href=\"#s-{class}\"/></g>");
}

/// The pattern of a state over a bar.
pub(super) fn pattern(out: &mut String, state: BarState, (from, to): (f64, f64), top: f64) {
    let (x, y, width) = (number(from), number(top + 8.0), number(to - from));
    let class = class(state);
    let _ = write!(out, r#"<rect fill="url(#p-{class})" x="{x}" y="{y}" width="{width}" height="10" rx="2"/>"#);
}

/// A bar from place to place, at a height and so high.
pub(super) fn rect(out: &mut String, class: &str, (from, to): (f64, f64), (y, height): (f64, f64)) {
    let (x, y, width, height) = (number(from), number(y), number(to - from), number(height));
    let _ = write!(out, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="2"/>"#);
}

/// All there is to know about a bar, in lines.
fn tooltip(row: &ChartRow, one: &Drawn<'_>) -> String {
    let task = plain(&row.task);
    let bar = one.bar;
    if one.count() > 1 {
        let each: Vec<String> = one.states.iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
        let (from, to) = (short(one.times.0), short(one.times.1));
        return format!("{task}: {} times\n{}\nfrom {from} to {to}", one.count(), each.join(", "));
    }
    let mut lines = vec![format!("{task}: {}", bar.state.word())];
    if !bar.label.is_empty() {
        lines.push(plain(&bar.label));
    }
    if let Some((due, end)) = bar.planned {
        let expected = if end > due { format!(", expected to end at {}", short(end)) } else { String::new() };
        lines.push(format!("due at {}{expected}", short(due)));
    }
    if let Some((start, end)) = bar.actual {
        let took = short(end.saturating_sub(start));
        let until = if bar.state == BarState::Running { "so far until" } else { "to" };
        lines.push(format!("ran from {} {until} {} ({took})", short(start), short(end)));
    }
    if let Some(late) = bar.late_start() {
        lines.push(format!("started {} late", short(late)));
    }
    if let Some(deadline) = bar.deadline {
        let missed = bar.overdue().map(|late| format!(", passed by {}", short(late))).unwrap_or_default();
        lines.push(format!("deadline at {}{missed}", short(deadline)));
    }
    lines.join("\n")
}
