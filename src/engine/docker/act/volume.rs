//! Creates volumes, and recreates them only if the loss of their content was allowed.

use super::work::Work;
use crate::engine::docker::cause::is_gone;
use crate::engine::docker::labels;
use crate::engine::{ActError, EngineError, Outcome};
use crate::model::{ContainerId, DeploymentName, Volume};
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;
use std::time::Duration;

impl Work<'_> {
    /// The engine accepts the creation of an existing volume, whoever created it, so an existing one is searched for first.
    pub(super) async fn create_volume(
        &self,
        volume: &Volume,
        deployment: &DeploymentName,
    ) -> Result<Outcome, ActError> {
        match self.docker.api.inspect_volume(&volume.name).await {
            Ok(present) if present.labels.get(labels::OWNER).map(String::as_str) == Some(self.owner.as_str()) => {
                return Ok(Outcome::default());
            }
            Ok(_) => {
                return Err(ActError::Stale(format!(
                    "volume {} already exists and is not managed by this environment",
                    volume.name
                )));
            }
            Err(error) if is_gone(&error) => {}
            Err(source) => {
                return Err(
                    EngineError::Inspect { what: format!("volume {}", volume.name), source: source.into() }.into()
                );
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
        created.map_err(|source| EngineError::CreateVolume { name: volume.name.clone(), source: source.into() })?;
        Ok(Outcome::default())
    }

    /// Removes the containers that use a volume, then the volume, and recreates it. Repeated after an interruption, it resumes; a
    /// volume that is not ours is never removed.
    pub(super) async fn recreate_volume(
        &self,
        volume: &Volume,
        deployment: &DeploymentName,
        users: &[(ContainerId, Duration)],
    ) -> Result<Outcome, ActError> {
        let wanted = labels::of_volume(volume, deployment, self.owner);
        let inspected = self.docker.api.inspect_volume(&volume.name).await;
        let present = match inspected {
            Ok(present) => Some(present),
            Err(error) if is_gone(&error) => None,
            Err(source) => {
                return Err(
                    EngineError::Inspect { what: format!("volume {}", volume.name), source: source.into() }.into()
                );
            }
        };
        let Some(present) = present else { return self.create_volume(volume, deployment).await };
        if present.labels.get(labels::OWNER).map(String::as_str) != Some(self.owner.as_str()) {
            return Err(ActError::Stale(format!("volume {} is not managed by this environment", volume.name)));
        }
        if present.labels.get(labels::SPEC) == wanted.get(labels::SPEC) {
            return Ok(Outcome::default());
        }
        for (container, grace) in users {
            self.remove_instance(container, *grace).await?;
        }
        match self.docker.api.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await {
            Err(source) if !is_gone(&source) => {
                return Err(EngineError::RemoveVolume { name: volume.name.clone(), source: source.into() }.into());
            }
            _ => {}
        }
        self.create_volume(volume, deployment).await
    }
}
