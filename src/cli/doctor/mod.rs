//! `setpoint doctor`: what is wrong on this machine, and what to do about it.

mod engine;
mod finding;
mod machine;
mod repo;
mod subject;

use super::exit::{Exit, Failure};
use super::session::Session;
use clap::Args;
use finding::{Finding, State};
use serde_json::Value;
use std::path::PathBuf;
use subject::Subject;

/// Check this machine: engine, permissions, git, disk, limits, clock; report what is wrong and how to fix it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint doctor
  setpoint doctor --config /etc/setpoint/daemon.kdl     as the user that the daemon runs as")]
pub(super) struct DoctorArgs {
    /// Settings file of a daemon: also checks its repo, login, folders and limits
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, args: &DoctorArgs) -> Result<Exit, Failure> {
    let subject = Subject::of(session, args.config.as_deref())?;
    let mut findings = Vec::new();
    let data_root = engine::check(&subject, &mut findings).await;
    findings.push(machine::state_dir(&subject.state_dir));
    repo::check(&subject, &mut findings).await;
    findings.extend(machine::disks(&subject.state_dir, data_root.as_deref()));
    findings.extend(machine::limits(subject.settings.as_ref()));
    findings.push(machine::system_clock());
    findings.push(machine::real_time());

    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    if session.printer.json {
        let findings: Vec<Value> = findings.iter().map(Finding::form).collect();
        session.printer.data(&serde_json::json!({ "version": 1, "ok": !bad, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match finding.state {
                State::Good => "ok  ",
                State::Note => "–   ",
                State::Warning => "warn",
                State::Bad => "BAD ",
            };
            session.printer.line(&format!("{mark}  {:<12}  {}", finding.topic, finding.text))?;
            if let Some(remedy) = &finding.remedy {
                session.printer.line(&format!("      {:<12}  → {remedy}", ""))?;
            }
        }
    }
    Ok(if bad { Exit::Failed } else { Exit::Ok })
}
