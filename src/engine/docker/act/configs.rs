//! Writes files of the config repo into containers, with the engine's archive call.

use super::work::Work;
use crate::engine::{ActError, EngineError};
use crate::model::{ConfigFile, ContainerId, Mount};
use bollard::body_full;
use bollard::query_parameters::UploadToContainerOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use tar::{Builder, EntryType, Header};

impl Work<'_> {
    /// Writes files by target path; missing folders are made, existing ones keep their mode and owner.
    ///
    /// What lies on a volume is written there: the engine refuses to go through a read-only root to it.
    pub(super) async fn write_configs(
        &self,
        container: &ContainerId,
        name: &str,
        files: &BTreeMap<String, ConfigFile>,
        mounts: &BTreeMap<String, Mount>,
    ) -> Result<(), ActError> {
        let mut by_root: BTreeMap<&str, Vec<(&str, &ConfigFile)>> = BTreeMap::new();
        for (target, file) in files {
            by_root.entry(root(target, mounts)).or_default().push((target, file));
        }
        for (root, files) in by_root {
            let path = files.iter().map(|(target, _)| *target).collect::<Vec<_>>().join(", ");
            let mut missing = BTreeSet::new();
            for (target, _) in &files {
                self.missing_folders(container, target, root, &mut missing).await;
            }
            let archive = archive(root, &files, &missing).map_err(|source| EngineError::PackFile {
                name: name.to_owned(),
                path: path.clone(),
                source,
            })?;
            let options = UploadToContainerOptions { path: root.to_owned(), ..Default::default() };
            self.docker
                .api
                .upload_to_container(container.as_str(), Some(options), body_full(archive.into()))
                .await
                .map_err(|source| EngineError::WriteFile { name: name.to_owned(), path, source: source.into() })?;
        }
        Ok(())
    }

    /// An entry for an existing folder would change its mode and owner, so only missing folders get one.
    async fn missing_folders(&self, container: &ContainerId, target: &str, root: &str, missing: &mut BTreeSet<String>) {
        let mut folder = parent(target);
        while let Some(path) = folder.filter(|path| path.len() > root.len() && !missing.contains(*path)) {
            let options = bollard::query_parameters::ContainerArchiveInfoOptions { path: path.to_owned() };
            if self.docker.api.get_container_archive_info(container.as_str(), Some(options)).await.is_ok() {
                return;
            }
            missing.insert(path.to_owned());
            folder = parent(path);
        }
    }
}

/// The innermost volume or bind that contains the target, else `/`.
fn root<'a>(target: &str, mounts: &'a BTreeMap<String, Mount>) -> &'a str {
    let holds = |folder: &str| target.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let persistent = mounts.iter().filter(|(_, mount)| !matches!(mount, Mount::Tmpfs { .. }));
    let holders = persistent.map(|(folder, _)| folder.trim_end_matches('/')).filter(|folder| holds(folder));
    holders.max_by_key(|folder| folder.len()).filter(|folder| !folder.is_empty()).unwrap_or("/")
}

fn parent(path: &str) -> Option<&str> {
    path.trim_end_matches('/').rsplit_once('/').map(|(folder, _)| folder)
}

fn archive(root: &str, files: &[(&str, &ConfigFile)], folders: &BTreeSet<String>) -> io::Result<Vec<u8>> {
    let within = |path: &str| path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned();
    let mut tar = Builder::new(Vec::new());
    for folder in folders {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, within(folder), io::empty())?;
    }
    for (target, file) in files {
        let mut header = Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(u64::from(file.uid));
        header.set_gid(u64::from(file.gid));
        header.set_size(file.content.len() as u64);
        tar.append_data(&mut header, within(target), &*file.content)?;
    }
    tar.into_inner()
}
