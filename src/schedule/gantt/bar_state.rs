//! How an occurrence went, as the pictures tell it.

/// How an occurrence went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarState {
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

impl BarState {
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
    pub(super) fn glyph(self) -> char {
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
    pub(super) fn weight(self) -> u8 {
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
