//! The recorded settings of an object, on which drift detection is based. Its own label contains a digest of each requested
//! setting; the store contains what was requested in place later, and what the engine reported for all of that. Git changed a field
//! if the request differs from the recorded request; the host changed it if the report differs from the recorded report.

use super::context::Context;
use super::diff::differences;
use super::fields::{FieldCache, is_mutable};
use super::input::{Base, PlanInput};
use super::settings::network_changes;
use super::step::FieldChange;
use crate::model::{Container, ContainerSpec, Field, FieldKind, Fields, Service, digest};
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

/// Digests of what an engine reports of a container, as far as the host can change it while it stays the same container.
pub fn reported(container: &Container) -> BTreeMap<String, String> {
    let mut digests: BTreeMap<String, String> = container
        .spec
        .fields()
        .iter()
        .filter(|(field, _)| is_mutable(field))
        .map(|(field, value)| (field.to_string(), digest(value)))
        .collect();
    digests.insert(Field::one(FieldKind::Name).to_string(), digest(&container.name));
    digests
}

/// What was asked of a new container and is not what the engine reports, one sentence each. An engine may ignore what its host
/// cannot do (swap limits, limits without their cgroup controller) and say so nowhere else.
pub fn not_granted(wanted: &ContainerSpec, made: &Container) -> Vec<String> {
    let reports = made.spec.fields();
    let exact = |field: &&Field| {
        is_mutable(field) && field.kind != FieldKind::Network
            || matches!(field.kind, FieldKind::Ulimit | FieldKind::ShmSize | FieldKind::Sysctl)
    };
    let wanted = wanted.fields();
    let differing =
        wanted.iter().filter(|(field, _)| exact(field)).filter(|(field, value)| reports.get(field) != Some(value));
    differing
        .map(|(field, value)| match reports.get(field) {
            Some(report) => format!("the engine set {field} to {report} instead of {value}"),
            None => format!("the engine did not apply {field}: {value}"),
        })
        .collect()
}

/// What was last asked of a container: its label, and what was changed in place since.
pub(super) fn asked<'c>(cx: &Context<'_>, container: &'c Container) -> Cow<'c, BTreeMap<String, String>> {
    let mut asked = Cow::Borrowed(&container.applied);
    if let Some(base) = cx.input.memory.bases.get(container.id.as_str()).filter(|base| !base.asked.is_empty()) {
        let asked = asked.to_mut();
        asked.extend(base.asked.iter().map(|(field, digest)| (field.clone(), digest.clone())));
        // What was unset in place is remembered as nothing.
        asked.retain(|_, digest| !digest.is_empty());
    }
    asked
}

/// Whether the check that a service wants Setpoint to make is the one that was last requested for this container. A container of an
/// earlier version has no record, and is checked as wanted.
pub fn check_is_in_force(service: &Service, container: &Container, bases: &BTreeMap<String, Base>) -> bool {
    let name = FieldKind::Probe.as_str();
    let later = bases.get(container.id.as_str()).and_then(|base| base.asked.get(name));
    let asked = later.or_else(|| container.applied.get(name));
    let wanted = service.fields().remove(&Field::one(FieldKind::Probe)).unwrap_or_default();
    asked.is_none_or(|asked| *asked == digest(&wanted))
}

/// What must be recorded although there is no step, by the id of the object: objects that are in sync and have no record yet (the
/// write was lost, or an earlier version created them), and values that a commit requests and a container already has, but that no
/// apply set. Otherwise a later commit that changes such a field would be mistaken for drift.
pub fn found_in_place(input: &PlanInput<'_>) -> BTreeMap<String, Base> {
    let cx = Context::new(*input);
    let mut fields = FieldCache::default();
    let mut found = BTreeMap::new();
    for wanted in cx.wanted.values() {
        // More than one is there only after an interruption; which of them counts is not decided here.
        let Some([container]) = cx.present.get(&wanted.id).map(|present| present.main.as_slice()) else { continue };
        let known = input.memory.bases.get(container.id.as_str());
        let was_asked = asked(&cx, container);
        let mut asks = applied(&fields.own(wanted), &wanted.name);
        for field in was_asked.keys() {
            asks.entry(field.clone()).or_default();
        }
        let reports = reported(container);
        let mut base = known.cloned().unwrap_or_default();
        let mut reported = if base.is_recorded() { std::mem::take(&mut base.reported) } else { reports.clone() };
        let overlay = fields.over_image(&cx, wanted, container);
        for change in differences(&cx, wanted, &mut fields, container, &was_asked) {
            let name = change.field.to_string();
            asks.remove(&name);
            // A difference stays one: what it should be is what it counts as having been.
            if !base_has(known) && is_mutable(&change.field) {
                let due = if change.field.kind == FieldKind::Name {
                    Some(digest(&wanted.name))
                } else {
                    overlay.fields().get(&change.field).map(|value| digest(value))
                };
                match due {
                    Some(due) => drop(reported.insert(name, due)),
                    None => drop(reported.remove(&name)),
                }
            }
        }
        asks.retain(|field, digest| was_asked.get(field).map_or("", String::as_str) != digest.as_str());
        for field in asks.keys() {
            match reports.get(field) {
                Some(digest) => drop(reported.insert(field.clone(), digest.clone())),
                None => drop(reported.remove(field)),
            }
        }
        base.asked.extend(asks);
        base.reported = reported;
        if known != Some(&base) {
            found.insert(container.id.as_str().to_owned(), base);
        }
    }
    let networks = cx.desired().deployments.values().flat_map(|deployment| deployment.networks.values());
    for network in networks.filter(|network| !network.external) {
        let Some(state) = cx.observed().networks.get(&network.name) else { continue };
        let ours = state.owner.as_ref() == Some(input.owner);
        if ours && !input.memory.bases.contains_key(&state.id) && network_changes(&cx, network, state).is_empty() {
            found.insert(state.id.clone(), Base::default());
        }
    }
    found
}

fn base_has(known: Option<&Base>) -> bool {
    known.is_some_and(Base::is_recorded)
}
