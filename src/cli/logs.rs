//! `setpoint logs`

use super::args::EnvironmentArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::dto;
use crate::engine::{LogLine, LogOptions, Scope};
use crate::model::Container;
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeSet;
use std::time::Duration;

/// Show what instances write
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint logs                    the last 50 lines of every instance
  setpoint logs shop/api -n 100    of all replicas of a service
  setpoint logs shop/api/1 -f      and go on with what comes")]
pub(super) struct LogsArgs {
    /// Deployment, service, instance or container name [default: all]
    #[arg(value_name = "NAME", default_value = "")]
    name: String,
    /// Go on with what is written from now on
    #[arg(long, short)]
    follow: bool,
    /// Lines from the end [default: 50 of each, 100 of a single instance]
    #[arg(long, short = 'n', value_name = "LINES")]
    tail: Option<u32>,
    /// With the time of each line
    #[arg(long, short)]
    timestamps: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// How often it is asked whether somebody still reads, while nothing is written.
const READER: Duration = Duration::from_millis(250);

pub(super) async fn run(session: &Session, args: &LogsArgs) -> Result<Exit, Failure> {
    let engine = session.engine().await?;
    let ledger = session.ledger(&args.environment)?;
    let owner = ledger.owner();
    let observed = engine.observe(&Scope { owner: owner.clone(), images: BTreeSet::new() }).await?;
    let chosen: Vec<&Container> = observed
        .containers
        .iter()
        .filter(|one| one.owner.as_ref() == Some(&owner) && matches(one, &args.name))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!(
            "there is no instance `{}` of environment `{}` here",
            args.name,
            ledger.environment()
        ))
        .hint("`setpoint status` lists them"));
    }
    let options = LogOptions {
        tail: args.tail.or(Some(if chosen.len() == 1 { 100 } else { 50 })),
        follow: args.follow,
        since: None,
        timestamps: args.timestamps,
    };
    let width = chosen.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let streams = chosen.iter().map(|one| {
        let name = one.name.clone();
        engine.logs(&one.id, &options).map(move |line| (name.clone(), line)).boxed()
    });
    // Followed logs come as they are written; finished ones container by container.
    let mut lines: BoxStream<'_, _> = if args.follow {
        stream::select_all(streams).boxed()
    } else {
        stream::iter(streams.collect::<Vec<_>>()).flatten().boxed()
    };
    while !session.printer.reader_left() {
        // Both arms are cancel-safe: a line that is not taken stays in its stream.
        tokio::select! {
            line = lines.next() => match line {
                Some((name, line)) => print(session, &name, width, chosen.len() > 1, &line?)?,
                None => break,
            },
            () = tokio::time::sleep(READER) => {}
        }
    }
    Ok(Exit::Ok)
}

fn matches(container: &Container, name: &str) -> bool {
    let within = |id: String| id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    name.is_empty() || container.name == name || container.instance.as_ref().is_some_and(|id| within(id.to_string()))
}

fn print(session: &Session, name: &str, width: usize, several: bool, line: &LogLine) -> Result<(), Failure> {
    if session.printer.json {
        return session.printer.line(&serde_json::to_string(&dto::LogLine::new(name, line.clone()))?);
    }
    let at = line.at.map(|at| format!("{at} ")).unwrap_or_default();
    let name = if several { format!("{name:<width$}  ") } else { String::new() };
    session.printer.line(&format!("{name}{at}{}", line.text))
}
