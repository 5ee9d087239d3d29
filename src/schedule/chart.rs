//! The picture of a run, or of what a schedule plans.

use super::gantt::{Bar, BarState, Chart, ChartRow};
use super::record::{Record, Row};
use super::simulate::{Course, simulate};
use super::timeline::{Lane, Verdict};
use crate::model::{DeadlineFrom, Schedule, Task};
use std::time::Duration;

/// Steps of the simulation that says what is planned; what comes after them is not drawn: a picture has not that many columns.
const STEPS: usize = 100_000;

/// What a schedule plans: every task takes as long as its file says, and succeeds.
pub fn expected(schedule: &Schedule) -> Record {
    let lane = |_, task: &Task| if task.target.is_server() { Lane::WRAPPER } else { Lane::LOCAL };
    simulate(schedule, lane, |task, _| Course::planned(task), STEPS)
}

/// Draws a run; `now` is how far it has come, and without a run what is planned is drawn.
pub fn chart(schedule: &Schedule, run: Option<(&Record, Duration)>, subtitle: &str) -> Chart {
    let planned = expected(schedule);
    let rows = (0..).zip(&schedule.tasks).map(|(at, task)| {
        let index = super::timeline::TaskIndex(at);
        let drawn = run.map_or(&planned, |(record, _)| record);
        let bars = drawn.rows_of(index).map(|row| {
            let expected = planned.row(index, row.occurrence);
            bar(task, row, expected, run.map(|(_, now)| now))
        });
        let cpu = task.real_time.cpu;
        ChartRow { task: task.id.to_string(), lane: task.target.to_string(), cpu, bars: bars.collect() }
    });
    let rows: Vec<ChartRow> = rows.collect();
    let end = |record: &Record| record.ended.map_or(Duration::ZERO, |(at, _)| at);
    let length = run.map_or_else(|| end(&planned), |(record, now)| end(record).max(now));
    Chart { title: schedule.title.clone(), subtitle: subtitle.to_owned(), length, rows }
}

fn bar(task: &Task, row: &Row, expected: Option<&Row>, now: Option<Duration>) -> Bar {
    let first = expected.and_then(|row| row.tries.first());
    let due = row.due.or(first.map(|one| one.released));
    let takes = task.estimate.unwrap_or_default();
    let last = row.tries.last();
    let actual = now.and_then(|now| {
        let one = last?;
        Some((one.sent, one.ended.unwrap_or(if row.verdict.is_some() { one.sent } else { now })))
    });
    let since =
        |from| if from == DeadlineFrom::Run { Some(Duration::ZERO) } else { row.due.or(last.map(|one| one.released)) };
    Bar {
        planned: due.map(|due| (due, due.saturating_add(takes))),
        actual,
        deadline: task.deadline.and_then(|deadline| Some(since(deadline.from)?.saturating_add(deadline.after))),
        state: match (now, row.verdict) {
            (None, _) => BarState::Planned,
            (_, Some(Verdict::Succeeded)) => BarState::Succeeded,
            (_, Some(Verdict::Failed(_))) => BarState::Failed,
            (_, Some(Verdict::TimedOut(_))) => BarState::TimedOut,
            (_, Some(Verdict::Cancelled)) => BarState::Cancelled,
            (_, Some(Verdict::Skipped(_))) => BarState::Skipped,
            (_, None) if row.tries.is_empty() => BarState::Planned,
            (_, None) => BarState::Running,
        },
        label: match row.tries.len() {
            0 | 1 if row.count > 1 => format!("{} times", row.count),
            0 | 1 => String::new(),
            tries => format!("attempt {tries}"),
        },
    }
}
