//! Stops and removes containers, and cleans up after interruptions.

use super::work::Work;
use crate::engine::docker::cause::{is_gone, status};
use crate::engine::{ActError, EngineError, Outcome};
use crate::model::{ContainerId, NEXT, PREV, Status};
use crate::plan::{Gate, Milestone};
use bollard::query_parameters::StopContainerOptions;
use std::time::Duration;

/// Time that a leftover has to stop.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);

impl Work<'_> {
    pub(super) async fn stop_instance(&self, id: &ContainerId, grace: Duration) -> Result<Outcome, ActError> {
        let found = self.ours(id).await?;
        self.stop(id, &found.name, grace).await?;
        Ok(Outcome { container: Some(id.clone()), ..Outcome::default() })
    }

    pub(super) async fn remove_instance(&self, id: &ContainerId, grace: Duration) -> Result<Outcome, ActError> {
        let Some(found) = self.docker.find(id.as_str()).await? else { return Ok(Outcome::default()) };
        let found = if found.owner.as_ref() == Some(self.owner) { found } else { self.ours(id).await? };
        if !matches!(found.status, Status::Created | Status::Exited { .. } | Status::Dead) {
            self.stop(id, &found.name, grace).await?;
        }
        self.remove(id, &found.name).await?;
        Ok(Outcome::default())
    }

    /// Only a container with the name of a leftover is discarded.
    pub(super) async fn discard_leftover(&self, id: &ContainerId) -> Result<Outcome, ActError> {
        match self.docker.find(id.as_str()).await? {
            None => Ok(Outcome::default()),
            Some(found) if found.name.ends_with(NEXT) || found.name.ends_with(PREV) => {
                self.remove_instance(id, LEFTOVER_GRACE).await
            }
            Some(found) => Err(ActError::Stale(format!("container {} is no longer a leftover", found.name))),
        }
    }

    pub(super) async fn restore_instance(&self, id: &ContainerId, name: &str) -> Result<Outcome, ActError> {
        let found = self.ours(id).await?;
        if found.name != name {
            self.rename(id, &found.name, name).await?;
        }
        self.start(id, name).await?;
        self.reached(Milestone::Started).await;
        Ok(Outcome { container: Some(id.clone()), ..Outcome::default() })
    }

    pub(super) async fn await_instance(&self, id: &ContainerId, gate: &Gate) -> Result<Outcome, ActError> {
        let found = self.ours(id).await?;
        if found.started_at.is_some() {
            self.reached(Milestone::Started).await;
        }
        let evidence = self.pass(id, gate, false).await?;
        Ok(Outcome { container: Some(id.clone()), evidence, ..Outcome::default() })
    }

    /// Asks a container to stop and kills it after `grace` (whole seconds, rounded up). It is not an error if the container is not
    /// running.
    pub(super) async fn stop(&self, id: &ContainerId, name: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let options = StopContainerOptions { t: Some(i32::try_from(seconds).unwrap_or(i32::MAX)), signal: None };
        match self.docker.patient(grace).stop_container(id.as_str(), Some(options)).await {
            Err(source) if !is_gone(&source) && status(&source) != Some(304) => {
                Err(EngineError::StopContainer { name: name.to_owned(), source: source.into() })
            }
            _ => Ok(()),
        }
    }
}
