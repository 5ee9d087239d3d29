//! A preview for a pull request: the verdict, and for each schedule its changes in a diff block whose signs stand in
//! column 0, where the hosts colour them (`!` for changed and moved), its next start times, what it cannot hold, and its
//! picture folded away.

use super::escape::{cell, code_line};
use super::rows::{proof_text, rows};
use super::{Preview, ScheduleChange, Starts};
use std::fmt::Write;

/// Renders as GitHub-flavoured Markdown. Empty when nothing changes.
pub fn markdown(preview: &Preview) -> String {
    let mut out = String::new();
    if preview.is_empty() {
        return out;
    }
    let _ = writeln!(out, "**schedules**: {}", preview.verdict());
    for schedule in &preview.schedules {
        block(&mut out, schedule);
    }
    out
}

fn block(out: &mut String, schedule: &ScheduleChange) {
    let (name, at) = (cell(schedule.name.as_str()), cell(&schedule.at));
    let refused = if schedule.refused { " · **REFUSED**" } else { "" };
    let _ = writeln!(out, "\n**{name}** {}{refused} <sub>{at}</sub>", schedule.change.word());
    changes(out, schedule);
    if let Some(starts) = &schedule.upcoming {
        next(out, starts);
    }
    if !schedule.findings.is_empty() {
        out.push('\n');
    }
    for finding in &schedule.findings {
        let _ = writeln!(out, "- **{}** {}", proof_text(finding.proof), cell(&finding.text));
    }
    if let Some(picture) = &schedule.picture {
        out.push_str("\n<details><summary>Planned</summary>\n\n```text\n");
        out.push_str(picture);
        out.push_str("```\n\n</details>\n");
    }
}

fn changes(out: &mut String, schedule: &ScheduleChange) {
    let (rows, more) = rows(schedule);
    out.push_str("\n```diff\n");
    for row in &rows {
        let sign = if matches!(row.sign, '~' | '>') { '!' } else { row.sign };
        let old = row.old.as_ref().map(|old| format!("{old} → ")).unwrap_or_default();
        let at = if row.at.is_empty() { String::new() } else { format!("  {}", row.at) };
        let _ = writeln!(out, "{sign} {}", code_line(&format!("{}: {old}{}{at}", row.label, row.value)));
    }
    if more > 0 {
        let _ = writeln!(out, "# … and {more} more");
    }
    out.push_str("```\n");
}

fn next(out: &mut String, starts: &Starts) {
    if let Starts::At { times, .. } = starts {
        out.push_str("\n| next starts | UTC |\n| --- | --- |\n");
        for time in times {
            let _ = writeln!(out, "| {} | {:.0} |", cell(&time.local), time.at);
        }
    }
    if let Some(note) = starts.note() {
        let _ = writeln!(out, "\nStarts {note}.");
    }
}
