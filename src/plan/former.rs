//! Volumes of earlier versions, which were not named after their deployment: a deployment that has one continues to use it.

use crate::model::{Deployment, Desired, Mount, Observed, OwnerId};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The desired state, with each volume under its former name if the host has that one: it is ours, it was created for this
/// deployment, and there is none with the new name. All later stages must use the result.
pub fn keep_former_volumes<'d>(desired: &'d Desired, observed: &Observed, owner: &OwnerId) -> Cow<'d, Desired> {
    let mut result = Cow::Borrowed(desired);
    for (name, deployment) in &desired.deployments {
        let kept = kept(deployment, observed, owner);
        if !kept.is_empty()
            && let Some(deployment) = result.to_mut().deployments.get_mut(name)
        {
            rename(deployment, &kept);
        }
    }
    result
}

/// New name → former name.
fn kept(deployment: &Deployment, observed: &Observed, owner: &OwnerId) -> BTreeMap<String, String> {
    let candidates = deployment.volumes.values().filter_map(|volume| Some((&volume.name, volume.former.as_ref()?)));
    let has = |former: &String| {
        observed.volumes.get(former).is_some_and(|state| {
            state.owner.as_ref() == Some(owner) && state.deployment.as_ref() == Some(&deployment.name)
        })
    };
    candidates
        .filter(|(name, former)| !observed.volumes.contains_key(*name) && has(former))
        .map(|(name, former)| (name.clone(), former.clone()))
        .collect()
}

fn rename(deployment: &mut Deployment, kept: &BTreeMap<String, String>) {
    for (name, former) in kept {
        if let Some(mut volume) = deployment.volumes.remove(name) {
            volume.name.clone_from(former);
            deployment.volumes.insert(former.clone(), volume);
        }
    }
    let mounts = deployment.services.iter_mut().flat_map(|service| service.spec.mounts.values_mut());
    for mount in mounts {
        if let Mount::Volume { name, .. } = mount
            && let Some(former) = kept.get(name)
        {
            name.clone_from(former);
        }
    }
}
