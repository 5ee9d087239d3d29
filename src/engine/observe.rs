//! What an observation covers.

use crate::model::OwnerId;
use std::collections::BTreeSet;

/// What to observe.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whose containers are ours and read in full.
    pub owner: OwnerId,
    /// Image references whose state is wanted.
    pub images: BTreeSet<String>,
}
