//! Creates, recreates and removes networks.

use super::work::Work;
use crate::engine::docker::cause::is_gone;
use crate::engine::docker::labels;
use crate::engine::{ActError, EngineError, Made, Outcome};
use crate::model::{Attachment, ContainerId, DeploymentName, Network};
use bollard::errors::Error as Cause;
use bollard::models::{self, Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;
use std::collections::HashMap;
use std::time::Duration;

/// The engine releases endpoints shortly after their containers were removed.
const REMOVE_TRIES: u32 = 10;
const REMOVE_PAUSE: Duration = Duration::from_millis(100);

fn made(network: String) -> Outcome {
    Outcome { made: Some(Made::Network(network)), ..Outcome::default() }
}

impl Work<'_> {
    /// The engine would create a second network of the same name, so an existing one is searched for first.
    pub(super) async fn create_network(
        &self,
        network: &Network,
        deployment: &DeploymentName,
    ) -> Result<Outcome, ActError> {
        let labels = labels::of_network(network, deployment, self.owner);
        if let Some(present) = self.network_named(&network.name).await? {
            let (id, present) = (present.id.unwrap_or_default(), present.labels.unwrap_or_default());
            let is_same = [labels::OWNER, labels::SPEC].iter().all(|key| present.get(*key) == labels.get(*key));
            if is_same {
                return Ok(made(id));
            }
            let whose = match present.get(labels::OWNER) {
                Some(owner) if *owner == self.owner.to_string() => "managed by this environment, with other settings",
                Some(_) => "managed by another environment",
                None => "not managed by setpoint",
            };
            return Err(ActError::Stale(format!("network {} already exists ({whose})", network.name)));
        }
        let pool = (network.subnet.is_some() || network.gateway.is_some()).then(|| Ipam {
            config: Some(vec![IpamConfig {
                subnet: network.subnet.clone(),
                gateway: network.gateway.clone(),
                ..Default::default()
            }]),
            ..Default::default()
        });
        let request = NetworkCreateRequest {
            name: network.name.clone(),
            driver: Some(network.driver.clone()),
            internal: Some(network.internal),
            options: (!network.options.is_empty()).then(|| network.options.clone().into_iter().collect()),
            ipam: pool,
            labels: Some(labels),
            ..Default::default()
        };
        let created = self.docker.api.create_network(request).await;
        let created = created
            .map_err(|source| EngineError::CreateNetwork { name: network.name.clone(), source: source.into() })?;
        let warnings = Some(created.warning).filter(|warning| !warning.is_empty()).into_iter().collect();
        Ok(Outcome { warnings, ..made(created.id) })
    }

    /// Detaches our containers, recreates the network and attaches them again. If the old network cannot be removed, they are
    /// attached to it again. Repeated after an interruption, it resumes.
    pub(super) async fn recreate_network(
        &self,
        network: &Network,
        deployment: &DeploymentName,
        old: &str,
        attached: &[(ContainerId, Attachment)],
    ) -> Result<Outcome, ActError> {
        let is_there =
            self.network_named(&network.name).await?.is_some_and(|present| present.id.as_deref() == Some(old));
        if is_there {
            self.check_network(&network.name, old).await?;
            for (container, _) in attached {
                self.disconnect_if_there(container, &network.name).await?;
            }
            if let Err(error) = self.remove_by_id(&network.name, old).await {
                self.attach_all(&network.name, attached).await?;
                return Err(error.into());
            }
        }
        let made = self.create_network(network, deployment).await?;
        self.attach_all(&network.name, attached).await?;
        Ok(made)
    }

    pub(super) async fn remove_network(&self, name: &str, id: &str) -> Result<Outcome, ActError> {
        if self.check_network(name, id).await? {
            self.remove_by_id(name, id).await?;
        }
        Ok(Outcome::default())
    }

    /// Attaches every container that still exists, even if one fails; returns the first error.
    async fn attach_all(&self, network: &str, attached: &[(ContainerId, Attachment)]) -> Result<(), ActError> {
        let mut first = Ok(());
        for (container, attachment) in attached {
            if let Some(found) = self.docker.find(container.as_str()).await? {
                first = first.and(self.connect(container, &found.name, network, attachment).await);
            }
        }
        first
    }

    async fn disconnect_if_there(&self, container: &ContainerId, network: &str) -> Result<(), ActError> {
        match self.docker.find(container.as_str()).await? {
            Some(found) => self.disconnect(container, &found.name, network).await,
            None => Ok(()),
        }
    }

    /// Whether the network exists; fails if it is not ours.
    async fn check_network(&self, name: &str, id: &str) -> Result<bool, ActError> {
        match self.docker.api.inspect_network(id, None).await {
            Ok(found) => {
                let owner = found.labels.unwrap_or_default().remove(labels::OWNER);
                if owner.as_deref() == Some(self.owner.as_str()) {
                    Ok(true)
                } else {
                    Err(ActError::Stale(format!("network {name} is not managed by this environment")))
                }
            }
            Err(error) if is_gone(&error) => Ok(false),
            Err(source) => Err(EngineError::Inspect { what: format!("network {name}"), source: source.into() }.into()),
        }
    }

    async fn remove_by_id(&self, name: &str, id: &str) -> Result<(), EngineError> {
        let mut tries = 0;
        loop {
            match self.docker.api.remove_network(id).await {
                Ok(()) => return Ok(()),
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) if has_endpoints(&error) && tries < REMOVE_TRIES => {
                    tries += 1;
                    tokio::time::sleep(REMOVE_PAUSE).await;
                }
                Err(source) => return Err(EngineError::RemoveNetwork { name: name.to_owned(), source: source.into() }),
            }
        }
    }

    /// The network of exactly this name; the engine's own filter also matches parts of names.
    async fn network_named(&self, name: &str) -> Result<Option<models::Network>, EngineError> {
        let filters = HashMap::from([("name".to_owned(), vec![name.to_owned()])]);
        let list = self.docker.api.list_networks(Some(ListNetworksOptions { filters: Some(filters) })).await;
        let list = list.map_err(|source| EngineError::List { what: "networks", source: source.into() })?;
        Ok(list.into_iter().find(|network| network.name.as_deref() == Some(name)))
    }
}

fn has_endpoints(error: &Cause) -> bool {
    error.to_string().contains("active endpoints")
}
