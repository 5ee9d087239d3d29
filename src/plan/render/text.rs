//! A plan for the terminal: first the summary, then the steps sorted by risk, the changed fields, the order, and what is held.

use super::view::{ChangeRow, StepRow, View};
use crate::plan::Disruption;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Renders with colour codes; whoever prints strips them where the terminal has none.
pub fn text(view: &View) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{BOLD}{}: {}{BOLD:#}", view.environment, view.verdict);
    let _ = writeln!(out, "{DIM}{} · plan {}{DIM:#}", view.revision, view.id);
    for missing in &view.missing {
        let _ = writeln!(out, "{RED}not observed{RED:#}  {missing}");
    }
    steps(&mut out, view);
    details(&mut out, view);
    if view.waves.len() > 1 || view.steps.len() > 1 {
        let waves: Vec<String> =
            view.waves.iter().enumerate().map(|(index, wave)| format!("{} {wave}", index + 1)).collect();
        let _ = writeln!(out, "\n{BOLD}order{BOLD:#}   {}", waves.join("  →  "));
    }
    held(&mut out, view);
    out
}

fn width<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

fn steps(out: &mut String, view: &View) {
    let rows = view.by_risk();
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    let action = width(rows.iter().map(|row| row.action));
    let subject = width(rows.iter().map(|row| row.subject.as_str()));
    for StepRow { disruption, action: verb, subject: name, reason, .. } in rows {
        let (style, word) = cost(*disruption);
        let _ = writeln!(out, "  {style}{word:<8}{style:#}  {verb:<action$}  {name:<subject$}  {reason}");
    }
}

fn cost(disruption: Disruption) -> (Style, &'static str) {
    match disruption {
        Disruption::None => (GREEN, "none"),
        Disruption::InPlace => (GREEN, "in place"),
        Disruption::Restart => (YELLOW, "restart"),
        Disruption::RecreateStartFirst => (GREEN, "seamless"),
        Disruption::RecreateDowntime => (YELLOW, "down"),
        Disruption::DataLoss => (RED, "LOSS"),
    }
}

fn details(out: &mut String, view: &View) {
    let rows = || view.details.iter().flat_map(|detail| &detail.changes);
    let field = width(rows().map(|row| row.field.as_str()));
    let old = width(rows().map(|row| row.old.as_str())).min(40);
    let new = width(rows().map(|row| row.new.as_str())).min(40);
    for detail in &view.details {
        let mark = if detail.held { " (held)" } else { "" };
        let _ = writeln!(out, "\n{BOLD}{}{BOLD:#}{mark}", detail.subject);
        for row in &detail.changes {
            let ChangeRow { sign, field: name, old: before, new: after, at, .. } = row;
            let style = match sign {
                '+' => GREEN,
                '-' => RED,
                _ => CYAN,
            };
            let origin = row.origin_text();
            let at = at.as_deref().unwrap_or("");
            let line = format!(
                "  {style}{sign}{style:#} {name:<field$}  {before:<old$}  →  {after:<new$}  {origin:<5}  {DIM}{at}{DIM:#}"
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

fn held(out: &mut String, view: &View) {
    if view.held.is_empty() {
        return;
    }
    out.push('\n');
    let subject = width(view.held.iter().map(|row| row.subject.as_str()));
    let wanted = width(view.held.iter().map(|row| row.wanted));
    for row in &view.held {
        let release = row.release.as_ref().map(|command| format!("; to proceed: {command}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "{YELLOW}held{YELLOW:#}    {:<subject$}  {:<wanted$}  {}{release}",
            row.subject, row.wanted, row.why
        );
    }
}
