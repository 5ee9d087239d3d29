//! How a run of a schedule is shown: live, as a table with its picture, and as JSON.

use super::exit::Failure;
use super::session::Session;
use crate::api::dto::{self, Conducted};
use crate::model::{Schedule, Timestamp, nanos};
use crate::runs::{Detail, Moment, Occurrence};
use crate::schedule::{Attempt, Effect, End, Input, Record, Row, Try, Verdict, chart, gantt, short_time};
use comfy_table::{Table, presets};
use std::collections::BTreeMap;
use std::time::Duration;

/// Occurrences of a run in the foreground that are kept for its picture; of those beyond there is a count.
const KEPT: usize = 100_000;

/// A run that took place in the foreground.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) id: String,
    pub(super) started: Timestamp,
    pub(super) record: Record,
    pub(super) details: BTreeMap<Attempt, Detail>,
    pub(super) remarks: Vec<String>,
    /// Occurrences that are not in the record.
    pub(super) left_out: u64,
}

/// What is kept of a run while it goes on.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) record: Record,
    pub(super) details: BTreeMap<Attempt, Detail>,
    pub(super) left_out: u64,
}

impl Shown {
    pub(super) fn add(&mut self, occurrence: Occurrence) {
        if self.record.len() < KEPT {
            self.record.put(occurrence.row);
            self.details.extend(occurrence.details);
        } else {
            self.left_out += 1;
        }
    }
}

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
            (at, format!("start {} (sent {} late)", id(attempt)?, short_time(at.saturating_sub(*due))))
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
pub(super) fn text(session: &Session, schedule: &Schedule, run: &Ran) -> Result<(), Failure> {
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
    if run.left_out > 0 {
        session.printer.line(&format!("and {} occurrences more", run.left_out))?;
    }
    session.printer.line("")?;
    let subtitle = format!("run {}, started {}", run.id, run.started);
    session.printer.out(&gantt::text(&chart(schedule, Some((&run.record, at)), &subtitle), WIDTH))?;
    for row in run.record.rows() {
        let several = row.tries.len() > 1;
        for number in 1..=u32::try_from(row.tries.len()).unwrap_or(u32::MAX) {
            let Some(detail) = run.details.get(&Attempt { number, ..attempt(row) }) else { continue };
            let name = name(schedule, row);
            let name = if several { format!("{name}, attempt {number}") } else { name };
            let streams = [("stdout", &detail.stdout), ("stderr", &detail.stderr)];
            for (stream, text) in streams.into_iter().filter_map(|(stream, text)| Some((stream, text.as_ref()?))) {
                session.printer.line(&format!("\n{}", wrote(&name, stream, text)))?;
            }
        }
    }
    session.printer.line(&format!("\n{} {verdict} after {}", run.id, short_time(at)))
}

/// Lines of a stream that people are shown; `--json` has all that is kept.
const LINES: usize = 20;

/// The end of what a program wrote, below a heading. Nothing in it reaches the terminal as a command.
pub(super) fn wrote(task: &str, stream: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(LINES);
    let more = if left_out > 0 { format!(", the last {LINES} of {} lines", lines.len()) } else { String::new() };
    let mut shown = format!("{task} {stream}{more}:");
    for line in lines.iter().skip(left_out) {
        shown.push_str("\n  ");
        for letter in line.chars() {
            if letter.is_control() && letter != '\t' {
                shown.extend(letter.escape_default());
            } else {
                shown.push(letter);
            }
        }
    }
    shown
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
pub(super) fn form(schedule: &Schedule, run: Ran) -> Conducted {
    Conducted {
        version: 1,
        tasks: dto::Occurrence::all(schedule, &run.record, &run.details),
        run: run.id,
        schedule: schedule.name.to_string(),
        started: run.started,
        verdict: run.record.ended.map(|(_, verdict)| verdict.into()),
        took_ns: run.record.ended.map(|(at, _)| nanos(at)),
        remarks: run.remarks,
        left_out: run.left_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_wrote_is_shown_by_its_last_lines_and_as_text_only() {
        let text: String = (1..=25).map(|line| format!("line {line}\n")).collect();
        let shown = wrote("backup", "stderr", &text);
        assert!(shown.starts_with("backup stderr, the last 20 of 25 lines:\n  line 6\n"), "{shown}");
        assert!(shown.ends_with("line 25"), "{shown}");
        assert_eq!(wrote("a", "stdout", "\u{1b}[2Jgone\tx\n"), "a stdout:\n  \\u{1b}[2Jgone\tx");
    }
}
