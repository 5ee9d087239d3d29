//! `setpoint runs` and `setpoint run show`

use super::args::{EnvironmentArgs, RepoArgs};
use super::exit::{Exit, Failure};
use super::plan::Format;
use super::run::{RunArgs, write};
use super::session::{Session, Which};
use super::timeline::{WIDTH, wrote};
use crate::manifest;
use crate::model::{CommitId, RunId, Schedule, ScheduleName, TaskId, Timestamp};
use crate::schedule::gantt::{self, Chart};
use crate::schedule::preview::cell;
use crate::schedule::{Record, RunVerdict, Verdict, chart, short_time};
use crate::store::{FigureKind, RunFilter, RunRecord, RunRow, RunState, TaskRecord};
use clap::Args;
use comfy_table::{Table, presets};
use jiff::SignedDuration;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
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
        let started = run.started_at.map_or_else(|| not_begun(run), |at| format!("{at:.0}"));
        let commit = run.revision.as_ref().map_or("-", CommitId::short);
        let (result, note) = (result(run), run.note.clone().unwrap_or_default());
        table.add_row([run.id.to_string(), due(run), started, commit.to_owned(), result, note]);
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
        let [p50, p99, max] = [one.figures.p50_us, one.figures.p99_us, one.figures.max_us].map(time);
        table.add_row([one.task.to_string(), kind.to_owned(), one.figures.count.to_string(), p50, p99, max]);
    }
    session.printer.line(&format!("\n{table}"))?;
    Ok(Exit::Ok)
}

/// Shows one run.
pub(super) async fn show(session: &Session, args: &RunArgs, id: &str) -> Result<Exit, Failure> {
    let run = session.ledger(&args.environment)?.run(&RunId::new(id))?.ok_or_else(|| {
        Failure::new(format!("there is no run `{id}` on record here")).hint("`setpoint runs` lists them")
    })?;
    print(session, args, &run).await
}

/// Prints a run and says how it went.
pub(super) async fn print(session: &Session, args: &RunArgs, run: &RunRecord) -> Result<Exit, Failure> {
    let good = run.run.verdict.is_none_or(|verdict| verdict == RunVerdict::Succeeded);
    let exit = if good { Exit::Ok } else { Exit::Failed };
    if session.printer.json && args.svg.is_none() {
        session.printer.data(&json!({ "version": 1, "run": run }))?;
        return Ok(exit);
    }
    // What was planned stands in the commit and nowhere else.
    let schedule = match schedule(session, args, &run.run).await {
        Ok(schedule) => Some(schedule),
        Err(why) if args.svg.is_some() => return Err(why),
        Err(why) => {
            session.printer.note(&format!("note: no picture: {}", why.text()));
            None
        }
    };
    let chart = schedule.as_ref().map(|schedule| picture(schedule, run));
    if let (Some(path), Some(chart)) = (&args.svg, &chart) {
        write(path, &gantt::svg(chart))?;
    }
    let lines = chart.as_ref().map(|chart| gantt::text(chart, WIDTH));
    match args.format {
        _ if session.printer.json => session.printer.data(&json!({ "version": 1, "run": run }))?,
        Format::Text => text(session, run, lines.as_deref())?,
        Format::Markdown => session.printer.out(&markdown(run, lines.as_deref()))?,
    }
    Ok(exit)
}

/// The schedule as the commit of a run has it.
async fn schedule(session: &Session, args: &RunArgs, run: &RunRow) -> Result<Schedule, Failure> {
    let commit = run.revision.clone().ok_or_else(|| Failure::new("it never began"))?;
    let at = RepoArgs { rev: Some(commit.to_string()), ..args.repo.clone() };
    let files = session.files(&at, Which::Commit).await?;
    let mut schedules = manifest::compile(&files.tree)?.schedules;
    let missing = || Failure::new(format!("commit {commit} of this repo has no schedule `{}`", run.schedule));
    schedules.remove(&run.schedule).ok_or_else(missing).map_err(|failure| failure.hint("name its repo with --repo"))
}

fn picture(schedule: &Schedule, run: &RunRecord) -> Chart {
    let row = &run.run;
    let took = row.ended_at.zip(row.started_at).map(|(ended, started)| ended.duration_since(started));
    let took = took.filter(|took| !took.is_negative()).map_or(Duration::ZERO, SignedDuration::unsigned_abs);
    let record = Record::written(run.tasks.iter().map(TaskRecord::row), row.verdict.map(|verdict| (took, verdict)));
    let started = row.started_at.map_or_else(|| not_begun(row), |at| at.to_string());
    chart(schedule, Some((&record, took)), &format!("run {}, started {started}", row.id))
}

/// What stands in the place of the start of a run that has none: one that is prepared may yet begin.
fn not_begun(run: &RunRow) -> String {
    if run.state == RunState::Running { "not yet" } else { "never" }.to_owned()
}

/// Characters of an output that people are shown; `--json` has all of it.
const OUTPUT: usize = 200;
const HEADINGS: [&str; 7] = ["TASK", "DUE", "STARTED", "LATE", "TOOK", "TRIES", "RESULT"];

/// What is said of a run as a whole.
fn facts(run: &RunRow) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("run", run.id.to_string()),
        ("schedule", run.schedule.to_string()),
        ("due", due(run)),
        ("planned", run.planned_at.to_string()),
        ("commit", run.revision.as_ref().map_or_else(|| "none: it never began".to_owned(), ToString::to_string)),
        ("started", run.started_at.map_or_else(|| not_begun(run), |at| started(at, run.planned_at))),
        ("result", result(run)),
    ];
    facts.extend(run.note.clone().map(|note| ("note", note)));
    facts
}

fn started(at: Timestamp, planned: Timestamp) -> String {
    let late = at.duration_since(planned);
    let late = if late.is_negative() { Duration::ZERO } else { late.unsigned_abs() };
    format!("{at}, {} late", short_time(late))
}

/// What tasks returned, each in one line.
fn outputs(run: &RunRecord) -> Vec<(String, String)> {
    let with = run.tasks.iter().filter_map(|task| Some((task, task.output.as_ref()?.to_string())));
    with.map(|(task, output)| {
        let cut = output.chars().count() > OUTPUT;
        let text: String = output.chars().take(OUTPUT).collect();
        let number = if task.occurrence > 0 { format!(" #{}", task.occurrence + 1) } else { String::new() };
        (format!("{}{number}", task.task), if cut { format!("{text}…") } else { text })
    })
    .collect()
}

/// A row for each occurrence.
fn rows(run: &RunRecord) -> Vec<[String; 7]> {
    // They come by task and number: one that has several shows a second one.
    let several: BTreeSet<u32> =
        run.tasks.iter().filter(|task| task.occurrence > 0).map(|task| task.task_index.0).collect();
    let names: BTreeMap<u32, &TaskId> = run.tasks.iter().map(|task| (task.task_index.0, &task.task)).collect();
    run.tasks.iter().map(|task| cells(task, several.contains(&task.task_index.0), &names)).collect()
}

fn text(session: &Session, run: &RunRecord, picture: Option<&str>) -> Result<(), Failure> {
    for (name, value) in facts(&run.run) {
        session.printer.line(&format!("{name:<8}  {value}"))?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADINGS).add_rows(rows(run));
    session.printer.line(&format!("\n{table}"))?;
    if run.left_out > 0 {
        session.printer.line(&format!("and {} occurrences more", run.left_out))?;
    }
    let outputs = outputs(run);
    if !outputs.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["TASK", "OUTPUT"]);
        table.add_rows(outputs.into_iter().map(|(task, output)| [task, output]));
        session.printer.line(&format!("\n{table}"))?;
    }
    for (name, stream, text) in streams(run) {
        session.printer.line(&format!("\n{}", wrote(&name, stream, text)))?;
    }
    match picture {
        Some(picture) => session.printer.out(&format!("\n{picture}")),
        None => Ok(()),
    }
}

/// What programs wrote beside their outputs: the task, the stream, the text.
fn streams(run: &RunRecord) -> impl Iterator<Item = (String, &'static str, &str)> {
    run.tasks.iter().flat_map(|task| {
        (1..).zip(&task.tries).flat_map(move |(number, one)| {
            let occurrence = if task.occurrence > 0 { format!(" #{}", task.occurrence + 1) } else { String::new() };
            let attempt = if task.tries.len() > 1 { format!(", attempt {number}") } else { String::new() };
            let name = format!("{}{occurrence}{attempt}", task.task);
            let both = [("stdout", &one.stdout), ("stderr", &one.stderr)];
            both.into_iter().filter_map(move |(stream, text)| Some((name.clone(), stream, text.as_deref()?)))
        })
    })
}

/// For a pull request or an issue.
fn markdown(run: &RunRecord, picture: Option<&str>) -> String {
    let facts = facts(&run.run).into_iter().map(|(name, value)| format!("{name} {}", cell(&value)));
    let mut out = format!("{}\n\n", facts.collect::<Vec<_>>().join(" · "));
    let mut line = |cells: &[String]| out += &format!("| {} |\n", cells.join(" | "));
    line(&HEADINGS.map(str::to_lowercase));
    line(&HEADINGS.map(|_| "---".to_owned()));
    rows(run).iter().for_each(|row| line(&row.each_ref().map(|text| cell(text))));
    if run.left_out > 0 {
        out += &format!("\nand {} occurrences more\n", run.left_out);
    }
    for (at, (task, output)) in outputs(run).iter().enumerate() {
        let heading = if at == 0 { "\n| task | output |\n| --- | --- |\n" } else { "" };
        out += &format!("{heading}| {} | {} |\n", cell(task), cell(output));
    }
    for (name, stream, text) in streams(run) {
        // No line of it ends the block.
        out += &format!("\n```text\n{}\n```\n", wrote(&name, stream, text));
    }
    if let Some(picture) = picture {
        out += &format!("\n```text\n{picture}```\n");
    }
    out
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
        (RunState::Running, _) if run.started_at.is_none() => "prepared".to_owned(),
        (RunState::Running, _) => "running".to_owned(),
        (RunState::Interrupted, _) => "interrupted".to_owned(),
        (RunState::Ended, Some(verdict)) => verdict.word().to_owned(),
        (RunState::Ended, None) => "ended".to_owned(),
    }
}
