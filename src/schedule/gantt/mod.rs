//! A timeline as a picture: what was planned, what happened, and how late.
//!
//! In: a [`Chart`], which the caller fills from a schedule or a run. Out: an SVG file ([`svg`]) or lines of text
//! ([`text`]). The same chart always gives the same bytes. It must not judge: verdicts and expected ends are given.

mod layout;
mod scale;
mod svg;
mod svg_bar;
mod svg_style;
mod svg_text;
#[cfg(test)]
mod tests;
mod text;

pub(super) use layout::{cut, plain};
pub use svg::svg;
pub use text::text;

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
    pub rows: Vec<Row>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Row {
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
    pub verdict: Verdict,
    /// A few words beside the bar, such as `exit 1`; may be empty.
    pub label: String,
}

/// How an occurrence went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It has not started.
    Planned,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was stopped by its deadline or timeout.
    TimedOut,
    /// Somebody stopped it.
    Cancelled,
    /// It never started and will not.
    Skipped,
    /// It runs.
    Running,
}

impl Verdict {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 7] =
        [Self::Planned, Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Cancelled, Self::Skipped];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Running => "running",
        }
    }

    /// A character for it, one column wide.
    fn glyph(self) -> char {
        match self {
            Self::Planned => '○',
            Self::Succeeded => '✓',
            Self::Failed => '✗',
            Self::TimedOut => '◷',
            Self::Cancelled => '⊘',
            Self::Skipped => '−',
            Self::Running => '▸',
        }
    }

    /// Which of two is told when only one can be: more is told first.
    fn weight(self) -> u8 {
        match self {
            Self::Failed => 6,
            Self::TimedOut => 5,
            Self::Cancelled => 4,
            Self::Running => 3,
            Self::Skipped => 2,
            Self::Planned => 1,
            Self::Succeeded => 0,
        }
    }
}

impl Bar {
    /// The first and the last time at which something of it is drawn, without its deadline; `None` for an empty bar.
    fn extent(&self) -> Option<(Duration, Duration)> {
        let planned = self.planned.map(ordered);
        let actual = self.actual.map(ordered);
        match (planned, actual) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other).or(self.deadline.map(|deadline| (deadline, deadline))),
        }
    }

    /// How much later than due it started; `None` when it was not late.
    fn late_start(&self) -> Option<Duration> {
        let (due, start) = (self.planned?.0, self.actual?.0);
        start.checked_sub(due).filter(|late| !late.is_zero())
    }

    /// How much later than its deadline it ended, or runs already; `None` when it was not late.
    fn overdue(&self) -> Option<Duration> {
        self.actual?.1.checked_sub(self.deadline?).filter(|late| !late.is_zero())
    }
}

fn ordered((start, end): (Duration, Duration)) -> (Duration, Duration) {
    (start, end.max(start))
}
