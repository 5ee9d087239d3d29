//! Volumes: made, and never removed or changed.

use super::{ActError, Outcome, Work};
use crate::engine::docker::error::is_gone;
use crate::engine::docker::{EngineError, labels};
use crate::model::{DeploymentName, Volume};
use bollard::models::VolumeCreateRequest;

impl Work<'_> {
    /// The engine takes the creation of an existing volume for done, whoever made it, so that it is looked for before.
    pub(super) async fn create_volume(
        &self,
        volume: &Volume,
        deployment: &DeploymentName,
    ) -> Result<Outcome, ActError> {
        match self.docker.api.inspect_volume(&volume.name).await {
            Ok(present) if present.labels.get(labels::OWNER).map(String::as_str) == Some(self.owner.as_str()) => {
                return Ok(Outcome::default());
            }
            Ok(_) => return Err(ActError::Stale(format!("a volume {} is there that is not ours", volume.name))),
            Err(error) if is_gone(&error) => {}
            Err(source) => {
                return Err(EngineError::Inspect { what: format!("volume {}", volume.name), source }.into());
            }
        }
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: Some(volume.driver.clone()),
            driver_opts: (!volume.options.is_empty()).then(|| volume.options.clone().into_iter().collect()),
            labels: Some(labels::of_volume(volume, deployment, self.owner)),
            ..Default::default()
        };
        let created = self.docker.api.create_volume(request).await;
        created.map_err(|source| EngineError::CreateVolume { name: volume.name.clone(), source })?;
        Ok(Outcome::default())
    }
}
