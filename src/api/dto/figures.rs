//! How late tasks start and how long they take.

use super::words::words;
use crate::model::Timestamp;
use crate::store;
use serde::{Deserialize, Serialize};

/// The figures of a task, over all its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFigures {
    /// Id of the task.
    pub task: String,
    /// What is measured.
    pub kind: FigureKind,
    /// How many values there are.
    pub count: u64,
    /// Half of them do not exceed this, in microseconds.
    pub p50_us: u64,
    /// 99 % of them do not exceed this, in microseconds.
    pub p99_us: u64,
    /// The largest, in microseconds.
    pub max_us: u64,
    /// When the last was added, to the millisecond.
    pub updated_at: Timestamp,
}

words! {
    /// What is measured: the true start and the request after the release, the start before the release, the whole attempt, and
    /// (a count alone) occurrences that were left out because the one before had not ended.
    FigureKind = store::FigureKind { Lateness, Sent, Early, Duration, Overrun }
}

impl From<store::TaskFigures> for TaskFigures {
    fn from(figures: store::TaskFigures) -> Self {
        let store::TaskFigures { task, kind, figures, updated_at } = figures;
        let store::Figures { count, p50_us, p99_us, max_us, histogram: _ } = figures;
        Self { task: task.to_string(), kind: kind.into(), count, p50_us, p99_us, max_us, updated_at }
    }
}
