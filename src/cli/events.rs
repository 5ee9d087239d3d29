//! `setpoint events`

use super::answers::Answers;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::dto::{Event, Fact, short};
use crate::model::Timestamp;
use crate::store::EventFilter;
use clap::Args;
use std::fmt::Write;
use std::time::Duration;

/// Show what happened, oldest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint events                         the last 50
  setpoint events shop/api -f             of one service, and new ones
  setpoint events --kind step_failed --json
  setpoint events --since 2026-11-20T08:00:00Z")]
pub(super) struct EventsArgs {
    /// Deployment, service or instance [default: all]
    #[arg(value_name = "SUBJECT")]
    subject: Option<String>,
    /// Follow new events
    #[arg(long, short)]
    follow: bool,
    /// Maximum number
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    /// Only events of this kind (`step_failed`, `drift_found`, …)
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only events from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Show every changed field and log line
    #[arg(long, short)]
    verbose: bool,
}

/// How long one request waits for what happens next.
const WAIT: Duration = Duration::from_secs(20);
/// How often it is asked whether somebody still reads, while nothing happens.
const READER: Duration = Duration::from_millis(250);

pub(super) async fn run(session: &Session, args: &EventsArgs) -> Result<Exit, Failure> {
    let mut answers = Answers::of(session, None).await?;
    let mut filter = EventFilter {
        subject: args.subject.clone(),
        kind: args.kind.clone(),
        since: args.since,
        limit: args.limit.min(EventFilter::LIMIT),
        newest: true,
        ..EventFilter::default()
    };
    let events = answers.events(&filter, Duration::ZERO).await?;
    print(session, args, &events)?;
    if args.follow {
        filter = EventFilter { newest: false, limit: 0, after: events.last().map(|event| event.id), ..filter };
        while let Some(events) = next(session, &mut answers, &filter).await? {
            print(session, args, &events)?;
            filter.after = events.last().map(|event| event.id).or(filter.after);
        }
    }
    Ok(Exit::Ok)
}

/// What happens next, nothing for a while included; `None` when nobody reads any more.
async fn next(session: &Session, answers: &mut Answers, filter: &EventFilter) -> Result<Option<Vec<Event>>, Failure> {
    let events = {
        let events = answers.events(filter, WAIT);
        tokio::pin!(events);
        loop {
            if session.printer.reader_left() {
                return Ok(None);
            }
            // Both arms are cancel-safe: the request goes on, and takes nothing away.
            tokio::select! {
                events = &mut events => break events,
                () = tokio::time::sleep(READER) => {}
            }
        }
    };
    match (events, &*answers) {
        // The daemon ended; what it wrote, and what others write, is in the store.
        (Err(_), Answers::Daemon { .. }) => {
            *answers = Answers::alone(session, None)?;
            Ok(Some(Vec::new()))
        }
        (events, _) => events.map(Some),
    }
}

fn print(session: &Session, args: &EventsArgs, events: &[Event]) -> Result<(), Failure> {
    for event in events {
        if session.printer.json {
            session.printer.line(&serde_json::to_string(event)?)?;
        } else {
            session.printer.out(&line(event, args.verbose))?;
        }
    }
    Ok(())
}

fn line(event: &Event, verbose: bool) -> String {
    let (what, details) = words(&event.fact);
    let mut text = format!("{:.0}  {what}\n", event.at);
    for detail in details.iter().filter(|_| verbose) {
        let _ = writeln!(text, "                        {detail}");
    }
    text
}

/// How many mistakes a rejected commit has.
pub(super) fn mistakes_text(mistakes: usize) -> String {
    match mistakes {
        0 => "it cannot be read".to_owned(),
        1 => "1 mistake".to_owned(),
        several => format!("{several} mistakes"),
    }
}

/// A fact as a sentence, and what stands behind it.
pub(super) fn words(fact: &Fact) -> (String, Vec<String>) {
    match fact {
        Fact::DaemonStarted { version } => (format!("daemon {version} started"), vec![]),
        Fact::DaemonStopped => ("daemon stopped".to_owned(), vec![]),
        Fact::RevisionSeen { revision } => (format!("revision {revision}"), vec![revision.author.clone()]),
        Fact::RevisionRejected { revision, mistakes, report } => (
            format!("revision {revision} rejected: {}; the last good one is kept", mistakes_text(*mistakes)),
            report.lines().map(str::to_owned).collect(),
        ),
        Fact::SourceUnreachable { error } => (format!("repo unreachable: {error}"), vec![]),
        Fact::SourceReachable => ("repo reachable again".to_owned(), vec![]),
        Fact::PlanMade { plan, revision, verdict } => {
            (format!("plan {plan} of {}: {verdict}", short(revision)), vec![])
        }
        Fact::PlanRefused { plan, violations } => (format!("plan {plan} refused"), violations.clone()),
        Fact::ApplyFinished { plan, done, failed, skipped, .. } => {
            (format!("plan {plan}: {done} done, {failed} failed, {skipped} not started"), vec![])
        }
        Fact::EngineWarned { subject, warning } => (format!("{subject}: warning: {warning}"), vec![]),
        Fact::StepStarted { subject, action, reason, changes, .. } => {
            (format!("{action} {subject}: begun, {reason}"), changes.clone())
        }
        Fact::StepDone { subject, action, millis, evidence, .. } => {
            let evidence = evidence.as_ref().map(|evidence| format!(", {evidence}")).unwrap_or_default();
            (format!("{action} {subject}: done in {:.1} s{evidence}", *millis as f64 / 1000.0), vec![])
        }
        Fact::StepFailed { subject, action, error, report, rolled_back, .. } => {
            let back = if *rolled_back { "; the old container was put back" } else { "" };
            let mut details = Vec::new();
            if let Some(report) = report {
                details.extend(report.log.iter().map(|line| format!("log    {line}")));
                details.extend(report.check.iter().map(|check| format!("check  {}", check.trim_end())));
            }
            (format!("{action} {subject}: FAILED: {error}{back}"), details)
        }
        Fact::StepSkipped { subject, because, .. } => (format!("{subject}: skipped, {because}"), vec![]),
        Fact::InstanceChanged { instance, old, new, why, .. } => {
            let old = old.as_deref().unwrap_or("absent");
            (format!("{instance}: {old} → {new}, {why}"), vec![])
        }
        Fact::DriftFound { subject, changes } => {
            (format!("{subject}: drift, {} fields", changes.len()), changes.clone())
        }
        Fact::Quarantined { instance, revision, verdict } => {
            (format!("{instance}: quarantined at {}: {verdict}", short(revision)), vec![])
        }
        Fact::Suspended { deployment } => (format!("{deployment}: stopped by hand, left alone"), vec![]),
        Fact::Resumed { deployment } => (format!("{deployment}: kept running again"), vec![]),
        Fact::RunBegun { run, schedule, revision } => {
            (format!("{schedule}: run {run} of {} begins", short(revision)), vec![])
        }
        Fact::RunLeftOut { schedule, due, count, because } => {
            let more = if *count > 1 { format!(" and {} before it", count - 1) } else { String::new() };
            (format!("{schedule}: {due}{more} does not run: {because}"), vec![])
        }
        Fact::RunEnded { run, schedule, verdict, note } => {
            (format!("{schedule}: run {run} {verdict}"), note.iter().cloned().collect())
        }
    }
}
