//! The settings of networks and volumes, and their differences.

use super::context::Context;
use super::step::{FieldChange, Origin};
use crate::model::{Field, FieldKind, Network, NetworkState, Volume, digest};
use std::collections::{BTreeMap, BTreeSet};

/// The settings of a network by name, as compared and as remembered in its label.
pub fn network_settings(network: &Network) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([("driver".to_owned(), network.driver.clone())]);
    settings.insert("internal".to_owned(), network.internal.to_string());
    settings.extend(network.subnet.iter().map(|subnet| ("subnet".to_owned(), subnet.clone())));
    settings.extend(network.gateway.iter().map(|gateway| ("gateway".to_owned(), gateway.clone())));
    settings.extend(network.options.iter().map(|(key, value)| (format!("option {key}"), value.clone())));
    settings.extend(network.labels.iter().map(|(key, value)| (format!("label {key}"), value.clone())));
    settings
}

/// The settings of a volume by name, as stored in its label. Its content is not a setting.
pub fn volume_settings(volume: &Volume) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([("driver".to_owned(), volume.driver.clone())]);
    settings.extend(volume.options.iter().map(|(key, value)| (format!("option {key}"), value.clone())));
    settings.extend(volume.labels.iter().map(|(key, value)| (format!("label {key}"), value.clone())));
    settings
}

/// The settings of an existing network, as far as `wanted` speaks of them: an address pool that the engine chose by
/// itself is not compared.
fn observed_settings(state: &NetworkState, wanted: &Network) -> BTreeMap<String, String> {
    let pick = |list: &[String], wanted: &Option<String>| {
        wanted.as_ref().and_then(|wanted| list.iter().find(|one| *one == wanted).or(list.first()).cloned())
    };
    network_settings(&Network {
        driver: state.driver.clone(),
        internal: state.internal,
        subnet: pick(&state.subnets, &wanted.subnet),
        gateway: pick(&state.gateways, &wanted.gateway),
        options: state.options.clone(),
        labels: state.labels.clone(),
        ..wanted.clone()
    })
}

/// The differences of a network. A network cannot be changed later, so a recorded one differs only if the request does. For one
/// without a record (somebody may have recreated it), the settings that are or were requested are compared with the report. Values
/// that the engine adds are never a difference.
pub(super) fn network_changes(cx: &Context<'_>, network: &Network, state: &NetworkState) -> Vec<FieldChange> {
    let (wanted, observed) = (network_settings(network), observed_settings(state, network));
    let recorded = cx.input.memory.bases.contains_key(&state.id);
    let keys: BTreeSet<&String> = wanted.keys().chain(state.applied.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (old, new) = (observed.get(key), wanted.get(key));
        let as_asked = new.map(|text| digest(text)).as_ref() == state.applied.get(key);
        if old != new && !(recorded && as_asked) {
            let is_base = |value: Option<&String>| value.map(|text| digest(text)).as_ref() == state.applied.get(key);
            let origin = match (is_base(new), is_base(old)) {
                _ if recorded => Origin::Git,
                (true, _) => Origin::Drift,
                (false, true) => Origin::Git,
                (false, false) => Origin::Both,
            };
            let field = Field::of(FieldKind::Network, key.clone());
            let at = Some(network.at.clone());
            changes.push(FieldChange { field, old: old.cloned(), new: new.cloned(), origin, at, hidden: false });
        }
    }
    changes
}
