//! `setpoint doctor`: what is wrong on this machine, and what to do about it.

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::engine::docker::Docker;
use crate::model::size_text;
use crate::process::supervise::chain;
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Check this machine: engine, permissions, git, disk, clock; say what is wrong and what to do
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {}

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
    Warning,
    Bad,
}

impl Finding {
    fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, state: State::Good, text: text.into(), remedy: None }
    }

    fn not(topic: &'static str, state: State, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { topic, state, text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// Free space below which pulling and building tends to fail.
const LITTLE_SPACE: u64 = 2 << 30;

pub(super) async fn run(session: &Session, _: &DoctorArgs) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    let data_root = engine(session, &mut findings).await;
    state_dir(session, &mut findings);
    findings.push(repo());
    let mut folders = vec![("state folder", session.state_dir())];
    folders.extend(data_root.map(|root| ("engine data", root.into())));
    for (what, folder) in folders {
        findings.extend(disk(what, &folder));
    }
    findings.push(system_clock());
    findings.push(real_time());

    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    if session.printer.json {
        session.printer.data(&serde_json::json!({ "version": 1, "ok": !bad, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match finding.state {
                State::Good => "ok  ",
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

/// Looks at the engine; returns its data folder when it is on this machine.
async fn engine(session: &Session, findings: &mut Vec<Finding>) -> Option<String> {
    let remedy = "start the engine (`systemctl start docker`), or join its group (`usermod -aG docker $USER`), or name it with --engine";
    let docker = match Docker::connect(session.global.engine.as_deref()).await {
        Ok(docker) => docker,
        Err(error) => {
            findings.push(Finding::not("engine", State::Bad, chain(&error), remedy));
            return None;
        }
    };
    match docker.info().await {
        Ok(info) => {
            findings.push(Finding::good(
                "engine",
                format!(
                    "Docker {} (API {}), {}, cgroup v{}, {} CPUs, {}",
                    info.version,
                    info.api_version,
                    info.storage_driver,
                    info.cgroup_version,
                    info.cpus,
                    size_text(info.memory >> 20 << 20)
                ),
            ));
            for warning in &info.warnings {
                let remedy = "limits of this kind are ignored by the engine; see its documentation on kernel options";
                findings.push(Finding::not("engine", State::Warning, warning.clone(), remedy));
            }
            Some(info.data_root)
        }
        Err(error) => {
            findings.push(Finding::not("engine", State::Bad, chain(&error), remedy));
            None
        }
    }
}

fn state_dir(session: &Session, findings: &mut Vec<Finding>) {
    let folder = session.state_dir();
    match session.store() {
        Ok(_) => findings.push(Finding::good("state", format!("{} can be written", folder.display()))),
        Err(Failure::Error { message, .. }) => findings.push(Finding::not(
            "state",
            State::Bad,
            message,
            "run as the user that owns the folder, or name another with --state-dir",
        )),
        Err(_) => {}
    }
}

fn repo() -> Finding {
    match std::env::current_dir().ok().and_then(|folder| crate::source::repository_around(&folder)) {
        Some(path) => Finding::good("repo", format!("{}", path.display())),
        None => Finding::not(
            "repo",
            State::Warning,
            "the current folder is in no git repo",
            "stand in your config repo, or name it with --repo",
        ),
    }
}

fn disk(what: &str, folder: &Path) -> Option<Finding> {
    // A folder that is not there yet lies where its nearest parent does.
    let there = folder.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{} free for the {what}", size_text(free >> 20 << 20));
    Some(if free < LITTLE_SPACE {
        Finding::not("disk", State::Warning, text, "free some space: `docker image prune`, `docker builder prune`")
    } else {
        Finding::good("disk", text)
    })
}

/// Whether the kernel says that the clock is kept in step.
fn system_clock() -> Finding {
    match crate::process::clock::synchronised() {
        Some(true) => Finding::good("clock", "synchronised"),
        Some(false) => Finding::not(
            "clock",
            State::Warning,
            "the kernel says that the clock is not synchronised",
            "run an NTP client (`timedatectl set-ntp true`, chrony); schedules and logs rely on it",
        ),
        None => Finding::not(
            "clock",
            State::Warning,
            "the kernel does not say whether the clock is synchronised",
            "check it by hand",
        ),
    }
}

/// What real-time threads may have of the CPUs.
fn real_time() -> Finding {
    match crate::rt::throttling() {
        Ok(limits) if limits.is_none() => Finding::not(
            "real time",
            State::Warning,
            format!("no thread can be real-time here: {limits}"),
            "`sysctl kernel.sched_rt_runtime_us=950000`, and microseconds in `cpu.rt_runtime_us` of the cgroup",
        ),
        Ok(limits) if limits.is_on() => Finding::good(
            "real time",
            format!(
                "{limits}: one that computes for longer has to wait (`sysctl kernel.sched_rt_runtime_us=-1` lifts that)"
            ),
        ),
        Ok(limits) => Finding::good("real time", limits.to_string()),
        Err(error) => Finding::not(
            "real time",
            State::Warning,
            format!("the limits of real-time threads cannot be read: {error}"),
            "mount /proc",
        ),
    }
}
