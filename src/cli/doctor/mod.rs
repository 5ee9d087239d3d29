//! `setpoint doctor`: what is wrong on this machine, and what to do about it.

mod engine;
mod machine;
mod repo;

use super::daemon;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::manifest::DaemonConfig;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

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

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    topic: &'static str,
    state: State,
    text: String,
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Said, and no judgement.
    Note,
    Warning,
    Bad,
}

impl Finding {
    fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, state: State::Good, text: text.into(), remedy: None }
    }

    fn note(topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, state: State::Note, text: text.into(), remedy: None }
    }

    fn not(topic: &'static str, state: State, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { topic, state, text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// What is looked at, from the arguments and the daemon's settings.
struct Subject {
    settings: Option<DaemonConfig>,
    state_dir: PathBuf,
    endpoint: Option<String>,
}

impl Subject {
    fn of(session: &Session, args: &DoctorArgs) -> Result<Self, Failure> {
        let settings = args.config.as_deref().map(daemon::settings).transpose()?;
        let overrides = daemon::overrides(session);
        let (state_dir, endpoint) = (overrides.state_dir(settings.as_ref()), overrides.endpoint(settings.as_ref()));
        Ok(Self { settings, state_dir, endpoint })
    }
}

pub(super) async fn run(session: &Session, args: &DoctorArgs) -> Result<Exit, Failure> {
    let subject = Subject::of(session, args)?;
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
