//! `setpoint run show`: a run that took place.

use super::args::RunArgs;
use super::picture::write;
use crate::api::dto::{self, Run, RunRecord, TaskRecord};
use crate::cli::answers::Answers;
use crate::cli::args::RepoArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::plan::Format;
use crate::cli::run_words::{not_begun, result};
use crate::cli::session::{Session, Which};
use crate::cli::timeline::{WIDTH, wrote};
use crate::manifest;
use crate::model::{Schedule, ScheduleName, Timestamp};
use crate::schedule::gantt::{self, Chart};
use crate::schedule::preview::cell;
use crate::schedule::{Record, Verdict, chart, short_time};
use comfy_table::{Table, presets};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Shows one run.
pub(super) async fn show(session: &Session, args: &RunArgs, id: &str) -> Result<Exit, Failure> {
    let answers = Answers::of(session, args.environment.environment.as_deref()).await?;
    let run = answers.run(id).await?.ok_or_else(|| {
        Failure::new(format!("there is no run `{id}` on record here")).hint("`setpoint runs` lists them")
    })?;
    print(session, args, &run).await
}

/// Prints a run and says how it went.
pub(super) async fn print(session: &Session, args: &RunArgs, run: &RunRecord) -> Result<Exit, Failure> {
    let good = run.run.verdict.is_none_or(|verdict| verdict == dto::RunVerdict::Succeeded);
    let exit = if good { Exit::Ok } else { Exit::Failed };
    if session.printer.json && args.svg.is_none() {
        session.printer.data(&dto::ShownRun { version: 1, run: run.clone() })?;
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
        _ if session.printer.json => session.printer.data(&dto::ShownRun { version: 1, run: run.clone() })?,
        Format::Text => text(session, run, lines.as_deref())?,
        Format::Markdown => session.printer.out(&markdown(run, lines.as_deref()))?,
    }
    Ok(exit)
}

/// The schedule as the commit of a run has it.
async fn schedule(session: &Session, args: &RunArgs, run: &Run) -> Result<Schedule, Failure> {
    let commit = run.revision.clone().ok_or_else(|| Failure::new("it never began"))?;
    let at = RepoArgs { rev: Some(commit.clone()), ..args.repo.clone() };
    let files = session.files(&at, Which::Commit).await?;
    let mut schedules = manifest::compile(&files.tree)?.schedules;
    let missing = || Failure::new(format!("commit {commit} of this repo has no schedule `{}`", run.schedule));
    schedules
        .remove(&ScheduleName::new(&run.schedule))
        .ok_or_else(missing)
        .map_err(|failure| failure.hint("name its repo with --repo"))
}

fn picture(schedule: &Schedule, run: &RunRecord) -> Chart {
    let row = &run.run;
    let took = row.ended_at.zip(row.started_at).map(|(ended, started)| ended.duration_since(started));
    let took = took.filter(|took| !took.is_negative()).map_or(Duration::ZERO, SignedDuration::unsigned_abs);
    let record = Record::written(run.tasks.iter().map(Into::into), row.verdict.map(|verdict| (took, verdict.into())));
    let started = row.started_at.map_or_else(|| not_begun(row), |at| at.to_string());
    chart(schedule, Some((&record, took)), &format!("run {}, started {started}", row.id))
}

/// Characters of an output that people are shown; `--json` has all of it.
const OUTPUT: usize = 200;
const HEADINGS: [&str; 7] = ["TASK", "DUE", "STARTED", "LATE", "TOOK", "TRIES", "RESULT"];

/// What is said of a run as a whole.
fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("run", run.id.clone()),
        ("schedule", run.schedule.clone()),
        ("due", run.due.clone()),
        ("planned", run.planned_at.to_string()),
        ("commit", run.revision.clone().unwrap_or_else(|| "none: it never began".to_owned())),
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
        run.tasks.iter().filter(|task| task.occurrence > 0).map(|task| task.task_index).collect();
    let names: BTreeMap<u32, &str> = run.tasks.iter().map(|task| (task.task_index, task.task.as_str())).collect();
    run.tasks.iter().map(|task| cells(task, several.contains(&task.task_index), &names)).collect()
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

fn cells(task: &TaskRecord, several: bool, names: &BTreeMap<u32, &str>) -> [String; 7] {
    let dash = || "-".to_owned();
    let time = |nanos: Option<u64>| nanos.map_or_else(dash, |nanos| short_time(Duration::from_nanos(nanos)));
    let last = task.tries.last();
    let started = last.map(|one| one.started_ns.and_then(|at| u64::try_from(at).ok()).unwrap_or(one.sent_ns));
    let late = last.zip(started).map(|(one, started)| started.saturating_sub(one.released_ns));
    let took = last.and_then(|one| Some(one.ended_ns?.saturating_sub(one.sent_ns)));
    let name = match (several || task.count > 1, task.count) {
        (false, _) => task.task.clone(),
        (true, 1) => format!("{} #{}", task.task, task.occurrence + 1),
        (true, count) => format!("{} #{}-{}", task.task, task.occurrence + 1, task.occurrence + count),
    };
    let due = task.due_ns.or(last.map(|one| one.released_ns));
    let tries = task.tries.len().to_string();
    [name, time(due), time(started), time(late), time(took), tries, verdict(task, names)]
}

fn verdict(task: &TaskRecord, names: &BTreeMap<u32, &str>) -> String {
    let Some(verdict) = task.verdict.map(Verdict::from) else { return "not known".to_owned() };
    let mut parts = vec![verdict.word().to_owned()];
    parts.extend(verdict.because(|index| names.get(&index.0).map_or("?", |id| *id).to_owned()));
    let message = task.tries.last().and_then(|one| one.error.clone());
    parts.extend(message.filter(|_| verdict != Verdict::Succeeded));
    let late = if task.missed_deadline && verdict.is_success() { ", after its deadline" } else { "" };
    format!("{}{late}", parts.join(": "))
}
