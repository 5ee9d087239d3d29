//! `setpoint why`

use super::answers::Answers;
use super::args::EnvironmentArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::dto::{End, Link, Why, short};
use crate::model::InstanceId;
use clap::Args;
use std::fmt::Write;

/// Show how an instance came to be as it is: commit, file and line, field, step, health check
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint why shop/api/1
  setpoint why shop/api/1 --json")]
pub(super) struct WhyArgs {
    /// Instance: `deployment/service/slot`
    #[arg(value_name = "INSTANCE")]
    instance: InstanceId,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

pub(super) async fn run(session: &Session, args: &WhyArgs) -> Result<Exit, Failure> {
    let answers = Answers::of(session, args.environment.environment.as_deref()).await?;
    let Some(answer) = answers.why(&args.instance).await? else {
        let environment = answers.environment()?;
        return Err(Failure::new(format!(
            "nothing is recorded about {} of environment `{environment}`",
            args.instance
        ))
        .hint("`setpoint status` lists the instances; `--environment` names another environment"));
    };
    if session.printer.json {
        session.printer.data(&answer)?;
    } else {
        session.printer.out(&text(&answer))?;
    }
    Ok(Exit::Ok)
}

fn text(why: &Why) -> String {
    let mut out = String::new();
    match &why.now {
        Some(row) => {
            let _ = writeln!(out, "{} is {} since {:.0}", why.instance, row.state, row.since);
        }
        None => {
            let _ = writeln!(out, "{} is not known now", why.instance);
        }
    }
    if let Some(revision) = &why.revision {
        let _ = writeln!(out, "  created from {revision}, {} {:.0}", revision.author, revision.time);
    }
    if let Some(quarantine) = &why.quarantine {
        let commit = short(&quarantine.revision);
        let _ = writeln!(out, "  quarantined: {commit} failed its health gate: {}", quarantine.verdict);
        let _ = writeln!(
            out,
            "  it is tried again when Git changes it, or by: setpoint apply --allow retry:{}",
            why.instance.rsplit_once('/').map_or(why.instance.as_str(), |(service, _)| service)
        );
    }
    for link in &why.links {
        out.push('\n');
        step(&mut out, link);
    }
    if !why.history.is_empty() {
        out.push_str("\nhistory\n");
        for change in &why.history {
            let old = change.old.as_deref().unwrap_or("absent");
            let _ = writeln!(out, "  {:.0}  {old} → {}  {}", change.at, change.new, change.why);
        }
    }
    out
}

fn step(out: &mut String, link: &Link) {
    let commit = link.revision.as_deref().map_or("–", short);
    let summary = link.summary.as_ref().map(|summary| format!(" «{summary}»")).unwrap_or_default();
    let _ = writeln!(out, "{:.0}  {commit}{summary}  plan {}", link.at, link.plan);
    let _ = writeln!(out, "  {}: {}", link.action, link.reason);
    for change in &link.changes {
        let _ = writeln!(out, "    {change}");
    }
    match &link.end {
        End::Done { millis, evidence } => {
            let evidence = evidence.as_ref().map(|evidence| format!(", {evidence}")).unwrap_or_default();
            let _ = writeln!(out, "  done in {:.1} s{evidence}", *millis as f64 / 1000.0);
        }
        End::Failed { error, report, rolled_back } => {
            let back = if *rolled_back { "; the old container was put back" } else { "" };
            let _ = writeln!(out, "  FAILED: {error}{back}");
            for line in report.iter().flat_map(|report| &report.log) {
                let _ = writeln!(out, "    log    {line}");
            }
            if let Some(check) = report.as_ref().and_then(|report| report.check.as_ref()) {
                let _ = writeln!(out, "    check  {}", check.trim_end());
            }
        }
        End::Skipped { because } => {
            let _ = writeln!(out, "  skipped: {because}");
        }
        End::Open => {
            let _ = writeln!(out, "  its end was not recorded: under way, or the process died");
        }
    }
}
