//! How a run of a schedule is shown: live, as a table with its picture, and as JSON.

use super::exit::Failure;
use super::session::Session;
use crate::model::{Schedule, nanos};
use crate::runs::{Conducted, Detail, Moment};
use crate::schedule::{Attempt, Effect, End, Input, Record, Row, Try, Verdict, chart, gantt, short_time};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The name of an occurrence.
pub(super) fn name(schedule: &Schedule, row: &Row) -> String {
    let task = schedule.tasks.get(row.task.at());
    let id = task.map_or("?", |task| task.id.as_str());
    match task.map(|task| task.release.occurrences()) {
        Some(0 | 1) | None => id.to_owned(),
        Some(_) if row.count > 1 => format!("{id} #{}-{}", row.occurrence + 1, row.occurrence + row.count),
        Some(_) => format!("{id} #{}", row.occurrence + 1),
    }
}

/// A line for who looks on; `None` for what is of no interest.
pub(super) fn told(schedule: &Schedule, moment: &Moment) -> Option<String> {
    let id = |attempt: &Attempt| {
        let task = schedule.tasks.get(attempt.task.at())?;
        let occurrence =
            if task.release.occurrences() > 1 { format!(" #{}", attempt.occurrence + 1) } else { String::new() };
        let number = if attempt.number > 1 { format!(", attempt {}", attempt.number) } else { String::new() };
        Some(format!("{}{occurrence}{number}", task.id))
    };
    let (at, text) = match moment {
        Moment::Effect(at, Effect::Start { attempt, due }) => {
            (at, format!("start {} ({} late)", id(attempt)?, short_time(at.saturating_sub(*due))))
        }
        Moment::Effect(at, Effect::Arm { attempt, at: due }) => {
            (at, format!("send {} ahead for {}", id(attempt)?, short_time(*due)))
        }
        Moment::Effect(at, Effect::Disarm(attempt)) => (at, format!("take {} back: its server is busy", id(attempt)?)),
        Moment::Effect(at, Effect::Stop { attempt, .. }) => (at, format!("stop {}", id(attempt)?)),
        Moment::Effect(at, Effect::Kill(attempt)) => (at, format!("end {} by force", id(attempt)?)),
        Moment::Effect(at, Effect::Poll(attempt)) => (at, format!("ask about {}", id(attempt)?)),
        Moment::Effect(at, Effect::Settled { task, verdict, missed_deadline, .. }) => {
            let why = verdict.why(schedule).map(|why| format!(": {why}")).unwrap_or_default();
            let missed = if *missed_deadline { ", after its deadline" } else { "" };
            let id = schedule.tasks.get(task.at())?.id.as_str();
            (at, format!("{id} {}{why}{missed}", verdict.word()))
        }
        Moment::Input(at, Input::Ended(attempt, End::Failure)) => (at, format!("{} reports a failure", id(attempt)?)),
        Moment::Input(..) | Moment::Effect(_, Effect::Ended(_)) => return None,
    };
    Some(format!("{:>12}  {text}", short_time(*at)))
}

/// Columns of a picture in text.
pub(super) const WIDTH: usize = 110;

/// A run as people read it.
pub(super) fn text(session: &Session, schedule: &Schedule, run: &Conducted) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TASK", "DUE", "STARTED", "LATE", "TOOK", "TRIES", "RESULT"]);
    for row in run.record.rows() {
        let last = row.tries.last();
        let dash = || "-".to_owned();
        let time = |time: Option<Duration>| time.map_or_else(dash, short_time);
        let detail = last.and_then(|_| run.details.get(&attempt(row)));
        let started = detail.and_then(|detail| detail.true_start).or(last.map(|one| one.sent));
        let late = started.zip(last).map(|(started, one)| started.saturating_sub(one.released));
        table.add_row([
            name(schedule, row),
            time(row.due.or(last.map(|one| one.released))),
            time(started),
            time(late),
            time(last.and_then(Try::took)),
            row.tries.len().to_string(),
            result(schedule, row, detail),
        ]);
    }
    let (at, verdict) = run.record.ended.map_or((Duration::ZERO, "broken off"), |(at, verdict)| (at, verdict.word()));
    session.printer.line(&format!("{table}"))?;
    session.printer.line("")?;
    let subtitle = format!("run {}, started {}", run.id, run.started);
    session.printer.out(&gantt::text(&chart(schedule, Some((&run.record, at)), &subtitle), WIDTH))?;
    session.printer.line(&format!("\n{} {verdict} after {}", run.id, short_time(at)))
}

/// The last attempt of an occurrence.
fn attempt(row: &Row) -> Attempt {
    Attempt { task: row.task, occurrence: row.occurrence, number: u32::try_from(row.tries.len()).unwrap_or(u32::MAX) }
}

fn result(schedule: &Schedule, row: &Row, detail: Option<&Detail>) -> String {
    let Some(verdict) = row.verdict else { return "no verdict".to_owned() };
    let mut text = verdict.word().to_owned();
    let message = detail.and_then(|detail| detail.message.clone()).filter(|_| verdict != Verdict::Succeeded);
    for why in [verdict.why(schedule), message].into_iter().flatten() {
        text.push_str(": ");
        text.push_str(&why);
    }
    if row.missed_deadline && verdict.is_success() {
        text.push_str(", after its deadline");
    }
    text
}

/// A run as programs read it.
pub(super) fn json(schedule: &Schedule, run: &Conducted) -> Value {
    json!({
        "version": 1,
        "run": run.id,
        "schedule": schedule.name,
        "started": run.started,
        "verdict": run.record.ended.map(|(_, verdict)| verdict),
        "took_ns": run.record.ended.map(|(at, _)| nanos(at)),
        "remarks": run.remarks,
        "tasks": rows(schedule, &run.record, &run.details),
    })
}

/// The occurrences as programs read them; times are nanoseconds after the run's start.
pub(super) fn rows(schedule: &Schedule, record: &Record, details: &BTreeMap<Attempt, Detail>) -> Vec<Value> {
    let row = |row: &Row| {
        let tries: Vec<Value> = (1..)
            .zip(&row.tries)
            .map(|(number, one)| {
                let detail = details.get(&Attempt { number, ..attempt(row) });
                let started = detail.and_then(|detail| detail.true_start);
                json!({
                    "released_ns": nanos(one.released),
                    "sent_ns": nanos(one.sent),
                    "sent_ahead": one.armed,
                    "acknowledged_ns": one.acknowledged.map(nanos),
                    "started_ns": started.map(nanos),
                    "ended_ns": one.ended.map(nanos),
                    "end": one.end,
                    "late_ns": nanos(started.unwrap_or(one.sent).saturating_sub(one.released)),
                    "message": detail.and_then(|detail| detail.message.as_deref()),
                    "output": detail.and_then(|detail| detail.output.as_ref()),
                    "cpu_ns": detail.and_then(|detail| detail.cpu).map(nanos),
                    "memory_peak": detail.and_then(|detail| detail.memory_peak),
                })
            })
            .collect();
        json!({
            "task": schedule.tasks.get(row.task.at()).map(|task| task.id.as_str()),
            "occurrence": row.occurrence,
            "count": row.count,
            "due_ns": row.due.map(nanos),
            "verdict": row.verdict.map(Verdict::word),
            "why": row.verdict.and_then(|verdict| verdict.why(schedule)),
            "missed_deadline": row.missed_deadline,
            "tries": tries,
        })
    };
    record.rows().map(row).collect()
}
