//! Calls that a person requests and that no plan ever contains.

use super::Docker;
use super::labels::{IMAGE_OWNER, OWNER};
use crate::engine::EngineError;
use crate::model::{ContainerId, OwnerId};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, KillContainerOptions, ListImagesOptions, ListNetworksOptions,
    ListVolumesOptions, RemoveContainerOptions, RemoveVolumeOptions,
};
use futures_util::TryStreamExt;
use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;

impl Docker {
    /// The addresses of the engine's host in its bridge networks. If one of them is also an address of this machine, containers can
    /// be reached from here.
    ///
    /// # Errors
    /// When the networks cannot be listed.
    pub async fn gateways(&self) -> Result<Vec<IpAddr>, EngineError> {
        let networks = self.api.list_networks(None::<ListNetworksOptions>).await;
        let networks = networks.map_err(|source| EngineError::List { what: "networks", source: source.into() })?;
        let bridges = networks.into_iter().filter(|network| network.driver.as_deref() == Some("bridge"));
        let pools = bridges.filter_map(|network| network.ipam?.config).flatten();
        Ok(pools.filter_map(|pool| pool.gateway?.split('/').next()?.parse().ok()).collect())
    }

    /// Removes all volumes and images with this owner's label; returns what could not be removed.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn remove_all_of(&self, owner: &OwnerId) -> Result<Vec<EngineError>, EngineError> {
        let filter = |label: &str| Some(HashMap::from([("label".to_owned(), vec![format!("{label}={owner}")])]));
        let options = ListVolumesOptions { filters: filter(OWNER) };
        let volumes = self.api.list_volumes(Some(options)).await;
        let volumes = volumes.map_err(|source| EngineError::List { what: "volumes", source: source.into() })?;
        let options = ListImagesOptions { filters: filter(IMAGE_OWNER), ..Default::default() };
        let images = self.api.list_images(Some(options)).await;
        let images = images.map_err(|source| EngineError::List { what: "images", source: source.into() })?;
        let mut left = Vec::new();
        for volume in volumes.volumes.into_iter().flatten() {
            left.extend(self.remove_volume(&volume.name).await.err());
        }
        for name in images.into_iter().flat_map(|image| image.repo_tags) {
            left.extend(self.remove_tag(&name).await.err());
        }
        Ok(left)
    }

    /// Kills a container, as `docker kill` does.
    ///
    /// # Errors
    /// When there is no such container or it does not run.
    pub async fn kill(&self, container: &ContainerId) -> Result<(), EngineError> {
        let name = container.short().to_owned();
        let killed = self.api.kill_container(container.as_str(), None::<KillContainerOptions>).await;
        killed.map_err(|source| EngineError::SignalContainer {
            name,
            signal: "SIGKILL".to_owned(),
            source: source.into(),
        })
    }

    /// Removes a volume and the data in it.
    ///
    /// # Errors
    /// When a container uses it. One that is not there is fine.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        match self.api.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(source) if !super::cause::is_gone(&source) => {
                Err(EngineError::RemoveVolume { name: name.to_owned(), source: source.into() })
            }
            _ => Ok(()),
        }
    }

    /// Reads a file from an image on the host; `None` if the image has no such regular file.
    ///
    /// # Errors
    /// When there is no such image, or the engine breaks off.
    pub async fn file_of_image(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let failed = |source: bollard::errors::Error| EngineError::ReadFile {
            image: image.to_owned(),
            path: path.to_owned(),
            source: source.into(),
        };
        let body = ContainerCreateBody { image: Some(image.to_owned()), ..Default::default() };
        let made = self.api.create_container(None::<CreateContainerOptions>, body).await.map_err(failed)?;
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let archive = self.api.download_from_container(&made.id, Some(options));
        let archive = archive.try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        });
        let archive = archive.await;
        let remove = RemoveContainerOptions { force: true, ..Default::default() };
        let removed = self.api.remove_container(&made.id, Some(remove)).await;
        let archive = archive.map_err(failed)?;
        removed.map_err(failed)?;
        Ok(first_file(&archive))
    }
}

/// The content of the first regular file of a tar archive.
fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().ok()?.filter_map(Result::ok);
    let mut entry = entries.find(|entry| entry.header().entry_type().is_file())?;
    let mut content = Vec::new();
    entry.read_to_end(&mut content).ok()?;
    Some(content)
}
