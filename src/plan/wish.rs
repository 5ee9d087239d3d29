//! The wanted state of one object as a digest: repairs are counted for the settings that they restored, and the count starts again
//! for other settings.

use super::diff::spec_digest;
use super::settings::{network_settings, volume_settings};
use super::subject::Subject;
use crate::model::{Desired, digest};

/// Digest of the wanted state of `subject` (twelve hexadecimal digits); empty if it is in no commit.
pub fn wish(desired: &Desired, subject: &Subject) -> String {
    let deployments = || desired.deployments.values();
    match subject {
        Subject::Instance(_, id) => desired.service(&id.service).map(|service| {
            let name = service.container_name(&id.service.deployment, id.slot);
            digest(&format!("{name}\n{}", spec_digest(&service.fields())))
        }),
        Subject::Network(_, name) => {
            let network = deployments().find_map(|deployment| deployment.networks.get(name));
            network.map(|network| digest(&format!("{:?}", network_settings(network))))
        }
        Subject::Volume(_, name) => {
            let volume = deployments().find_map(|deployment| deployment.volumes.get(name));
            volume.map(|volume| digest(&format!("{:?}", volume_settings(volume))))
        }
        Subject::Deployment(_) | Subject::Image(..) | Subject::Container(..) => None,
    }
    .unwrap_or_default()
}
