//! `setpoint logs`

use super::answers::Answers;
use super::args::EnvironmentArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::dto::LogLine;
use crate::daemon::LogsOf;
use clap::Args;
use futures_util::StreamExt;
use std::time::Duration;

/// Show the output of instances
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint logs                    the last 50 lines of every instance
  setpoint logs shop/api -n 100    of all replicas of a service
  setpoint logs shop/api/1 -f      follow new output")]
pub(super) struct LogsArgs {
    /// Deployment, service, instance or container name [default: all]
    #[arg(value_name = "NAME", default_value = "")]
    name: String,
    /// Follow new output
    #[arg(long, short)]
    follow: bool,
    /// Number of lines from the end [default: 50 of each, 100 of a single instance]
    #[arg(long, short = 'n', value_name = "LINES")]
    tail: Option<u32>,
    /// Show the time of each line
    #[arg(long, short)]
    timestamps: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// How often it is asked whether somebody still reads, while nothing is written.
const READER: Duration = Duration::from_millis(250);

pub(super) async fn run(session: &Session, args: &LogsArgs) -> Result<Exit, Failure> {
    let answers = Answers::of(session, args.environment.environment.as_deref()).await?;
    let LogsArgs { name, follow, tail, timestamps, environment: _ } = args;
    let of = LogsOf { name: name.clone(), tail: *tail, follow: *follow, timestamps: *timestamps };
    let Some((containers, mut lines)) = answers.logs(session, &of).await? else {
        let environment = answers.environment()?;
        return Err(Failure::new(format!("there is no instance `{name}` of environment `{environment}` here"))
            .hint("`setpoint status` lists them"));
    };
    let width = containers.iter().map(String::len).max().unwrap_or(0);
    while !session.printer.reader_left() {
        // Both arms are cancel-safe: a line that is not taken stays in its stream.
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => print(session, width, containers.len() > 1, &line?)?,
                None => break,
            },
            () = tokio::time::sleep(READER) => {}
        }
    }
    Ok(Exit::Ok)
}

fn print(session: &Session, width: usize, several: bool, line: &LogLine) -> Result<(), Failure> {
    if session.printer.json {
        return session.printer.line(&serde_json::to_string(line)?);
    }
    let LogLine { container, at, text, .. } = line;
    let at = at.map(|at| format!("{at} ")).unwrap_or_default();
    let name = if several { format!("{container:<width$}  ") } else { String::new() };
    session.printer.line(&format!("{name}{at}{text}"))
}
