//! A commit.

use crate::model::{self, Timestamp, plain};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A commit that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The full commit id; `worktree` and `staged` mark files that are not committed.
    pub commit: String,
    /// The branch or tag it was reached by.
    pub reference: String,
    /// First line of the commit message.
    pub summary: String,
    /// Author as `Name <address>`.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
}

impl From<model::Revision> for Revision {
    fn from(revision: model::Revision) -> Self {
        let model::Revision { commit, reference, summary, author, time } = revision;
        Self { commit: commit.into(), reference, summary, author, time }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} «{}»", short(&self.commit), plain(&self.summary))
    }
}

/// The first seven digits of a commit, as git prints them.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
