//! Observes the engine: it lists all objects, and reads ours in full.

use super::cause::is_gone;
use super::{Docker, labels, translate};
use crate::engine::{EngineError, Scope};
use crate::model::{
    Container, ContainerId, ImageConfig, ImageState, NetworkState, Observed, OwnerId, Timestamp, Unread, VolumeState,
};
use bollard::models::{ContainerSummary, ImageInspect, Network, Volume};
use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions};
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// Number of inspect calls at the same time.
const INSPECTS: usize = 8;

impl Docker {
    /// Observes the engine. Health is the result of the engine's own checks; see [`Docker::probe`] for checks from outside.
    ///
    /// # Errors
    /// When the engine does not answer at all; what single objects did not answer stands in `missing`.
    pub async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let mut observed = Observed::empty(now());
        let (containers, networks, volumes, images) = tokio::join!(
            self.list(),
            self.api.list_networks(None::<ListNetworksOptions>),
            self.api.list_volumes(None::<ListVolumesOptions>),
            self.images(scope.images.iter().cloned()),
        );
        let containers =
            containers.map_err(|source| EngineError::List { what: "containers", source: source.into() })?;
        let missing = &mut observed.missing;
        match networks {
            Ok(list) => observed.networks = list.into_iter().filter_map(network).collect(),
            Err(error) => {
                missing.push(format!("networks: {error}"));
                observed.unread.insert(Unread::Networks);
            }
        }
        match volumes {
            Ok(list) => {
                // A volume driver that does not answer leaves a warning in place of its volumes.
                missing.extend(list.warnings.into_iter().flatten().map(|warning| format!("volumes: {warning}")));
                observed.volumes = list.volumes.into_iter().flatten().map(volume).collect();
            }
            Err(error) => {
                missing.push(format!("volumes: {error}"));
                observed.unread.insert(Unread::Volumes);
            }
        }
        self.keep_images(images, &mut observed);
        let labels = self.containers(containers, &scope.owner, &mut observed).await;
        let unknown: BTreeSet<String> = observed
            .containers
            .iter()
            .filter(|container| container.owner.as_ref() == Some(&scope.owner))
            .map(|container| container.image_id.clone())
            .filter(|id| !id.is_empty() && !observed.images.contains_key(id))
            .collect();
        let images = self.images(unknown.into_iter()).await;
        self.keep_images(images, &mut observed);
        disown_copies(&mut observed, &labels);
        Ok(observed)
    }

    /// Reads the containers; returns our labels of each that has any.
    async fn containers(
        &self,
        list: Vec<ContainerSummary>,
        owner: &OwnerId,
        observed: &mut Observed,
    ) -> BTreeMap<ContainerId, BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        for summary in &list {
            if let (Some(id), Some(all)) = (&summary.id, &summary.labels) {
                labels.insert(ContainerId::new(id.clone()), labels::of_container(all));
            }
        }
        let is_ours = |one: &ContainerSummary| {
            one.labels.as_ref().and_then(|labels| labels.get(labels::OWNER)).is_some_and(|text| text == owner.as_str())
        };
        let (ours, foreign): (Vec<_>, Vec<_>) = list.into_iter().partition(is_ours);
        observed.containers = foreign.into_iter().filter_map(translate::foreign).collect();
        let mut inspects = stream::iter(ours)
            .map(|summary| async move {
                let id = summary.id.clone().unwrap_or_default();
                (summary, self.inspect(&id).await)
            })
            .buffer_unordered(INSPECTS);
        while let Some((summary, result)) = inspects.next().await {
            let name = || summary.names.iter().flatten().next().cloned().unwrap_or_default();
            let why = match result.map(|inspect| translate::container(inspect, &self.defaults())) {
                Ok(Some(container)) => {
                    observed.containers.push(container);
                    continue;
                }
                // It was removed after it was listed.
                Err(error) if is_gone(&error) => continue,
                Ok(None) => "the engine did not report its id".to_owned(),
                Err(error) => error.to_string(),
            };
            observed.missing.push(format!("container {}: {why}", name().trim_start_matches('/')));
            let instance = summary.labels.as_ref().and_then(|all| labels::read(all).instance);
            observed.unread.extend(instance.map(Unread::Instance));
        }
        drop(inspects);
        name_joined_networks(&mut observed.containers);
        observed.containers.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        labels
    }

    /// Each image by the requested reference or id; `None` means that it is not on the host.
    async fn images(
        &self,
        references: impl Iterator<Item = String>,
    ) -> Vec<(String, Result<Option<ImageState>, bollard::errors::Error>)> {
        stream::iter(references)
            .map(|reference| async move {
                let state = match self.api.inspect_image(&reference).await {
                    Ok(inspect) => Ok(Some(image(inspect))),
                    Err(error) if is_gone(&error) => Ok(None),
                    Err(error) => Err(error),
                };
                (reference, state)
            })
            .buffer_unordered(INSPECTS)
            .collect()
            .await
    }

    fn keep_images(
        &self,
        images: Vec<(String, Result<Option<ImageState>, bollard::errors::Error>)>,
        observed: &mut Observed,
    ) {
        for (reference, state) in images {
            match state {
                Ok(Some(state)) => {
                    observed.images.insert(state.id.clone(), state.clone());
                    observed.images.insert(reference, state);
                }
                Ok(None) => {}
                Err(error) => {
                    observed.missing.push(format!("image {reference}: {error}"));
                    observed.unread.insert(Unread::Image(reference));
                }
            }
        }
    }

    /// A container in full, by id or name; `None` when there is none.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Container>, EngineError> {
        match self.inspect(id).await {
            Ok(inspect) => Ok(translate::container(inspect, &self.defaults())),
            Err(error) if is_gone(&error) => Ok(None),
            Err(source) => Err(EngineError::Inspect { what: format!("container {id}"), source: source.into() }),
        }
    }
}

/// Excludes containers that were started from an image that was committed from one of our containers: their labels are those of the
/// image, while ours are written for each container.
fn disown_copies(observed: &mut Observed, labels: &BTreeMap<ContainerId, BTreeMap<String, String>>) {
    for container in &mut observed.containers {
        let inherited = observed.images.get(&container.image_id).map(|image| &image.inherited);
        if inherited.is_some_and(|inherited| !inherited.is_empty() && labels.get(&container.id) == Some(inherited)) {
            container.owner = None;
            container.instance = None;
        }
    }
}

/// `container:<id>` means the same as `container:<name>`, which people write.
fn name_joined_networks(containers: &mut [Container]) {
    let names: BTreeMap<String, String> =
        containers.iter().map(|one| (one.id.as_str().to_owned(), one.name.clone())).collect();
    for container in containers {
        for mode in [&mut container.spec.network_mode, &mut container.spec.pid_mode, &mut container.spec.ipc_mode] {
            let joined = mode.as_deref().and_then(|mode| mode.strip_prefix("container:"));
            if let Some(name) = joined.and_then(|id| names.get(id)) {
                *mode = Some(format!("container:{name}"));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an observation has the time at which it was made")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn network(network: Network) -> Option<(String, NetworkState)> {
    let labels = network.labels.unwrap_or_default();
    let ours = labels::read(&labels);
    let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let state = NetworkState {
        id: network.id.unwrap_or_default(),
        owner: ours.owner,
        deployment: ours.deployment,
        driver: network.driver.unwrap_or_default(),
        options: network.options.unwrap_or_default().into_iter().collect(),
        internal: network.internal.unwrap_or(false),
        subnets: pools.iter().filter_map(|pool| translate::non_empty(pool.subnet.clone())).collect(),
        gateways: pools.iter().filter_map(|pool| translate::non_empty(pool.gateway.clone())).collect(),
        applied: ours.applied,
        labels: labels::others(&labels),
    };
    Some((network.name?, state))
}

fn volume(volume: Volume) -> (String, VolumeState) {
    let ours = labels::read(&volume.labels);
    let state = VolumeState {
        owner: ours.owner,
        deployment: ours.deployment,
        driver: volume.driver,
        options: volume.options.into_iter().collect(),
        applied: ours.applied,
        labels: labels::others(&volume.labels),
    };
    (volume.name, state)
}

fn image(inspect: ImageInspect) -> ImageState {
    let config = inspect.config.unwrap_or_default();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    let inherited = config.labels.as_ref().map(labels::of_container).unwrap_or_default();
    let built_from = config.labels.as_ref().and_then(|labels| labels.get(labels::IMAGE_DIGEST)).cloned();
    ImageState {
        id: inspect.id.unwrap_or_default(),
        built_from,
        inherited,
        config: ImageConfig {
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            env: translate::env_map(config.env.as_ref()),
            labels: config.labels.as_ref().map(labels::others).unwrap_or_default(),
            user: translate::non_empty(config.user),
            working_dir: translate::non_empty(config.working_dir),
            stop_signal: translate::non_empty(config.stop_signal),
            healthcheck: config.healthcheck.as_ref().and_then(translate::read_healthcheck),
            volumes,
        },
    }
}
