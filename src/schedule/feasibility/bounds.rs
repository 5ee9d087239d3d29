//! How much of a schedule is looked at, so that the time that takes is bounded.

/// So many occurrences of one task are looked at; two periodic tasks show within far fewer how they meet.
pub const MAX_OCCURRENCES: u32 = 100_000;

/// So many occurrences are looked at in all; shared out evenly when there are very many tasks.
pub const MAX_OCCURRENCES_IN_ALL: u32 = 1_000_000;

/// So many overlapping pairs of tasks are told for one task server, the longest late ones; the rest are counted.
pub const MAX_PAIRS: usize = 20;
