//! How late tasks started and how long they took, over all their runs.

use super::columns::{integer, known, natural, word};
use super::ledger::parsed;
use super::{Ledger, StoreError, time_text};
use crate::model::{ScheduleName, TaskId, Timestamp};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureKind {
    /// From the release of an attempt to its true start, as its runner stamped it.
    Lateness,
    /// From the release of an attempt to when its request was sent, where its task server does not stamp the start.
    Sent,
    /// From the true start of an attempt to its release, where the start came first: two clocks differ.
    Early,
    /// From its request to its end.
    Duration,
    /// Occurrences that were left out because the one before had not ended. Their count alone means something.
    Overrun,
}

/// A histogram and what people want to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// How many values there are.
    pub count: u64,
    /// Half of them do not exceed this, in microseconds.
    pub p50_us: u64,
    /// 99 % of them do not exceed this, in microseconds.
    pub p99_us: u64,
    /// The largest, in microseconds.
    pub max_us: u64,
    /// All of them in the byte form of the histogram; not shown.
    #[serde(skip)]
    pub histogram: Vec<u8>,
}

/// The figures of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFigures {
    /// Id of the task.
    pub task: TaskId,
    /// What is measured.
    pub kind: FigureKind,
    /// The values.
    #[serde(flatten)]
    pub figures: Figures,
    /// When the last was added, to the millisecond.
    pub updated_at: Timestamp,
}

impl Ledger {
    /// Adds values to those of a task. `add` takes the histogram that was written before and returns the sum. The store is
    /// free for others meanwhile; when one of them adds to the same figures, `add` is called again.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn add_figures(
        &self,
        schedule: &ScheduleName,
        task: &TaskId,
        kind: FigureKind,
        now: Timestamp,
        add: impl Fn(Option<&[u8]>) -> Figures,
    ) -> Result<(), StoreError> {
        loop {
            let before: Option<Vec<u8>> = self.store.with("read figures of a task", |db| {
                db.prepare_cached(
                    "SELECT histogram FROM task_figures
                     WHERE environment = ?1 AND schedule = ?2 AND task = ?3 AND kind = ?4",
                )?
                .query_row(params![&*self.environment, schedule.as_str(), task.as_str(), word(&kind)?], |row| {
                    row.get(0)
                })
                .optional()
            })?;
            let sum = add(before.as_deref());
            let changed = self.store.with("add figures of a task", |db| {
                db.prepare_cached(
                    "INSERT INTO task_figures
                     (environment, schedule, task, kind, count, p50_us, p99_us, max_us, histogram, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                     ON CONFLICT (environment, schedule, task, kind) DO UPDATE SET
                         count = ?5, p50_us = ?6, p99_us = ?7, max_us = ?8, histogram = ?9, updated_at = ?10
                     WHERE histogram = ?11",
                )?
                .execute(params![
                    &*self.environment,
                    schedule.as_str(),
                    task.as_str(),
                    word(&kind)?,
                    integer(sum.count),
                    integer(sum.p50_us),
                    integer(sum.p99_us),
                    integer(sum.max_us),
                    sum.histogram,
                    time_text(now),
                    before
                ])
            })?;
            if changed > 0 {
                return Ok(());
            }
        }
    }

    /// The figures of every task of a schedule, by task, lateness first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn figures(&self, schedule: &ScheduleName) -> Result<Vec<TaskFigures>, StoreError> {
        let sql = "SELECT task, kind, count, p50_us, p99_us, max_us, histogram, updated_at FROM task_figures
                   WHERE environment = ?1 AND schedule = ?2 ORDER BY task, instr('lateness sent early duration overrun', kind)";
        self.store.with("read figures of tasks", |db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(params![&*self.environment, schedule.as_str()], |row| {
                Ok(TaskFigures {
                    task: TaskId::new(row.get::<_, String>(0)?),
                    kind: known(row, 1, "task_figures")?,
                    figures: Figures {
                        count: natural(row, 2)?,
                        p50_us: natural(row, 3)?,
                        p99_us: natural(row, 4)?,
                        max_us: natural(row, 5)?,
                        histogram: row.get(6)?,
                    },
                    updated_at: parsed(row, 7)?,
                })
            })?;
            rows.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn figures_are_added_to_those_before_and_go_with_their_schedule() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Store::open(dir.path()).unwrap().ledger("prod");
        let (dose, hourly) = (TaskId::new("dose"), ScheduleName::new("hourly"));
        let nightly = ScheduleName::new("nightly");
        // A stand-in for a histogram: a byte for each value.
        let add = |schedule: &ScheduleName, kind, value: u8, second| {
            let sum = |before: Option<&[u8]>| {
                let histogram = [before.unwrap_or_default(), &[value]].concat();
                let count = histogram.len() as u64;
                Figures { count, p50_us: 1, p99_us: 2, max_us: value.into(), histogram }
            };
            ledger.add_figures(schedule, &dose, kind, at(second), sum).unwrap();
        };
        add(&nightly, FigureKind::Duration, 9, 0);
        add(&nightly, FigureKind::Lateness, 3, 1);
        add(&nightly, FigureKind::Lateness, 7, 2);
        add(&hourly, FigureKind::Lateness, 1, 3);
        let read = ledger.figures(&nightly).unwrap();
        assert_eq!(read.iter().map(|one| one.kind).collect::<Vec<_>>(), [FigureKind::Lateness, FigureKind::Duration]);
        let figures = &read[0].figures;
        assert_eq!((figures.count, figures.max_us, figures.histogram.as_slice()), (2, 7, [3, 7].as_slice()));
        assert_eq!(read[0].updated_at, at(2));
        let json = serde_json::to_value(&read[0]).unwrap();
        assert_eq!((&json["task"], &json["kind"], &json["p99_us"]), (&json!("dose"), &json!("lateness"), &json!(2)));
        assert!(json.get("histogram").is_none());
        ledger.forget_schedules([&hourly]).unwrap();
        assert!(ledger.figures(&nightly).unwrap().is_empty());
        assert_eq!(ledger.figures(&hourly).unwrap().len(), 1);
    }
}
