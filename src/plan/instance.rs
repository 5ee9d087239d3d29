//! One instance while its steps are drafted.

use super::action::Gate;
use super::context::Context;
use super::draft::Rank;
use super::fields::FieldCache;
use super::step::Milestone;
use super::subject::Subject;
use super::wanted::Wanted;
use crate::model::Container;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// One wanted instance under consideration.
pub(super) struct Instance<'c, 'a> {
    pub(super) cx: &'c Context<'a>,
    pub(super) wanted: &'c Wanted<'a>,
    pub(super) gate: Gate,
    pub(super) depended_on: bool,
    pub(super) rank: Rank,
    pub(super) fields: &'c mut FieldCache,
}

/// The container of an instance, as it will be after its leftovers were removed or restored.
pub(super) struct Main<'a> {
    pub(super) container: Cow<'a, Container>,
    /// Steps for its leftovers that must come first.
    pub(super) after: BTreeSet<(Subject, Milestone)>,
    /// A renamed predecessor that is removed once this one has passed its gate.
    pub(super) predecessor: Option<&'a Container>,
}
