//! Files of the config repo inside containers, through the engine's archive call.

use super::{ActError, Work};
use crate::engine::docker::EngineError;
use crate::model::{ConfigFile, ContainerId};
use bollard::body_full;
use bollard::query_parameters::UploadToContainerOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use tar::{Builder, EntryType, Header};

impl Work<'_> {
    /// Writes files by target path; missing folders are made, existing ones keep their mode and owner.
    pub(super) async fn write_configs(
        &self,
        container: &ContainerId,
        name: &str,
        files: &BTreeMap<String, ConfigFile>,
    ) -> Result<(), ActError> {
        if files.is_empty() {
            return Ok(());
        }
        let path = files.keys().cloned().collect::<Vec<_>>().join(", ");
        let mut missing = BTreeSet::new();
        for target in files.keys() {
            self.missing_folders(container, target, &mut missing).await;
        }
        let archive = archive(files, &missing).map_err(|source| EngineError::PackFile {
            name: name.to_owned(),
            path: path.clone(),
            source,
        })?;
        let options = UploadToContainerOptions { path: "/".to_owned(), ..Default::default() };
        self.docker
            .api
            .upload_to_container(container.as_str(), Some(options), body_full(archive.into()))
            .await
            .map_err(|source| EngineError::WriteFile { name: name.to_owned(), path, source })?;
        Ok(())
    }

    /// An entry for an existing folder would change its mode and owner, so that only missing ones get one.
    async fn missing_folders(&self, container: &ContainerId, target: &str, missing: &mut BTreeSet<String>) {
        let mut folder = parent(target);
        while let Some(path) = folder.filter(|path| !path.is_empty() && !missing.contains(*path)) {
            let options = bollard::query_parameters::ContainerArchiveInfoOptions { path: path.to_owned() };
            if self.docker.api.get_container_archive_info(container.as_str(), Some(options)).await.is_ok() {
                return;
            }
            missing.insert(path.to_owned());
            folder = parent(path);
        }
    }
}

fn parent(path: &str) -> Option<&str> {
    path.trim_end_matches('/').rsplit_once('/').map(|(folder, _)| folder)
}

fn archive(files: &BTreeMap<String, ConfigFile>, folders: &BTreeSet<String>) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for folder in folders {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, folder.trim_start_matches('/'), io::empty())?;
    }
    for (target, file) in files {
        let mut header = Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(u64::from(file.uid));
        header.set_gid(u64::from(file.gid));
        header.set_size(file.content.len() as u64);
        tar.append_data(&mut header, target.trim_start_matches('/'), &*file.content)?;
    }
    tar.into_inner()
}
