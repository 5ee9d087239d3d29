//! `setpoint status`

use super::args::EnvironmentArgs;
use super::events::mistakes_text;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::dto::{Health, Revision, Status, short};
use crate::api::{Client, ClientError};
use crate::apply::observe::{by_instance, recall};
use crate::daemon::status::{self as of_daemon, EngineStatus, InstanceStatus};
use crate::engine::Scope;
use crate::model::{self, Container, InstanceId, Observed};
use crate::process::clock;
use crate::process::error::chain;
use crate::store::Ledger;
use clap::Args;
use comfy_table::{Table, presets};
use std::collections::BTreeSet;

/// Show what runs here: instances, their health and revision, what is held, and the state of the daemon
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint status
  setpoint status --json | jq '.instances[] | select(.health == \"unhealthy\")'

  setpoint status --daemon      fails if no daemon answers (for a health check)

Without a daemon it looks at the engine itself.")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// Ask only the daemon, and fail if none answers
    #[arg(long)]
    daemon: bool,
}

/// One instance, as both kinds of status show it.
#[derive(Debug)]
struct Row {
    instance: String,
    state: String,
    health: Health,
    revision: Option<String>,
    container: Option<String>,
    remark: String,
}

pub(super) async fn run(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    match Client::new(&session.socket()).status().await {
        Ok(status) => of_daemon(session, &status),
        Err(ClientError::NotRunning { .. }) if !args.daemon => of_engine(session, args).await,
        Err(error) => Err(Failure::new(chain(&error))),
    }
}

fn of_daemon(session: &Session, status: &Status) -> Result<Exit, Failure> {
    if session.printer.json {
        session.printer.data(status)?;
        return Ok(Exit::Ok);
    }
    let line = |text: &str| session.printer.line(text);
    let commit =
        |revision: &Option<Revision>| revision.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string);
    line(&format!("environment  {}", status.environment.as_deref().unwrap_or("not known yet")))?;
    line(&format!("revision     {}", commit(&status.revision.wanted)))?;
    if let (Some(applied), Some(wanted)) = (&status.revision.applied, &status.revision.wanted)
        && applied.commit != wanted.commit
    {
        line(&format!("applied      {applied}"))?;
    }
    if let Some(rejected) = &status.revision.rejected {
        line(&format!("REJECTED     {}: {}", rejected.revision, mistakes_text(rejected.mistakes)))?;
        for row in rejected.report.lines() {
            line(&format!("             {row}"))?;
        }
    }
    line(&format!("repo         {}{}", status.source.address, trouble(status.source.error.as_deref())))?;
    if let Some(at) = status.source.next_try {
        line(&format!("             tried again at {at:.0}, or at once after `setpoint poke`"))?;
    }
    line(&format!(
        "engine       {}",
        status.engine.error.as_deref().map_or_else(|| "reachable".to_owned(), |error| format!("UNREACHABLE: {error}"))
    ))?;
    if let Some(verdict) = &status.verdict {
        line(&format!("plan         {verdict}"))?;
    }
    if let Some(applying) = &status.applying {
        line(&format!("applying     {} of {} steps ended", applying.ended, applying.steps))?;
    }
    if let Some(other) = &status.waits_for {
        line(&format!("waits for    {other}"))?;
    }
    if let Some(problem) = &status.problem {
        line(&format!("PROBLEM      {problem}"))?;
    }
    if let Some(age) = status.age_ms {
        line(&format!("last look    {:.1} s ago", age as f64 / 1000.0))?;
    }
    let rows: Vec<Row> = status
        .instances
        .iter()
        .map(|one| Row {
            instance: one.instance.clone(),
            state: one.state.clone(),
            health: one.health,
            revision: one.revision.clone(),
            container: one.container.clone(),
            remark: match (&one.quarantined, one.drift.as_slice(), one.wanted) {
                (Some(verdict), _, _) => format!("quarantined: {verdict}"),
                (None, [first, ..], _) => format!("drift: {first}"),
                (None, [], false) => "no longer in git".to_owned(),
                (None, [], true) => String::new(),
            },
        })
        .collect();
    table(session, &rows)?;
    for held in &status.held {
        let release = held.release.as_ref().map(|command| format!("; release: {command}")).unwrap_or_default();
        line(&format!("held  {}  {}  {}{release}", held.subject, held.wanted, held.why))?;
    }
    Ok(Exit::Ok)
}

fn trouble(error: Option<&str>) -> String {
    error.map(|error| format!("  UNREACHABLE: {error}")).unwrap_or_default()
}

async fn of_engine(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    let engine = session.engine().await?;
    let ledger = session.ledger(&args.environment)?;
    let owner = ledger.owner();
    let mut observed = engine.observe(&Scope { owner: owner.clone(), images: BTreeSet::new() }).await?;
    // Which checks there are stands in the files, which need not be here; what the last apply or daemon found is on record.
    let recalled = recall(&ledger.instances()?, &observed);
    for container in observed.containers.iter_mut().filter(|container| container.health == model::Health::Unchecked) {
        container.health = recalled.get(&container.id).copied().unwrap_or(model::Health::Unchecked);
    }
    let suspended = ledger.memory(clock::now())?.suspended;
    let rows: Vec<Row> = by_instance(&observed, &owner)
        .into_iter()
        .map(|(instance, container)| Row {
            instance: instance.to_string(),
            state: container.status.to_string(),
            health: container.health.into(),
            revision: container.revision.clone().map(String::from),
            container: Some(container.id.short().to_owned()),
            remark: match &instance.service.deployment {
                name if suspended.contains(name) => format!("stopped by hand; `setpoint start {name}` starts it"),
                _ => String::new(),
            },
        })
        .collect();
    if session.printer.json {
        session.printer.data(&without_daemon(&ledger, &observed))?;
        return Ok(Exit::Ok);
    }
    session
        .printer
        .note(&format!("no daemon answers at {}; this is the engine's own view", session.socket().display()));
    table(session, &rows)?;
    Ok(Exit::Ok)
}

/// The same form as a daemon's status: what only a daemon knows is absent or empty.
fn without_daemon(ledger: &Ledger, observed: &Observed) -> Status {
    let instance = |(instance, container): (&InstanceId, &Container)| InstanceStatus {
        instance: instance.clone(),
        name: Some(container.name.clone()),
        container: Some(container.id.short().to_owned()),
        state: container.status.to_string(),
        health: container.health,
        revision: container.revision.clone(),
        since: container.started_at.unwrap_or(observed.at),
        drift: Vec::new(),
        quarantined: None,
        wanted: true,
    };
    let status = of_daemon::Status {
        environment: Some(ledger.environment().to_owned()),
        engine: EngineStatus { reachable: Some(true), error: None, missing: observed.missing.clone() },
        instances: by_instance(observed, &ledger.owner()).into_iter().map(instance).collect(),
        reconciled_at: Some(observed.at),
        age_ms: Some(0),
        ..of_daemon::Status::new(None, "")
    };
    status.into()
}

fn table(session: &Session, rows: &[Row]) -> Result<(), Failure> {
    if rows.is_empty() {
        return session.printer.line("no instances");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["INSTANCE", "STATE", "HEALTH", "REVISION", "CONTAINER", ""]);
    for row in rows {
        let health = match row.health {
            Health::Unchecked => "–",
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "UNHEALTHY",
        };
        let revision = row.revision.as_deref().map_or("–", short);
        let container = row.container.as_deref().unwrap_or("–");
        table.add_row([&row.instance, &row.state, health, revision, container, &row.remark]);
    }
    session.printer.line(&table.to_string())
}
