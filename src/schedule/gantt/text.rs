//! The chart as lines of characters, for terminals and code blocks.

use super::layout::{cut, groups, length, plain};
use super::scale::{Scale, ticks};
use super::{Bar, BarState, Chart, ChartRow};
use crate::schedule::units::short;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Narrower is not readable; a smaller width is taken for this one.
const LEAST_WIDTH: usize = 40;
/// Columns of the longest id that is not cut.
const NAMES: usize = 24;
/// Columns at the right end, for states and labels.
const NOTES: usize = 18;

const PLANNED: char = '░';
const RAN: char = '█';
const LATE: char = '▓';
const WAITED: char = '·';
const DEADLINE: char = '┃';

/// The chart in lines of at most `width` columns, each ended by a newline. No colour; backticks become `'`, so that the
/// text can stand in a Markdown code block.
pub fn text(chart: &Chart, width: usize) -> String {
    let width = width.max(LEAST_WIDTH);
    let longest = chart.rows.iter().map(|row| row.task.chars().count()).max().unwrap_or(0);
    // One column more than the longest one has, since it is set in by one.
    let names = (longest + 1).clamp(5, NAMES.min(width / 3));
    let columns = width - names - 4 - NOTES.min(width / 4);
    let notes = width - names - 4 - columns;
    let scale = Scale { length: length(chart), left: 0.0, right: (columns - 1) as f64 };

    let mut lines = Vec::new();
    for heading in [&chart.title, &chart.subtitle] {
        if !heading.is_empty() {
            lines.push(cut(&plain(heading), width));
        }
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let (labels, rule) = axis(&scale, columns);
    lines.push(format!("{:names$}   {labels}", ""));
    lines.push(format!("{:names$}  ┌{rule}", ""));
    let mut used = Used::default();
    for group in groups(chart) {
        if !group.heading.is_empty() {
            lines.push(cut(&group.heading, width));
        }
        for row in group.rows {
            let cells = cells(row, &scale, columns, &mut used);
            let name = cut(&plain(&row.task), names - 1);
            let line = format!(" {name:<inner$}  │{cells} {}", note(row, notes), inner = names - 1);
            lines.push(line.trim_end().to_owned());
        }
    }
    if chart.rows.is_empty() {
        lines.push(format!("{:names$}  │ no tasks", ""));
    }
    lines.push(format!("{:names$}  └{}", "", "─".repeat(columns)));
    lines.extend(used.legend(width));
    let mut text = lines.join("\n").replace('`', "'");
    text.push('\n');
    text
}

/// The texts of the ticks, and the line below them.
fn axis(scale: &Scale, columns: usize) -> (String, String) {
    let most = u32::try_from(columns / 10).unwrap_or(u32::MAX).clamp(1, 10);
    let mut labels = String::new();
    let mut rule: Vec<char> = vec!['─'; columns];
    for tick in ticks(scale.length, most) {
        let column = scale.place(tick.at).round() as usize;
        if let Some(cell) = rule.get_mut(column) {
            *cell = '┬';
        }
        let written = labels.chars().count();
        let size = tick.label.chars().count();
        let start = if column + size > columns { columns.saturating_sub(size) } else { column };
        if written == 0 || start > written {
            labels.push_str(&" ".repeat(start - written));
            labels.push_str(&tick.label);
        }
    }
    (labels, rule.into_iter().collect())
}

/// What the cells of the picture stand for, as far as it has them.
#[derive(Default)]
struct Used {
    cells: BTreeSet<char>,
    states: BTreeSet<BarState>,
}

/// The picture of one row. What is drawn later covers what was drawn before.
fn cells(row: &ChartRow, scale: &Scale, columns: usize, used: &mut Used) -> String {
    let mut cells = vec![' '; columns];
    for layer in [planned, waited, ran, late, deadline] {
        for bar in &row.bars {
            if let Some((from, to, cell)) = layer(bar, scale) {
                cells.iter_mut().take(to + 1).skip(from).for_each(|place| *place = cell);
            }
        }
    }
    used.cells.extend(&cells);
    used.states.extend(row.bars.iter().map(|bar| bar.state));
    cells.into_iter().collect()
}

/// First and last column, and what is drawn there.
type Layer = Option<(usize, usize, char)>;

/// The columns of a stretch of time; an end that falls on a column's start does not fill it.
fn stretch(scale: &Scale, from: Duration, to: Duration, cell: char) -> (usize, usize, char) {
    let first = scale.place(from).round() as usize;
    let last = (scale.place(to).round() as usize).saturating_sub(1).max(first);
    (first, last, cell)
}

fn planned(bar: &Bar, scale: &Scale) -> Layer {
    let (due, end) = bar.planned?;
    Some(stretch(scale, due, end, PLANNED))
}

fn waited(bar: &Bar, scale: &Scale) -> Layer {
    bar.late_start()?;
    Some(stretch(scale, bar.planned?.0, bar.actual?.0, WAITED))
}

fn ran(bar: &Bar, scale: &Scale) -> Layer {
    let (start, end) = bar.actual?;
    Some(stretch(scale, start, end, RAN))
}

fn late(bar: &Bar, scale: &Scale) -> Layer {
    bar.overdue()?;
    let (start, end) = bar.actual?;
    Some(stretch(scale, bar.deadline?.max(start), end, LATE))
}

fn deadline(bar: &Bar, scale: &Scale) -> Layer {
    let deadline = bar.deadline.filter(|deadline| *deadline <= scale.length)?;
    let column = scale.place(deadline).round() as usize;
    Some((column, column, DEADLINE))
}

/// State and label of a single bar; of several, how many there are of each state.
fn note(row: &ChartRow, most: usize) -> String {
    let note = match row.bars.as_slice() {
        [] => String::new(),
        [bar] => {
            let late = || bar.overdue().map(|late| format!("+{}", short(late)));
            let words = if bar.label.is_empty() { late().unwrap_or_default() } else { plain(&bar.label) };
            format!("{} {words}", bar.state.glyph())
        }
        bars => {
            let mut counts: BTreeMap<(u8, char), usize> = BTreeMap::new();
            for bar in bars {
                *counts.entry((u8::MAX - bar.state.weight(), bar.state.glyph())).or_default() += 1;
            }
            let counts: Vec<String> = counts.iter().map(|((_, glyph), count)| format!("{glyph}{count}")).collect();
            counts.join(" ")
        }
    };
    cut(note.trim_end(), most)
}

impl Used {
    /// What stands in the picture, in as many lines as it takes.
    fn legend(&self, width: usize) -> Vec<String> {
        let words = [
            (PLANNED, "planned"),
            (RAN, "ran"),
            (WAITED, "late start"),
            (LATE, "after deadline"),
            (DEADLINE, "deadline"),
        ];
        let cells = words.into_iter().filter(|(cell, _)| self.cells.contains(cell));
        let states = BarState::ALL.into_iter().filter(|state| self.states.contains(state));
        let entries = cells.chain(states.map(|state| (state.glyph(), state.word())));
        let mut lines: Vec<String> = Vec::new();
        for (sign, word) in entries {
            let entry = format!("{sign} {word}");
            match lines.last_mut() {
                Some(line) if line.chars().count() + 3 + entry.chars().count() <= width => {
                    line.push_str("   ");
                    line.push_str(&entry);
                }
                _ => lines.push(entry),
            }
        }
        lines
    }
}
