//! What both pictures share: rows in groups, and bars that fall into one place drawn as one.

use super::{Bar, BarState, Chart, ChartRow, scale::Scale};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows that run at one place.
pub(super) struct Group<'a> {
    /// `CPU 2 · host:port`.
    pub(super) heading: String,
    /// In the chart's order.
    pub(super) rows: Vec<&'a ChartRow>,
}

/// The rows by CPU and lane, in the order in which these come first.
pub(super) fn groups(chart: &Chart) -> Vec<Group<'_>> {
    let mut numbers: BTreeMap<(Option<u32>, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in &chart.rows {
        let number = *numbers.entry((row.cpu, row.lane.as_str())).or_insert(groups.len());
        if number == groups.len() {
            let lane = plain(&row.lane);
            let heading = match row.cpu {
                Some(cpu) if lane.is_empty() => format!("CPU {cpu}"),
                Some(cpu) => format!("CPU {cpu} · {lane}"),
                None => lane,
            };
            groups.push(Group { heading, rows: Vec::new() });
        }
        if let Some(group) = groups.get_mut(number) {
            group.rows.push(row);
        }
    }
    groups
}

/// The chart's length, or more when a bar reaches beyond it.
pub(super) fn length(chart: &Chart) -> Duration {
    let ends = chart.rows.iter().flat_map(|row| &row.bars).filter_map(|bar| Some(bar.extent()?.1));
    ends.fold(chart.length, Duration::max)
}

/// One or several bars that are drawn as one.
pub(super) struct Drawn<'a> {
    /// The one that is told: of several the one with the worst state.
    pub(super) bar: &'a Bar,
    /// First and last place of all of them.
    pub(super) places: (f64, f64),
    /// The times of these places.
    pub(super) times: (Duration, Duration),
    /// How many there are of each state.
    pub(super) states: BTreeMap<BarState, usize>,
    /// Each of them is too narrow to be seen alone.
    narrow: bool,
}

impl Drawn<'_> {
    /// How many bars it stands for.
    pub(super) fn count(&self) -> usize {
        self.states.values().sum()
    }
}

/// A narrower bar is not seen alone.
const NARROW: f64 = 0.5;
/// Bars are drawn at least so wide; narrow ones closer to each other would touch.
pub(super) const LEAST: f64 = 1.5;

/// The bars of a row by time, at most `most` of them: what cannot be told apart is drawn as one, and while there is
/// still too much, what lies within twice, four times … the space.
pub(super) fn drawn<'a>(row: &'a ChartRow, scale: &Scale, most: usize) -> Vec<Drawn<'a>> {
    let mut bars: Vec<(Duration, Duration, &Bar)> =
        row.bars.iter().filter_map(|bar| bar.extent().map(|(start, end)| (start, end, bar))).collect();
    bars.sort_by_key(|(start, end, _)| (*start, *end));
    let mut grain = NARROW;
    loop {
        let drawn = joined(&bars, scale, grain);
        if drawn.len() <= most.max(1) || grain > scale.right - scale.left {
            return drawn;
        }
        grain *= 2.0;
    }
}

/// Bars narrower than `grain` that touch are one as long as their state is the same, or as all of them are narrow
/// together; and bars that start in one grain and end in one grain are one.
fn joined<'a>(bars: &[(Duration, Duration, &'a Bar)], scale: &Scale, grain: f64) -> Vec<Drawn<'a>> {
    let mut drawn: Vec<Drawn<'a>> = Vec::new();
    let mut cells: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    for &(start, end, bar) in bars {
        let (from, to) = (scale.place(start), scale.place(end));
        let narrow = to - from < grain;
        let touches = drawn.last().is_some_and(|last| {
            let alike = bar.state == last.bar.state || to - last.places.0 < grain;
            narrow && last.narrow && alike && from - last.places.1 < grain.max(LEAST)
        });
        let cell = ((from / grain) as u64, (to / grain) as u64);
        let index = if touches { drawn.len() - 1 } else { *cells.entry(cell).or_insert(drawn.len()) };
        let Some(one) = drawn.get_mut(index) else {
            let states = BTreeMap::from([(bar.state, 1)]);
            drawn.push(Drawn { bar, places: (from, to), times: (start, end), states, narrow });
            continue;
        };
        one.places.1 = one.places.1.max(to);
        one.times.1 = one.times.1.max(end);
        *one.states.entry(bar.state).or_default() += 1;
        if bar.state.weight() > one.bar.state.weight() {
            one.bar = bar;
        }
    }
    drawn
}

/// A text on one line without characters that control a terminal, turn the direction of writing or are no XML.
pub(in crate::schedule) fn plain(text: &str) -> String {
    let direction = |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let odd = |c| direction(c) || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_whitespace() => plain.push(' '),
            c if c.is_control() || odd(c) => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

/// At most `most` characters, the last one `…` when some were cut.
pub(in crate::schedule) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    if most == 0 { kept } else { format!("{}…", kept.trim_end()) }
}
