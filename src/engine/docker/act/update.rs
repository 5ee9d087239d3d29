//! Changes a container without recreating it.

use super::work::{Work, gone};
use crate::engine::docker::cause::is_gone;
use crate::engine::docker::translate::{self, LimitsUpdate};
use crate::engine::{ActError, EngineError, Outcome};
use crate::model::{Attachment, ContainerId, Resources, Restart, Status};
use crate::plan::{Gate, Milestone, Update};
use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{KillContainerOptions, RestartContainerOptions};
use std::collections::BTreeMap;

impl Work<'_> {
    /// Makes the changes in their order, then waits for the gate.
    pub(super) async fn update_instance(
        &self,
        id: &ContainerId,
        updates: &[Update],
        gate: &Gate,
    ) -> Result<Outcome, ActError> {
        let mut name = self.ours(id).await?.name;
        for update in updates {
            self.update(id, &mut name, update).await?;
        }
        if self.ours(id).await?.status == Status::Running {
            self.reached(Milestone::Started).await;
        }
        let fresh = updates.iter().any(|update| matches!(update, Update::Start | Update::Restart { .. }));
        let evidence = self.pass(id, gate, fresh).await?;
        Ok(Outcome { container: Some(id.clone()), evidence, ..Outcome::default() })
    }

    async fn update(&self, id: &ContainerId, name: &mut String, update: &Update) -> Result<(), ActError> {
        match update {
            Update::Limits { resources, restart } => self.set_limits(id, name, resources, *restart).await?,
            Update::Rename(to) => {
                if name != to {
                    self.rename(id, name, to).await?;
                    to.clone_into(name);
                }
            }
            Update::Connect { network, attachment } => self.connect(id, name, network, attachment).await?,
            Update::Disconnect { network } => self.disconnect(id, name, network).await?,
            Update::WriteConfig { target, file } => {
                let mounts = self.ours(id).await?.spec.mounts;
                let files = BTreeMap::from([(target.clone(), file.clone())]);
                self.write_configs(id, name, &files, &mounts).await?;
            }
            Update::Signal(signal) => {
                let options = KillContainerOptions { signal: signal.clone() };
                let sent = self.docker.api.kill_container(id.as_str(), Some(options)).await;
                let (name, signal) = (name.clone(), signal.clone());
                sent.map_err(|source| EngineError::SignalContainer { name, signal, source: source.into() })?;
            }
            Update::Unpause => {
                if self.ours(id).await?.status == Status::Paused {
                    let thawed = self.docker.api.unpause_container(id.as_str()).await;
                    thawed.map_err(|source| EngineError::UnpauseContainer {
                        name: name.clone(),
                        source: source.into(),
                    })?;
                }
            }
            Update::Start => self.start(id, name).await?,
            Update::Restart { grace } => {
                let seconds = i32::try_from(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)).unwrap_or(i32::MAX);
                let options = RestartContainerOptions { t: Some(seconds), signal: None };
                let restarted = self.docker.patient(*grace).restart_container(id.as_str(), Some(options)).await;
                restarted
                    .map_err(|source| EngineError::RestartContainer { name: name.clone(), source: source.into() })?;
            }
        }
        Ok(())
    }

    async fn set_limits(
        &self,
        id: &ContainerId,
        name: &str,
        resources: &Resources,
        restart: Restart,
    ) -> Result<(), ActError> {
        let inspect = match self.docker.inspect(id.as_str()).await {
            Ok(inspect) => inspect,
            Err(error) if is_gone(&error) => return Err(gone(id)),
            Err(source) => {
                return Err(EngineError::Inspect { what: format!("container {name}"), source: source.into() }.into());
            }
        };
        let host = inspect.host_config.unwrap_or_default();
        let body = match translate::limits_update(&host, resources, restart) {
            LimitsUpdate::InPlace(body) => body,
            LimitsUpdate::Lifts(limits) => return Err(EngineError::LiftLimits { name: name.to_owned(), limits }.into()),
        };
        let updated = self.docker.api.update_container(id.as_str(), *body).await;
        Ok(updated.map_err(|source| EngineError::UpdateContainer { name: name.to_owned(), source: source.into() })?)
    }

    /// Connects a container; a container that is connected with other settings is disconnected first.
    pub(super) async fn connect(
        &self,
        id: &ContainerId,
        name: &str,
        network: &str,
        attachment: &Attachment,
    ) -> Result<(), ActError> {
        match self.ours(id).await?.spec.networks.get(network) {
            Some(present) if present == attachment => return Ok(()),
            Some(_) => self.disconnect(id, name, network).await?,
            None => {}
        }
        let request = NetworkConnectRequest {
            container: id.as_str().to_owned(),
            endpoint_config: Some(translate::endpoint(attachment)),
        };
        let connected = self.docker.api.connect_network(network, request).await;
        Ok(connected.map_err(|source| EngineError::ConnectNetwork {
            container: name.to_owned(),
            network: network.to_owned(),
            source: source.into(),
        })?)
    }

    /// Disconnects a container; it is not an error if it is not connected.
    pub(super) async fn disconnect(&self, id: &ContainerId, name: &str, network: &str) -> Result<(), ActError> {
        if !self.ours(id).await?.spec.networks.contains_key(network) {
            return Ok(());
        }
        let request = NetworkDisconnectRequest { container: id.as_str().to_owned(), force: Some(true) };
        match self.docker.api.disconnect_network(network, request).await {
            Err(source) if !is_gone(&source) => Err(EngineError::DisconnectNetwork {
                container: name.to_owned(),
                network: network.to_owned(),
                source: source.into(),
            }
            .into()),
            _ => Ok(()),
        }
    }
}
