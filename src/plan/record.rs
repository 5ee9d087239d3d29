//! What is on record of a container: a digest of each field as it was last applied, which tells drift from a commit.

use super::context::Context;
use super::diff::differences;
use super::fields::FieldCache;
use super::input::PlanInput;
use super::step::FieldChange;
use crate::model::{Container, ContainerId, Field, FieldKind, Fields, digest};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The digests to remember of a container that is created with these fields under this name.
pub(super) fn applied(fields: &Fields, name: &str) -> BTreeMap<String, String> {
    let mut digests: BTreeMap<String, String> =
        fields.iter().map(|(field, value)| (field.to_string(), digest(value))).collect();
    digests.insert(Field::one(FieldKind::Name).to_string(), digest(name));
    digests
}

/// The digests that an update in place leaves behind, for the store: its changed fields, as far as they can be reported.
pub fn remembered(changes: &[FieldChange]) -> BTreeMap<String, String> {
    let lasting = changes.iter().filter(|change| change.field.kind != FieldKind::State);
    lasting.map(|change| (change.field.to_string(), change.new.as_deref().map(digest).unwrap_or_default())).collect()
}

/// What was last applied to a container: its label, and what was changed in place since.
pub(super) fn base<'c>(cx: &Context<'_>, container: &'c Container) -> Cow<'c, BTreeMap<String, String>> {
    let mut base = Cow::Borrowed(&container.applied);
    if let Some(remembered) = cx.input.memory.applied.get(&container.id) {
        let base = base.to_mut();
        base.extend(remembered.iter().map(|(field, digest)| (field.clone(), digest.clone())));
        // What was unset in place is remembered as nothing.
        base.retain(|_, digest| !digest.is_empty());
    }
    base
}

/// Values that the containers have and a commit asks for, but that no apply put there: someone's hand did, or an apply
/// that was killed before it could write them down. Their digests, by container and field (nothing for a field that is
/// unset), are to be remembered as applied, so that a later commit which changes the field again is not taken for drift.
pub fn found_in_place(input: &PlanInput<'_>) -> BTreeMap<ContainerId, BTreeMap<String, String>> {
    let cx = Context::new(*input);
    let mut fields = FieldCache::default();
    let mut found = BTreeMap::new();
    for wanted in cx.wanted.values() {
        // More than one is there only after an interruption; which of them counts is not decided here.
        let Some([container]) = cx.present.get(&wanted.id).map(|present| present.main.as_slice()) else { continue };
        let base = base(&cx, container);
        let mut settled = applied(&fields.own(wanted), &wanted.name);
        for field in base.keys() {
            settled.entry(field.clone()).or_default();
        }
        for change in differences(&cx, wanted, &mut fields, container, &base) {
            settled.remove(&change.field.to_string());
        }
        settled.retain(|field, digest| base.get(field).map_or("", String::as_str) != digest.as_str());
        if !settled.is_empty() {
            found.insert(container.id.clone(), settled);
        }
    }
    found
}
