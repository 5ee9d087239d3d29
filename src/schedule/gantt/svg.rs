//! The chart as an SVG file: frame, axis, groups and legend.

use super::layout::{Group, cut, groups, length, plain};
use super::scale::{Scale, Tick, ticks};
use super::svg_bar::{ROW, bars, pattern, rect, sign};
use super::svg_style::{DEFINITIONS, STYLE, class, patterned};
use super::svg_text::{escape, number};
use super::{Bar, BarState, Chart};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Where the time axis starts and ends; right of it is room for a sign.
const LEFT: f64 = 212.0;
const RIGHT: f64 = 908.0;
/// Height of a group's heading.
const HEADING: f64 = 26.0;
/// Height of the axis.
const AXIS: f64 = 26.0;
/// Space between groups.
const GAP: f64 = 6.0;
/// Taller charts have a second axis below.
const TALL: usize = 16;
/// So many bars are drawn in all, shared out evenly; about 10 MB.
const BARS: usize = 40_000;
/// So many characters of an id fit before the axis.
const NAME: usize = 24;

/// The chart as an SVG file, 960 wide and as high as its rows need. It is complete in itself: no script, no font, no
/// address; it follows the reader's choice of light or dark.
pub fn svg(chart: &Chart) -> String {
    let groups = groups(chart);
    let scale = Scale { length: length(chart), left: LEFT, right: RIGHT };
    let ticks = ticks(scale.length, 10);
    let rows = chart.rows.len().max(1);
    let above = if chart.subtitle.is_empty() { 46.0 } else { 66.0 };
    let top = above + AXIS;
    let headed = groups.iter().filter(|group| !group.heading.is_empty()).count();
    let bottom = top + rows as f64 * ROW + headed as f64 * (HEADING + GAP);

    let mut body = String::new();
    heading(&mut body, chart);
    for tick in &ticks {
        let (x, from, to) = (number(scale.place(tick.at)), number(top), number(bottom));
        let _ = writeln!(body, r#"<path class="grid" d="M{x} {from}V{to}"/>"#);
    }
    let mut picture = String::new();
    let most = (BARS / rows).clamp(40, 1500);
    let mut y = top;
    for group in &groups {
        y = draw(&mut picture, group, &scale, most, y);
    }
    // Bands lie below the grid, bars above it.
    axis(&mut body, &scale, &ticks, (top, top - 8.0));
    body.push_str(&picture);
    if chart.rows.is_empty() {
        let _ = writeln!(body, r#"<text class="sub" x="{LEFT}" y="{}">no tasks</text>"#, number(top + 19.0));
    }
    let mut end = bottom;
    if rows > TALL {
        axis(&mut body, &scale, &ticks, (bottom, bottom + 16.0));
        end += AXIS - 4.0;
    }
    let end = legend(&mut body, chart, end + 22.0);
    let height = number(end + 8.0);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n",
        escape(&plain(&chart.title)),
        escape(&summary(chart)),
    );
    let _ = writeln!(out, "<style>\n{STYLE}</style>\n{DEFINITIONS}");
    let frame = number(end + 7.0);
    let _ = writeln!(out, r#"<rect class="bg" x="0.5" y="0.5" width="{}" height="{frame}" rx="8"/>"#, WIDTH - 1.0);
    bands(&mut out, &groups, top);
    out.push_str(&body);
    out.push_str("</svg>\n");
    out
}

fn heading(out: &mut String, chart: &Chart) {
    let title = cut(&plain(&chart.title), 90);
    let _ = writeln!(out, r#"<text class="title" x="{MARGIN}" y="36">{}</text>"#, escape(&title));
    if !chart.subtitle.is_empty() {
        let subtitle = cut(&plain(&chart.subtitle), 140);
        let _ = writeln!(out, r#"<text class="sub" x="{MARGIN}" y="56">{}</text>"#, escape(&subtitle));
    }
}

/// The line and its ticks at one height, their texts at another.
fn axis(out: &mut String, scale: &Scale, ticks: &[Tick], (line, texts): (f64, f64)) {
    let (y, below, above) = (number(line), number(line + 3.0), number(line - 3.0));
    let _ = writeln!(out, r#"<path class="axis" d="M{LEFT} {y}H{RIGHT}"/>"#);
    for tick in ticks {
        let x = number(scale.place(tick.at));
        let _ = writeln!(out, r#"<path class="axis" d="M{x} {above}V{below}"/>"#);
        let _ = writeln!(
            out,
            r#"<text class="tick" text-anchor="middle" x="{x}" y="{}">{}</text>"#,
            number(texts),
            escape(&tick.label)
        );
    }
}

/// A heading's stripe, and every second row a shade darker.
fn bands(out: &mut String, groups: &[Group<'_>], top: f64) {
    let mut y = top;
    for group in groups {
        if !group.heading.is_empty() {
            rect(out, "head", (MARGIN - 12.0, WIDTH - 12.0), (y + GAP, HEADING - 4.0));
            y += HEADING + GAP;
        }
        for index in 0..group.rows.len() {
            if index % 2 == 1 {
                rect(out, "band", (MARGIN - 12.0, WIDTH - 12.0), (y, ROW));
            }
            y += ROW;
        }
        out.push('\n');
    }
}

/// Heading and rows of a group, with at most so many bars each, from `y` downwards; returns where the next one starts.
fn draw(out: &mut String, group: &Group<'_>, scale: &Scale, most: usize, mut y: f64) -> f64 {
    if !group.heading.is_empty() {
        let heading = cut(&group.heading, 120);
        let baseline = number(y + GAP + 15.0);
        let _ = writeln!(out, r#"<text class="group" x="{}" y="{baseline}">{}</text>"#, MARGIN - 4.0, escape(&heading));
        y += HEADING + GAP;
    }
    for row in &group.rows {
        let name = plain(&row.task);
        let short = cut(&name, NAME);
        let whole = if short == name { String::new() } else { format!("<title>{}</title>", escape(&name)) };
        let (x, baseline) = (number(MARGIN + 4.0), number(y + 17.0));
        let _ = writeln!(out, r#"<text class="task" x="{x}" y="{baseline}">{whole}{}</text>"#, escape(&short));
        bars(out, row, scale, most, (y, WIDTH - 14.0));
        y += ROW;
    }
    y
}

/// What the shapes of this chart mean; returns the lower edge.
fn legend(out: &mut String, chart: &Chart, top: f64) -> f64 {
    let has = |what: fn(&Bar) -> bool| chart.rows.iter().flat_map(|row| &row.bars).any(what);
    let mut place = (MARGIN, top);
    let mut entry = |out: &mut String, words: &str, shape: &dyn Fn(&mut String, f64, f64)| {
        let width = 42.0 + words.chars().count() as f64 * 6.3 + 14.0;
        if place.0 + width > WIDTH - MARGIN + 18.0 {
            place = (MARGIN, place.1 + 22.0);
        }
        let (x, y) = place;
        out.push_str("<g>");
        shape(out, x, y - 13.0);
        let _ =
            writeln!(out, r#"<text class="key" x="{}" y="{}">{words}</text></g>"#, number(x + 42.0), number(y + 4.0));
        place.0 += width;
    };
    if has(|bar| bar.planned.is_some()) {
        entry(out, "planned", &|out, x, y| rect(out, "plan", (x + 4.0, x + 36.0), (y + 5.0, 16.0)));
    }
    for state in BarState::ALL.into_iter().filter(|state| *state != BarState::Planned) {
        if !chart.rows.iter().flat_map(|row| &row.bars).any(|bar| bar.state == state) {
            continue;
        }
        entry(out, state.word(), &|out, x, y| {
            if state == BarState::Skipped {
                rect(out, "plan void", (x, x + 22.0), (y + 5.0, 16.0));
            } else {
                rect(out, class(state), (x, x + 22.0), (y + 8.0, 10.0));
            }
            if patterned(state) {
                pattern(out, state, (x, x + 22.0), y);
            }
            sign(out, state, (x + 26.0, y + 8.0), 1.0);
        });
    }
    if has(|bar| bar.late_start().is_some()) {
        entry(out, "started late", &|out, x, y| {
            let _ = write!(out, r#"<path class="wait" d="M{} {}h28"/>"#, number(x + 8.0), number(y + 13.0));
        });
    }
    if has(|bar| bar.deadline.is_some()) {
        entry(out, "deadline", &|out, x, y| {
            let (x, y) = (x + 22.0, y + 4.0);
            let _ = write!(out, r#"<path class="deadline" d="M{} {}v18"/>"#, number(x), number(y));
            let _ = write!(
                out,
                r#"<path class="deadline" stroke="none" d="M{} {}h6l-3 3.5Z"/>"#,
                number(x - 3.0),
                number(y)
            );
        });
    }
    if has(|bar| bar.overdue().is_some()) {
        entry(out, "past its deadline", &|out, x, y| rect(out, "over", (x + 8.0, x + 36.0), (y + 11.5, 3.0)));
    }
    place.1 + 10.0
}

/// The chart in a sentence, for those who do not see it.
fn summary(chart: &Chart) -> String {
    let count = |state| chart.rows.iter().flat_map(|row| &row.bars).filter(|bar| bar.state == state).count();
    let counts = BarState::ALL.into_iter().map(|state| (count(state), state.word()));
    let counts: Vec<String> =
        counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let tasks = chart.rows.len();
    format!("{tasks} {}: {}", if tasks == 1 { "task" } else { "tasks" }, counts.join(", "))
}
