//! What happened to each task of a run.

use super::columns::{from_json_text, integer, natural_or_null, to_json, unknown};
use super::{Ledger, StoreError};
use crate::model::{RunId, TaskId, nanos};
use crate::schedule::{self, End, TaskIndex, Verdict};
use rusqlite::{Connection, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An occurrence of a task, or several that were left out together. Times are nanoseconds from the start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Position of the task in its schedule.
    pub task_index: TaskIndex,
    /// Its id there.
    pub task: TaskId,
    /// Which occurrence, from 0.
    pub occurrence: u32,
    /// How many occurrences from there; above 1 only for some that never started.
    pub count: u32,
    /// When it was due; `None` for a sequential task.
    pub due_ns: Option<u64>,
    /// How it ended; `None` while it has not, and when its run was interrupted before.
    pub verdict: Option<Verdict>,
    /// A deadline passed before its end.
    pub missed_deadline: bool,
    /// Its attempts in order.
    pub tries: Vec<TryRecord>,
    /// What it returned; `None` when it returned nothing, or more than [`TaskRecord::OUTPUT_LIMIT`].
    pub output: Option<Value>,
    /// How many bytes its output has as JSON; set when it is written.
    pub output_bytes: Option<u64>,
}

/// An attempt. Times are nanoseconds from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryRecord {
    /// When it could start.
    pub released_ns: u64,
    /// When its request was sent, or for one that was sent ahead its instant.
    pub sent_ns: u64,
    /// It was sent ahead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub armed: bool,
    /// When its task server acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ns: Option<u64>,
    /// When it truly started, where its runner measures that; before the release only where clocks differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    /// When it ended, as far as that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ns: Option<u64>,
    /// How it said that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Why it failed, at most [`TaskRecord::ERROR_LIMIT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was asked for and not had, though it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// The end of what it wrote to its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
}

impl TaskRecord {
    /// Longer outputs (bytes of JSON) are not kept, only their size.
    pub const OUTPUT_LIMIT: usize = 64 * 1024;
    /// Longer messages (bytes) are cut.
    pub const ERROR_LIMIT: usize = 4 * 1024;

    /// An occurrence as the timeline knows it; true starts, messages and output are for the caller to fill in.
    pub fn new(task: TaskId, row: &schedule::Row) -> Self {
        let tries = row.tries.iter().map(|one| TryRecord {
            released_ns: nanos(one.released),
            sent_ns: nanos(one.sent),
            armed: one.armed,
            acknowledged_ns: one.acknowledged.map(nanos),
            started_ns: None,
            ended_ns: one.ended.map(nanos),
            end: one.end,
            error: None,
            remarks: Vec::new(),
            stdout: None,
            stderr: None,
        });
        Self {
            task_index: row.task,
            task,
            occurrence: row.occurrence,
            count: row.count,
            due_ns: row.due.map(nanos),
            verdict: row.verdict,
            missed_deadline: row.missed_deadline,
            tries: tries.collect(),
            output: None,
            output_bytes: None,
        }
    }
}

impl Ledger {
    /// Writes occurrences of a run that began, all in one transaction; one that was written before is
    /// overwritten, but none that has a verdict by one that has none.
    ///
    /// # Errors
    /// When the database cannot be written, or the run is not there.
    pub fn record_rows(&self, run: &RunId, rows: &[TaskRecord]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.store.with("record tasks of a run", |db| {
            let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for row in rows {
                put(&write, run, row)?;
            }
            write.commit()
        })
    }
}

fn put(db: &Connection, run: &RunId, row: &TaskRecord) -> rusqlite::Result<()> {
    let [verdict, cause, cause_task] = columns(row.verdict)?;
    let output = row.output.as_ref().map(Value::to_string);
    let bytes = output.as_ref().map_or(row.output_bytes, |output| Some(output.len() as u64));
    let cut: Vec<TryRecord>;
    let tries = if row.tries.iter().any(|one| one.error.as_ref().is_some_and(|text| text.len() > ERROR_LIMIT)) {
        cut = row
            .tries
            .iter()
            .map(|one| TryRecord { error: one.error.as_deref().map(shortened), ..one.clone() })
            .collect();
        &cut
    } else {
        &row.tries
    };
    let tries = serde_json::to_string(tries).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.prepare_cached(
        "INSERT INTO run_tasks (run, task_index, task, occurrence, count, due_ns, verdict, cause, cause_task,
                                missed_deadline, tries, output, output_bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (run, task_index, occurrence) DO UPDATE SET
             task = ?3, count = ?5, due_ns = ?6, verdict = ?7, cause = ?8, cause_task = ?9, missed_deadline = ?10,
             tries = ?11, output = ?12, output_bytes = ?13
         WHERE ?7 IS NOT NULL OR verdict IS NULL",
    )?
    .execute(params![
        run,
        row.task_index.0,
        row.task.as_str(),
        row.occurrence,
        row.count,
        row.due_ns.map(integer),
        verdict.as_str(),
        cause.as_str(),
        cause_task.as_i64(),
        row.missed_deadline,
        tries,
        output.filter(|output| output.len() <= TaskRecord::OUTPUT_LIMIT),
        bytes.map(integer)
    ])?;
    Ok(())
}

const ERROR_LIMIT: usize = TaskRecord::ERROR_LIMIT;

/// A message without what is beyond the limit.
fn shortened(text: &str) -> String {
    if text.len() <= ERROR_LIMIT {
        return text.to_owned();
    }
    let mark = '…';
    format!("{}{mark}", &text[..text.floor_char_boundary(ERROR_LIMIT - mark.len_utf8())])
}

/// Occurrences of a run by task and number, at most `limit`.
pub(super) fn read(db: &Connection, run: &RunId, limit: usize) -> rusqlite::Result<Vec<TaskRecord>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT task_index, task, occurrence, count, due_ns, verdict, cause, cause_task, missed_deadline, tries, output,
                output_bytes
         FROM run_tasks WHERE run = ?1 ORDER BY task_index, occurrence LIMIT ?2",
    )?;
    let rows = statement.query_map(params![run, limit], |row| {
        Ok(TaskRecord {
            task_index: TaskIndex(row.get(0)?),
            task: TaskId::new(row.get::<_, String>(1)?),
            occurrence: row.get(2)?,
            count: row.get(3)?,
            due_ns: natural_or_null(row, 4)?,
            verdict: verdict(row)?,
            missed_deadline: row.get(8)?,
            tries: from_json_text(&row.get::<_, String>(9)?, 9)?,
            output: row.get::<_, Option<String>>(10)?.map(|text| from_json_text(&text, 10)).transpose()?,
            output_bytes: natural_or_null(row, 11)?,
        })
    })?;
    rows.collect()
}

/// The columns `verdict`, `cause` and `cause_task`, out of the JSON form: `"succeeded"`, `{"failed": "lost"}`,
/// `{"skipped": {"need-failed": 3}}`.
fn columns(verdict: Option<Verdict>) -> rusqlite::Result<[Value; 3]> {
    let (verdict, rest) = word_and_rest(to_json(&verdict)?);
    let (cause, task) = word_and_rest(rest);
    Ok([verdict, cause, task])
}

/// The word of a variant, and what it contains.
fn word_and_rest(json: Value) -> (Value, Value) {
    match json {
        Value::Object(map) => map.into_iter().next().map_or_else(Default::default, |(key, rest)| (key.into(), rest)),
        word => (word, Value::Null),
    }
}

/// The verdict of these columns.
fn verdict(row: &Row<'_>) -> rusqlite::Result<Option<Verdict>> {
    let (verdict, cause): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let task: Option<u32> = row.get(7)?;
    let known = ["succeeded", "failed", "timed-out", "cancelled", "skipped"];
    let doubtful = if verdict.as_deref().is_some_and(|word| known.contains(&word)) { 6 } else { 5 };
    let cause = cause.map(|cause| task.map_or_else(|| json!(cause), |task| json!({ &cause: task })));
    let verdict = verdict.map(|verdict| cause.map_or_else(|| json!(verdict), |cause| json!({ &verdict: cause })));
    serde_json::from_value(verdict.into()).map_err(|_| unknown(row, doubtful, "run_tasks"))
}
