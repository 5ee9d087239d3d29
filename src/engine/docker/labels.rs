//! The labels by which our objects are recognised, and the data that they store.

use crate::model::{CommitId, DeploymentName, InstanceId, Network, OwnerId, ServiceId, ServiceRef, Volume, digest};
use crate::plan::{Launch, network_settings, volume_settings};
use std::collections::{BTreeMap, HashMap};

const PREFIX: &str = "dev.setpoint.";
/// The owner (`<installation>/<environment>`).
pub(super) const OWNER: &str = "dev.setpoint.owner";
/// The deployment it was made for.
pub(super) const DEPLOYMENT: &str = "dev.setpoint.deployment";
/// The service it is an instance of.
pub(super) const SERVICE: &str = "dev.setpoint.service";
/// Which replica.
pub(super) const SLOT: &str = "dev.setpoint.slot";
/// The commit it was created from.
pub(super) const REVISION: &str = "dev.setpoint.revision";
/// Digests of what it was created with: a JSON map from field text to digest.
pub(super) const SPEC: &str = "dev.setpoint.spec";
/// Services it depends on, separated by commas.
pub(super) const NEEDS: &str = "dev.setpoint.needs";
/// Anonymous volumes that it took over from the container before: a JSON map from target path to volume.
pub(super) const CARRIED: &str = "dev.setpoint.carried";
/// Whose build an image is. Not [`OWNER`]: containers inherit the labels of their image, and what somebody starts from it
/// by hand is not ours.
pub(super) const IMAGE_OWNER: &str = "dev.setpoint.image.owner";
/// Digest of the files and settings that an image was built from.
pub(super) const IMAGE_DIGEST: &str = "dev.setpoint.image.digest";

/// What our labels say about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ours {
    pub owner: Option<OwnerId>,
    pub deployment: Option<DeploymentName>,
    pub instance: Option<InstanceId>,
    pub revision: Option<CommitId>,
    pub applied: BTreeMap<String, String>,
    pub needs: Vec<ServiceRef>,
    pub carried: BTreeMap<String, String>,
}

/// Reads our labels. What is not readable counts as absent: whoever wrote it, it does not identify an instance.
pub(super) fn read(labels: &HashMap<String, String>) -> Ours {
    let text = |key: &str| labels.get(key).filter(|text| !text.is_empty()).cloned();
    let deployment = text(DEPLOYMENT).map(DeploymentName::new);
    let instance = deployment.clone().zip(text(SERVICE)).and_then(|(deployment, service)| {
        let slot = text(SLOT)?.parse().ok().filter(|slot| *slot > 0)?;
        Some(ServiceRef { deployment, service: ServiceId::new(service) }.instance(slot))
    });
    let applied = text(SPEC).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let carried = text(CARRIED).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let needs = text(NEEDS).map(|list| list.split(',').filter_map(|one| one.parse().ok()).collect());
    Ours {
        owner: text(OWNER).map(OwnerId::new),
        deployment,
        instance,
        revision: text(REVISION).map(CommitId::new),
        applied,
        needs: needs.unwrap_or_default(),
        carried,
    }
}

/// Our labels of a container, as they stand there. An image has them only when it was committed from such a container.
pub(super) fn of_container(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    let ours = |key: &str| key.starts_with(PREFIX) && key != IMAGE_OWNER && key != IMAGE_DIGEST;
    labels.iter().filter(|(key, _)| ours(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The labels of others, sorted.
pub(super) fn others(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().filter(|(key, _)| !key.starts_with(PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The labels of a container: its own and ours.
pub(super) fn of_launch(launch: &Launch) -> HashMap<String, String> {
    let service = &launch.instance.service;
    let needs: Vec<String> = launch.needs.iter().map(ToString::to_string).collect();
    let mut labels: HashMap<String, String> = launch.spec.labels.clone().into_iter().collect();
    labels.extend([
        (OWNER.to_owned(), launch.owner.to_string()),
        (DEPLOYMENT.to_owned(), service.deployment.to_string()),
        (SERVICE.to_owned(), service.service.to_string()),
        (SLOT.to_owned(), launch.instance.slot.to_string()),
        (REVISION.to_owned(), launch.revision.to_string()),
        (SPEC.to_owned(), json(&launch.applied)),
        (NEEDS.to_owned(), needs.join(",")),
    ]);
    if !launch.carried.is_empty() {
        labels.insert(CARRIED.to_owned(), json(&launch.carried));
    }
    labels
}

/// The labels of a network: its own and ours.
pub(super) fn of_network(network: &Network, deployment: &DeploymentName, owner: &OwnerId) -> HashMap<String, String> {
    of_object(&network.labels, deployment, owner, &digests(network_settings(network)))
}

/// The labels of a volume: its own and ours.
pub(super) fn of_volume(volume: &Volume, deployment: &DeploymentName, owner: &OwnerId) -> HashMap<String, String> {
    of_object(&volume.labels, deployment, owner, &digests(volume_settings(volume)))
}

/// Digests of settings by name, as the planner compares them.
fn digests(settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.into_iter().map(|(key, value)| (key, digest(&value))).collect()
}

fn of_object(
    own: &BTreeMap<String, String>,
    deployment: &DeploymentName,
    owner: &OwnerId,
    settings: &BTreeMap<String, String>,
) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = own.clone().into_iter().collect();
    labels.extend([
        (OWNER.to_owned(), owner.to_string()),
        (DEPLOYMENT.to_owned(), deployment.to_string()),
        (SPEC.to_owned(), json(settings)),
    ]);
    labels
}

/// A map of texts always has a JSON form.
fn json(map: &BTreeMap<String, String>) -> String {
    serde_json::to_string(map).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_instance_needs_all_its_labels() {
        let all = [(OWNER, "a/b"), (DEPLOYMENT, "shop"), (SERVICE, "api"), (SLOT, "2")];
        let ours = read(&labels(&all));
        assert_eq!(ours.instance.map(|instance| instance.to_string()).as_deref(), Some("shop/api/2"));
        for left_out in 1..all.len() {
            let some: Vec<_> =
                all.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, pair)| *pair).collect();
            let ours = read(&labels(&some));
            assert_eq!((ours.owner, ours.instance), (Some(OwnerId::new("a/b")), None));
        }
    }

    #[test]
    fn unreadable_labels_count_as_absent() {
        let bad = [
            (OWNER, ""),
            (DEPLOYMENT, "shop"),
            (SERVICE, "api"),
            (SLOT, "0"),
            (SPEC, "{\"a\":1}"),
            (NEEDS, "x,,shop/db"),
        ];
        let ours = read(&labels(&bad));
        assert_eq!((ours.owner, ours.instance), (None, None));
        assert_eq!(ours.applied, BTreeMap::new());
        assert_eq!(ours.needs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["shop/db"]);
    }

    #[test]
    fn labels_of_others_leave_ours_out() {
        let mixed = [(OWNER, "a/b"), (IMAGE_DIGEST, "00"), ("tier", "web")];
        assert_eq!(others(&labels(&mixed)), BTreeMap::from([("tier".to_owned(), "web".to_owned())]));
    }
}
