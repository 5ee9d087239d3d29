//! Creates containers.

use super::work::Work;
use crate::engine::docker::cause::{is_conflict, is_gone};
use crate::engine::docker::{Docker, translate};
use crate::engine::{ActError, EngineError, Interrupt, Outcome};
use crate::model::{Container, ContainerId, NEXT, Status};
use crate::plan::{Launch, Milestone};
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, RenameContainerOptions};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a name may be reserved by a call in progress.
const NAME_TRIES: u32 = 50;
const NAME_PAUSE: Duration = Duration::from_millis(100);
/// How often a container may be met between its end and its restart before its state shows the restart.
const RENAME_TRIES: u32 = 5;

impl Docker {
    /// Creates a container and does not start it, so that the engine's report of its settings can be checked.
    ///
    /// # Errors
    /// When the name is taken or the engine refuses the settings.
    pub async fn prepare(&self, launch: &Launch) -> Result<ContainerId, ActError> {
        let (news, _) = mpsc::channel(1);
        let interrupt = Interrupt::default();
        let work = Work { docker: self, owner: &launch.owner, news, interrupt, warnings: Mutex::default() };
        work.make_ready(launch).await
    }
}

impl Work<'_> {
    /// Creates and starts a new instance and waits for its gate. An instance that does not pass its gate is kept as evidence.
    pub(super) async fn create_instance(&self, launch: &Launch) -> Result<Outcome, ActError> {
        let id = self.make_ready(launch).await?;
        if let Err(error) = self.start(&id, &launch.name).await {
            // A container that never ran would only block the name. One of an earlier attempt may have run, or may be running.
            if let Ok(Some(found)) = self.docker.find(id.as_str()).await
                && found.started_at.is_none()
            {
                let _ = self.remove(&id, &launch.name).await;
            }
            return Err(error.into());
        }
        self.reached(Milestone::Started).await;
        let evidence = self.pass(&id, &launch.gate, true).await?;
        Ok(Outcome { container: Some(id), evidence, ..Outcome::default() })
    }

    /// A container that needs several calls is created under another name and renamed when it is complete: so an interruption never
    /// leaves an incomplete container under its final name.
    async fn make_ready(&self, launch: &Launch) -> Result<ContainerId, ActError> {
        if launch.spec.configs.is_empty() && launch.spec.networks.len() <= 1 {
            return self.make(launch, &launch.name).await;
        }
        if let Some(holder) = self.docker.find(&launch.name).await? {
            return self.adopt(launch, &launch.name, holder);
        }
        let next = format!("{}{NEXT}", launch.name);
        self.discard_named(&next, None).await?;
        let id = self.make(launch, &next).await?;
        if let Err(error) = self.rename(&id, &next, &launch.name).await {
            let _ = self.remove(&id, &next).await;
            return Err(error);
        }
        Ok(id)
    }

    /// Creates a container under `name`, with all its networks and files, and does not start it.
    pub(super) async fn make(&self, launch: &Launch, name: &str) -> Result<ContainerId, ActError> {
        let (body, more) = translate::create_body(launch);
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let mut tries = 0;
        let id = loop {
            let source = match self.docker.api.create_container(Some(options.clone()), body.clone()).await {
                Ok(created) => {
                    self.warned(created.warnings);
                    break ContainerId::new(created.id);
                }
                Err(source) => source,
            };
            if is_conflict(&source) {
                match self.docker.find(name).await? {
                    // It is not known whether an earlier attempt completed it.
                    Some(_) if name.ends_with(NEXT) => self.discard_named(name, None).await?,
                    Some(holder) => return self.adopt(launch, name, holder),
                    // The name is reserved by a call that is still in progress: a creation, or a removal.
                    None => {}
                }
                if tries < NAME_TRIES {
                    tries += 1;
                    tokio::time::sleep(NAME_PAUSE).await;
                    continue;
                }
            }
            return Err(EngineError::CreateContainer { name: name.to_owned(), source: source.into() }.into());
        };
        let completed = async {
            for network in &more {
                let Some(attachment) = launch.spec.networks.get(network) else { continue };
                let request = NetworkConnectRequest {
                    container: id.as_str().to_owned(),
                    endpoint_config: Some(translate::endpoint(attachment)),
                };
                self.docker.api.connect_network(network, request).await.map_err(|source| {
                    EngineError::ConnectNetwork {
                        container: name.to_owned(),
                        network: network.clone(),
                        source: source.into(),
                    }
                })?;
            }
            self.write_configs(&id, name, &launch.spec.configs, &launch.spec.mounts).await
        };
        if let Err(error) = completed.await {
            let _ = self.remove(&id, name).await;
            return Err(error);
        }
        Ok(id)
    }

    /// A container that an earlier attempt of the same launch left is used; any other container keeps the name.
    pub(super) fn adopt(&self, launch: &Launch, name: &str, holder: Container) -> Result<ContainerId, ActError> {
        let is_same = holder.owner.as_ref() == Some(&launch.owner)
            && holder.instance.as_ref() == Some(&launch.instance)
            && holder.applied == launch.applied;
        if is_same { Ok(holder.id) } else { Err(self.taken(name, &holder)) }
    }

    pub(super) async fn start(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let Err(source) = self.docker.api.start_container(id.as_str(), None).await else { return Ok(()) };
        match self.docker.find(id.as_str()).await {
            // The answer was lost, not the call.
            Ok(Some(found)) if found.status == Status::Running => Ok(()),
            _ => Err(EngineError::StartContainer { name: name.to_owned(), source: source.into() }),
        }
    }

    /// Removes a container, running or not; its volumes are kept. It is not an error if it no longer exists.
    pub(super) async fn remove(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: false, link: false };
        match self.docker.api.remove_container(id.as_str(), Some(options)).await {
            Err(source) if !is_gone(&source) && !is_being_removed(&source) => {
                Err(EngineError::RemoveContainer { name: name.to_owned(), source: source.into() })
            }
            _ => Ok(()),
        }
    }

    /// Renames a container; if the name was taken meanwhile, the plan is stale.
    pub(super) async fn rename(&self, id: &ContainerId, name: &str, to: &str) -> Result<(), ActError> {
        let options = RenameContainerOptions { name: to.to_owned() };
        let mut tries = 0;
        let mut stopped = false;
        let result = loop {
            let result = self.docker.api.rename_container(id.as_str(), options.clone()).await;
            // An engine does not rename a container that it is about to restart, and the pause before a restart grows to a minute.
            if stopped || tries == RENAME_TRIES || !result.as_ref().is_err_and(is_between_lives) {
                break result;
            }
            tries += 1;
            let found = self.docker.find(id.as_str()).await?;
            if found.is_some_and(|found| found.status == Status::Restarting) {
                self.stop(id, name, Duration::ZERO).await?;
                stopped = true;
            }
        };
        if stopped {
            // The engine was about to start it as well; a failed start is visible in the state of the container.
            let _ = self.start(id, name).await;
        }
        let Err(source) = result else { return Ok(()) };
        match self.docker.find(to).await? {
            // It already has the name, which the engine reports as an error.
            Some(holder) if holder.id == *id => Ok(()),
            Some(holder) if is_conflict(&source) => Err(self.taken(to, &holder)),
            _ => {
                Err(EngineError::RenameContainer { name: name.to_owned(), to: to.to_owned(), source: source.into() }
                    .into())
            }
        }
    }

    /// Removes a container of ours that an interruption left under a name that is needed; `spare` is never removed.
    pub(super) async fn discard_named(&self, name: &str, spare: Option<&ContainerId>) -> Result<(), ActError> {
        match self.docker.find(name).await? {
            Some(found) if Some(&found.id) == spare => Ok(()),
            Some(found) if found.owner.as_ref() == Some(self.owner) => Ok(self.remove(&found.id, name).await?),
            Some(found) => Err(self.taken(name, &found)),
            None => Ok(()),
        }
    }
}

/// The container has ended and is not restarted yet: the engine reports that it has no network.
fn is_between_lives(error: &bollard::errors::Error) -> bool {
    is_gone(error) && error.to_string().contains("sandbox")
}

/// It is already being removed.
fn is_being_removed(error: &bollard::errors::Error) -> bool {
    is_conflict(error) && error.to_string().contains("already in progress")
}
