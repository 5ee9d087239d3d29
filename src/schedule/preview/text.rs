//! A preview for the terminal: the verdict first, then for each schedule what changes, its next start times, what it
//! cannot hold, and its picture.

use super::escape::plain;
use super::rows::{PreviewRow, proof_text, rows};
use super::{Preview, ScheduleChange, Starts};
use crate::schedule::feasibility::Proof;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Columns of a label or value that others are aligned with; longer ones stand out.
const ALIGNED: usize = 40;

/// Renders with colour codes; whoever prints strips them where the terminal has none. Empty when nothing changes.
pub fn text(preview: &Preview) -> String {
    let mut out = String::new();
    if preview.is_empty() {
        return out;
    }
    let _ = writeln!(out, "{BOLD}schedules: {}{BOLD:#}", preview.verdict());
    for schedule in &preview.schedules {
        block(&mut out, schedule);
    }
    out
}

fn block(out: &mut String, schedule: &ScheduleChange) {
    let (sign, style) = (schedule.change.sign(), style(schedule.change.sign()));
    let (name, at) = (plain(schedule.name.as_str()), plain(&schedule.at));
    let refused = if schedule.refused { format!("  {RED}refused{RED:#}") } else { String::new() };
    let _ = writeln!(out, "\n{style}{sign}{style:#} {BOLD}{name}{BOLD:#}  {DIM}{at}{DIM:#}{refused}");
    changes(out, schedule);
    if let Some(starts) = &schedule.upcoming {
        next(out, starts);
    }
    for finding in &schedule.findings {
        let style = match finding.proof {
            Proof::Certain if schedule.refused => RED,
            Proof::Certain | Proof::WorstCase | Proof::OneAtATime => YELLOW,
            Proof::None => DIM,
        };
        let _ = writeln!(out, "  {style}{:<10}{style:#}  {}", proof_text(finding.proof), plain(&finding.text));
    }
    if let Some(picture) = &schedule.picture {
        let _ = write!(out, "\n{picture}");
    }
}

fn changes(out: &mut String, schedule: &ScheduleChange) {
    let (rows, more) = rows(schedule);
    let pairs = || rows.iter().filter(|row| row.old.is_some());
    let label = width(rows.iter().map(|row| row.label.as_str()));
    let old = width(pairs().filter_map(|row| row.old.as_deref()));
    let new = width(pairs().map(|row| row.value.as_str()));
    for PreviewRow { sign, label: name, old: before, value, at } in &rows {
        let style = style(*sign);
        let value = match before {
            Some(before) => format!("{before:<old$}  →  {value:<new$}"),
            None => value.clone(),
        };
        let at = if at.is_empty() { String::new() } else { format!("  {DIM}{at}{DIM:#}") };
        let line = format!("  {style}{sign}{style:#} {name:<label$}  {value}");
        let _ = writeln!(out, "{}", format!("{line}{at}").trim_end());
    }
    if more > 0 {
        let _ = writeln!(out, "  … and {more} more");
    }
}

fn next(out: &mut String, starts: &Starts) {
    let mut lines = Vec::new();
    if let Starts::At { times, .. } = starts {
        let local = times.iter().map(|time| time.local.chars().count()).max().unwrap_or(0);
        lines.extend(times.iter().map(|time| format!("{:<local$}  {:.0}", time.local, time.at)));
    }
    lines.extend(starts.note());
    for (index, line) in lines.iter().enumerate() {
        let _ = writeln!(out, "  {CYAN}{:<10}{CYAN:#}  {line}", if index == 0 { "starts" } else { "" });
    }
}

fn width<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).min(ALIGNED)
}

fn style(sign: char) -> Style {
    match sign {
        '+' => GREEN,
        '-' => RED,
        '>' => YELLOW,
        _ => CYAN,
    }
}
