//! What happened in a run, kept from the inputs and effects of its timeline in their order.

use super::timeline::{Attempt, Effect, End, Input, RunVerdict, TaskIndex, Verdict};
use crate::model::Schedule;
use std::collections::BTreeMap;
use std::time::Duration;

/// A run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    rows: BTreeMap<(TaskIndex, u32), Row>,
    /// How the run ended, and when, after its start.
    pub ended: Option<(Duration, RunVerdict)>,
}

/// An occurrence of a task, or several that were left out together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which task.
    pub task: TaskIndex,
    /// Which occurrence, from 0.
    pub occurrence: u32,
    /// How many occurrences from there; above 1 only for some that never started.
    pub count: u32,
    /// When it was due after the run's start; `None` for a sequential task.
    pub due: Option<Duration>,
    /// Its attempts in order.
    pub tries: Vec<Try>,
    /// How it ended; `None` while it has not.
    pub verdict: Option<Verdict>,
    /// A deadline passed before its end.
    pub missed_deadline: bool,
}

/// One attempt. Times count from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// When it could start: the later of its due time and the end of what it needs.
    pub released: Duration,
    /// When its request was sent, or for one that was sent ahead its instant.
    pub sent: Duration,
    /// It was sent ahead.
    pub armed: bool,
    /// When its task server acknowledged.
    pub acknowledged: Option<Duration>,
    /// When it ended, as far as that was reported.
    pub ended: Option<Duration>,
    /// How it said that it ended.
    pub end: Option<End>,
}

impl Try {
    /// How late it was sent.
    pub fn lateness(&self) -> Duration {
        self.sent.saturating_sub(self.released)
    }

    /// From its request to its reported end.
    pub fn took(&self) -> Option<Duration> {
        self.ended.map(|ended| ended.saturating_sub(self.sent))
    }
}

impl Record {
    /// A run as it was written down.
    pub fn written(rows: impl IntoIterator<Item = Row>, ended: Option<(Duration, RunVerdict)>) -> Self {
        Self { rows: rows.into_iter().map(|row| ((row.task, row.occurrence), row)).collect(), ended }
    }

    /// The occurrences, by task and number.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// An occurrence.
    pub fn row(&self, task: TaskIndex, occurrence: u32) -> Option<&Row> {
        self.rows.get(&(task, occurrence))
    }

    /// Takes an occurrence out: one that is settled goes elsewhere, so that a long run does not fill the memory.
    pub fn take(&mut self, task: TaskIndex, occurrence: u32) -> Option<Row> {
        self.rows.remove(&(task, occurrence))
    }

    /// Puts an occurrence in, in place of what is known of it.
    pub fn put(&mut self, row: Row) {
        self.rows.insert((row.task, row.occurrence), row);
    }

    /// How many occurrences it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The occurrence that an effect is about; `None` for one about the run as a whole.
    pub fn about(effect: &Effect) -> Option<(TaskIndex, u32)> {
        match *effect {
            Effect::Arm { attempt, .. }
            | Effect::Start { attempt, .. }
            | Effect::Stop { attempt, .. }
            | Effect::Disarm(attempt)
            | Effect::Poll(attempt)
            | Effect::Kill(attempt) => Some((attempt.task, attempt.occurrence)),
            Effect::Settled { task, first, .. } => Some((task, first)),
            Effect::Ended(_) => None,
        }
    }

    /// The occurrences of a task, in order.
    pub fn rows_of(&self, task: TaskIndex) -> impl Iterator<Item = &Row> {
        self.rows.range((task, 0)..=(task, u32::MAX)).map(|(_, row)| row)
    }

    /// Notes what came in.
    pub fn input(&mut self, now: Duration, input: &Input) {
        let (attempt, end) = match input {
            Input::Started(attempt) => (attempt, None),
            Input::Ended(attempt, end) => (attempt, Some(*end)),
            _ => return,
        };
        let Some(one) = self.attempt(*attempt) else { return };
        match end {
            None => {
                one.acknowledged.get_or_insert(now);
            }
            Some(end) if one.end.is_none() => (one.ended, one.end) = (Some(now), Some(end)),
            Some(_) => {}
        }
    }

    /// Notes what was done.
    pub fn effect(&mut self, schedule: &Schedule, now: Duration, effect: &Effect) {
        match *effect {
            Effect::Arm { attempt, at } => self.begin(schedule, attempt, at, at, true),
            Effect::Start { attempt, due } => self.begin(schedule, attempt, due, now, false),
            Effect::Settled { task, first, count, verdict, missed_deadline } => {
                let row = self.row_of(schedule, task, first);
                (row.count, row.verdict, row.missed_deadline) = (count, Some(verdict), missed_deadline);
            }
            Effect::Ended(verdict) => self.ended = Some((now, verdict)),
            Effect::Disarm(_) | Effect::Poll(_) | Effect::Stop { .. } | Effect::Kill(_) => {}
        }
    }

    fn begin(&mut self, schedule: &Schedule, attempt: Attempt, released: Duration, sent: Duration, armed: bool) {
        let row = self.row_of(schedule, attempt.task, attempt.occurrence);
        // What was sent ahead and not taken begins again under its number.
        row.tries.truncate(attempt.number.saturating_sub(1) as usize);
        row.tries.push(Try { released, sent, armed, acknowledged: None, ended: None, end: None });
    }

    fn row_of(&mut self, schedule: &Schedule, task: TaskIndex, occurrence: u32) -> &mut Row {
        self.rows.entry((task, occurrence)).or_insert_with(|| Row {
            task,
            occurrence,
            count: 1,
            due: schedule.tasks.get(task.at()).and_then(|task| task.release.due(occurrence)),
            tries: Vec::new(),
            verdict: None,
            missed_deadline: false,
        })
    }

    fn attempt(&mut self, attempt: Attempt) -> Option<&mut Try> {
        self.rows.get_mut(&(attempt.task, attempt.occurrence))?.tries.get_mut(attempt.number.checked_sub(1)? as usize)
    }
}
