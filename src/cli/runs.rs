//! `setpoint runs`

use super::answers::Answers;
use super::args::EnvironmentArgs;
use super::exit::{Exit, Failure};
use super::run_words::{not_begun, result};
use super::session::Session;
use crate::api::dto::{FigureKind, Runs, short};
use crate::model::ScheduleName;
use crate::schedule::short_time;
use clap::Args;
use comfy_table::{Table, presets};
use std::time::Duration;

/// List the runs of schedules, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint runs                       the last twenty
  setpoint runs nightly --limit 5     of one schedule, with the delays and durations of its tasks
  setpoint run show ID                one run with its tasks
  setpoint runs --json | jq '.runs[] | select(.verdict != \"succeeded\")'")]
pub(super) struct RunsArgs {
    /// Only runs of this schedule
    schedule: Option<String>,
    /// Maximum number
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    limit: u16,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

pub(super) async fn list(session: &Session, args: &RunsArgs) -> Result<Exit, Failure> {
    let answers = Answers::of(session, args.environment.environment.as_deref()).await?;
    let schedule = args.schedule.clone().map(ScheduleName::new);
    let runs = answers.runs(schedule.as_ref(), usize::from(args.limit)).await?;
    let figures = match &schedule {
        Some(schedule) => answers.figures(schedule).await?,
        None => Vec::new(),
    };
    if session.printer.json {
        session.printer.data(&Runs { version: 1, runs, figures })?;
        return Ok(Exit::Ok);
    }
    if runs.is_empty() {
        session.printer.note("no run of a schedule is on record here");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["RUN", "DUE", "STARTED", "COMMIT", "RESULT", ""]);
    for run in &runs {
        let started = run.started_at.map_or_else(|| not_begun(run), |at| format!("{at:.0}"));
        let commit = run.revision.as_deref().map_or("-", short);
        let (result, note) = (result(run), run.note.clone().unwrap_or_default());
        table.add_row([run.id.clone(), run.due.clone(), started, commit.to_owned(), result, note]);
    }
    session.printer.line(&format!("{table}"))?;
    if figures.is_empty() {
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TASK", "", "COUNT", "P50", "P99", "MAX"]);
    for one in &figures {
        let kind = match one.kind {
            FigureKind::Lateness => "late",
            FigureKind::Sent => "sent late",
            FigureKind::Early => "early",
            FigureKind::Duration => "took",
            FigureKind::Overrun => "left out",
        };
        let counted = one.kind == FigureKind::Overrun;
        let time = |micros: u64| if counted { "-".to_owned() } else { short_time(Duration::from_micros(micros)) };
        let [p50, p99, max] = [one.p50_us, one.p99_us, one.max_us].map(time);
        table.add_row([one.task.clone(), kind.to_owned(), one.count.to_string(), p50, p99, max]);
    }
    session.printer.line(&format!("\n{table}"))?;
    Ok(Exit::Ok)
}
