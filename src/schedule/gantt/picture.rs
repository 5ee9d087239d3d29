//! What is drawn: rows of bars over one axis of time.

use super::bar_state::BarState;
use std::time::Duration;

/// A picture of one timeline. All times count from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Chart {
    /// The heading.
    pub title: String,
    /// A line below it; nothing is drawn when it is empty.
    pub subtitle: String,
    /// How much time the axis shows; more when a bar reaches beyond it.
    pub length: Duration,
    /// The tasks, in the order in which they are drawn within their lane.
    pub rows: Vec<ChartRow>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ChartRow {
    /// Its id.
    pub task: String,
    /// Where it runs: the address of a task server, or a command. Rows with equal lane and CPU stand together.
    pub lane: String,
    /// The CPU that it is bound to.
    pub cpu: Option<u32>,
    /// Its occurrences, or their attempts.
    pub bars: Vec<Bar>,
}

/// One occurrence of a task, or one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it was due, and when it was expected to end (the due time again when that is not known).
    pub planned: Option<(Duration, Duration)>,
    /// When it started, and when it ended (or until when it is known to run).
    pub actual: Option<(Duration, Duration)>,
    /// When it must have ended.
    pub deadline: Option<Duration>,
    /// How it went.
    pub state: BarState,
    /// A few words beside the bar, such as `exit 1`; may be empty.
    pub label: String,
}

impl Bar {
    /// The first and the last time at which something of it is drawn, without its deadline; `None` for an empty bar.
    pub(super) fn extent(&self) -> Option<(Duration, Duration)> {
        let planned = self.planned.map(ordered);
        let actual = self.actual.map(ordered);
        match (planned, actual) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other).or(self.deadline.map(|deadline| (deadline, deadline))),
        }
    }

    /// How much later than due it started; `None` when it was not late.
    pub(super) fn late_start(&self) -> Option<Duration> {
        let (due, start) = (self.planned?.0, self.actual?.0);
        start.checked_sub(due).filter(|late| !late.is_zero())
    }

    /// How much later than its deadline it ended, or runs already; `None` when it was not late.
    pub(super) fn overdue(&self) -> Option<Duration> {
        self.actual?.1.checked_sub(self.deadline?).filter(|late| !late.is_zero())
    }
}

fn ordered((start, end): (Duration, Duration)) -> (Duration, Duration) {
    (start, end.max(start))
}
