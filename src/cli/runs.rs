//! `setpoint runs` and `setpoint run show`

use super::args::EnvironmentArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::model::{ScheduleName, TaskId};
use crate::schedule::{RunVerdict, Verdict, short_time};
use crate::store::{FigureKind, RunFilter, RunRecord, RunRow, RunState, TaskRecord};
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// List the runs of schedules, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint runs                       the last twenty
  setpoint runs nightly --limit 5     of one schedule, with how late its tasks start and how long they take
  setpoint run show ID                one run with its tasks
  setpoint runs --json | jq '.runs[] | select(.verdict != \"succeeded\")'")]
pub(super) struct RunsArgs {
    /// Only of this schedule
    schedule: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    limit: u16,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

pub(super) fn list(session: &Session, args: &RunsArgs) -> Result<Exit, Failure> {
    let ledger = session.ledger(&args.environment)?;
    let schedule = args.schedule.clone().map(ScheduleName::new);
    let filter = RunFilter { schedule: schedule.clone(), limit: usize::from(args.limit), ..RunFilter::default() };
    let runs = ledger.runs(&filter)?;
    let figures = schedule.as_ref().map(|schedule| ledger.figures(schedule)).transpose()?.unwrap_or_default();
    if session.printer.json {
        session.printer.data(&json!({ "version": 1, "runs": runs, "figures": figures }))?;
        return Ok(Exit::Ok);
    }
    if runs.is_empty() {
        session.printer.note("no run of a schedule is on record here");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["RUN", "DUE", "STARTED", "COMMIT", "RESULT", ""]);
    for run in &runs {
        let started = run.started_at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
        let commit = run.revision.as_deref().map_or("-", |commit| commit.get(..7).unwrap_or(commit));
        let (result, note) = (result(run), run.note.clone().unwrap_or_default());
        table.add_row([run.id.clone(), due(run), started, commit.to_owned(), result, note]);
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
            FigureKind::Duration => "took",
        };
        let time = |micros: u64| short_time(Duration::from_micros(micros));
        let [p50, p99, max] = [one.figures.p50_us, one.figures.p99_us, one.figures.max_us].map(time);
        table.add_row([one.task.to_string(), kind.to_owned(), one.figures.count.to_string(), p50, p99, max]);
    }
    session.printer.line(&format!("\n{table}"))?;
    Ok(Exit::Ok)
}

/// Shows one run.
pub(super) fn show(session: &Session, environment: &EnvironmentArgs, id: &str) -> Result<Exit, Failure> {
    let run = session.ledger(environment)?.run(id)?.ok_or_else(|| {
        Failure::new(format!("there is no run `{id}` on record here")).hint("`setpoint runs` lists them")
    })?;
    let good = run.run.verdict.is_none_or(|verdict| verdict == RunVerdict::Succeeded);
    let exit = if good { Exit::Ok } else { Exit::Failed };
    if session.printer.json {
        session.printer.data(&json!({ "version": 1, "run": run }))?;
        return Ok(exit);
    }
    text(session, &run)?;
    Ok(exit)
}

fn text(session: &Session, run: &RunRecord) -> Result<(), Failure> {
    let row = &run.run;
    let line = |text: &str| session.printer.line(text);
    line(&format!("run       {}", row.id))?;
    line(&format!("schedule  {}", row.schedule))?;
    line(&format!("due       {}", due(row)))?;
    line(&format!("commit    {}", row.revision.as_deref().unwrap_or("none: it never began")))?;
    line(&format!("started   {}", row.started_at.map_or_else(|| "never".to_owned(), |at| at.to_string())))?;
    line(&format!("result    {}", result(row)))?;
    if let Some(note) = &row.note {
        line(&format!("note      {note}"))?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TASK", "DUE", "STARTED", "LATE", "TOOK", "TRIES", "RESULT"]);
    // They come by task and number: one that has several shows a second one.
    let several: BTreeSet<u32> =
        run.tasks.iter().filter(|task| task.occurrence > 0).map(|task| task.task_index.0).collect();
    let names: BTreeMap<u32, &TaskId> = run.tasks.iter().map(|task| (task.task_index.0, &task.task)).collect();
    for task in &run.tasks {
        table.add_row(cells(task, several.contains(&task.task_index.0), &names));
    }
    line(&format!("\n{table}"))?;
    if run.left_out > 0 {
        line(&format!("and {} occurrences more", run.left_out))?;
    }
    Ok(())
}

fn cells(task: &TaskRecord, several: bool, names: &BTreeMap<u32, &TaskId>) -> [String; 7] {
    let dash = || "-".to_owned();
    let time = |nanos: Option<u64>| nanos.map_or_else(dash, |nanos| short_time(Duration::from_nanos(nanos)));
    let last = task.tries.last();
    let started = last.map(|one| one.started_ns.and_then(|at| u64::try_from(at).ok()).unwrap_or(one.sent_ns));
    let late = last.zip(started).map(|(one, started)| started.saturating_sub(one.released_ns));
    let took = last.and_then(|one| Some(one.ended_ns?.saturating_sub(one.sent_ns)));
    let name = match (several || task.count > 1, task.count) {
        (false, _) => task.task.to_string(),
        (true, 1) => format!("{} #{}", task.task, task.occurrence + 1),
        (true, count) => format!("{} #{}-{}", task.task, task.occurrence + 1, task.occurrence + count),
    };
    let due = task.due_ns.or(last.map(|one| one.released_ns));
    let tries = task.tries.len().to_string();
    [name, time(due), time(started), time(late), time(took), tries, verdict(task, names)]
}

fn verdict(task: &TaskRecord, names: &BTreeMap<u32, &TaskId>) -> String {
    let Some(verdict) = task.verdict else { return "not known".to_owned() };
    let mut parts = vec![verdict.word().to_owned()];
    parts.extend(verdict.because(|index| names.get(&index.0).map_or_else(|| "?".to_owned(), ToString::to_string)));
    let message = task.tries.last().and_then(|one| one.error.clone());
    parts.extend(message.filter(|_| verdict != Verdict::Succeeded));
    let late = if task.missed_deadline && verdict.is_success() { ", after its deadline" } else { "" };
    format!("{}{late}", parts.join(": "))
}

fn due(run: &RunRow) -> String {
    run.due.to_string()
}

fn result(run: &RunRow) -> String {
    match (run.state, run.verdict) {
        (RunState::Running, _) => "running".to_owned(),
        (RunState::Interrupted, _) => "interrupted".to_owned(),
        (RunState::Ended, Some(verdict)) => verdict.word().to_owned(),
        (RunState::Ended, None) => "ended".to_owned(),
    }
}
