//! The scope of an observation.

use crate::model::OwnerId;
use std::collections::BTreeSet;

/// What to observe.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Owner label of our containers, which are read in full.
    pub owner: OwnerId,
    /// Image references whose state is requested.
    pub images: BTreeSet<String>,
}
