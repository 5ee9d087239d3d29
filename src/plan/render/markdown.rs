//! A plan for a pull request: the summary, a table, and the changed fields in a diff block whose signs are in column 0, where code
//! hosts colour them (`!` for a changed value).

use super::view::View;
use crate::plan::Disruption;
use std::fmt::Write;

/// Renders as GitHub-flavoured Markdown.
pub fn markdown(view: &View) -> String {
    let mut out = format!("**{}**: {}\n\n", cell(&view.environment), cell(&view.verdict));
    let _ = writeln!(
        out,
        "<sub>{} «{}» · plan `{}` · observed {}</sub>",
        view.revision.short(),
        cell(&view.revision.summary),
        view.id,
        view.observed_at
    );
    for missing in &view.missing {
        let _ = writeln!(out, "\n> **Not observed:** {}", cell(missing));
    }
    if !view.steps.is_empty() {
        out.push_str("\n| disruption | step | what | why |\n| --- | --- | --- | --- |\n");
        for row in view.by_risk() {
            let _ = writeln!(
                out,
                "| {} | {} | `{}` | {} |",
                word(row.disruption),
                row.action,
                cell(&row.subject),
                cell(&row.reason)
            );
        }
    }
    if !view.details.is_empty() {
        out.push_str("\n```diff\n");
        for detail in &view.details {
            let _ = writeln!(out, "# {}{}", line(&detail.subject), if detail.held { " (held)" } else { "" });
            for row in &detail.changes {
                let sign = if row.sign == '~' { '!' } else { row.sign };
                let at = row.at.as_ref().map(|at| format!("  {at}")).unwrap_or_default();
                let _ = writeln!(
                    out,
                    "{sign} {}: {} → {}  ({}){at}",
                    line(&row.field),
                    line(&row.old),
                    line(&row.new),
                    row.origin_text()
                );
            }
        }
        out.push_str("```\n");
    }
    if view.waves.len() > 1 {
        out.push_str("\n<details><summary>Order</summary>\n\n");
        for (index, wave) in view.waves.iter().enumerate() {
            let _ = writeln!(out, "{}. {}", index + 1, cell(wave));
        }
        out.push_str("\n</details>\n");
    }
    if !view.held.is_empty() {
        out.push_str("\n**Held**\n\n");
        for row in &view.held {
            let release = row.release.as_ref().map(|command| format!(" To proceed: `{command}`")).unwrap_or_default();
            let _ = writeln!(out, "- `{}` {}: {}.{release}", cell(&row.subject), row.wanted, cell(&row.why));
        }
    }
    out
}

fn word(disruption: Disruption) -> &'static str {
    match disruption {
        Disruption::None => "none",
        Disruption::InPlace => "in place",
        Disruption::Restart => "restart",
        Disruption::RecreateStartFirst => "seamless",
        Disruption::RecreateDowntime => "**down**",
        Disruption::DataLoss => "**DATA LOSS**",
    }
}

/// Text from a repo or a host must not open a table cell, a tag or a mention.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('@', "@\u{200b}").replace('\n', " ")
}

/// Text within a code block must not close it.
fn line(text: &str) -> String {
    text.replace("```", "'''").replace('\n', "⏎")
}
