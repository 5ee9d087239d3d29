//! Answers to requests that change something, and to those that fail.

use serde::{Deserialize, Serialize};

/// The answer to a request that is carried out later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Whether it changes anything.
    pub changed: bool,
}

/// An error as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, for people.
    pub error: String,
    /// What is wrong, for programs: `not_found`, `bad_request`, `too_large`, `method_not_allowed`, `forbidden`, `conflict`,
    /// `unavailable`, `internal`.
    pub code: String,
    /// What to do about it, when that is known.
    pub hint: Option<String>,
}
