//! Time as data. Pure code takes the time as an argument; `process::clock` is the only one who asks for it.

use super::CommitId;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use jiff::Timestamp;

/// A commit that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its id.
    pub commit: CommitId,
    /// The branch or tag it was reached by.
    pub reference: String,
    /// First line of the commit message.
    pub summary: String,
    /// Author as `Name <address>`.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
}

impl Revision {
    /// The first seven digits of the commit, as git prints them.
    pub fn short(&self) -> &str {
        self.commit.short()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} «{}»", self.short(), super::plain(&self.summary))
    }
}
