//! The engine of a node, of any kind.

use super::docker::{Credentials, Docker};
use super::{
    ActContext, ActError, BuildContext, EngineError, EngineEvent, EngineInfo, LogLine, LogOptions, News, Outcome,
    ProbeResult, Scope,
};
use crate::model::{Container, ContainerId, ImageBuild, Observed, OwnerId, Probe, Registry};
use crate::plan::{Launch, Step};
use futures_util::stream::BoxStream;
use std::net::IpAddr;
use tokio::sync::mpsc;

/// A connection to an engine; cheap to clone.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A Docker Engine, or another engine with the same API.
    Docker(Docker),
}

impl Engine {
    /// Connects to a Docker Engine and negotiates the API version. `None` is `DOCKER_HOST` or the default socket.
    ///
    /// # Errors
    /// When no engine answers at the endpoint, or its API version is not supported.
    pub async fn connect(endpoint: Option<&str>) -> Result<Self, EngineError> {
        Docker::connect(endpoint).await.map(Self::Docker)
    }

    /// A connection that is not open yet: [`Engine::agree`] opens it.
    ///
    /// # Errors
    /// When the endpoint is of a kind that is not spoken.
    pub fn at(endpoint: Option<&str>) -> Result<Self, EngineError> {
        Docker::at(endpoint).map(Self::Docker)
    }

    /// The same connection, with a way to look up the passwords that registries refer to by environment variable.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        match self {
            Self::Docker(docker) => Self::Docker(docker.with_credentials(credentials)),
        }
    }

    /// Negotiates the API version and reads the engine's settings; can be repeated at any time, for example after a break.
    ///
    /// # Errors
    /// When the engine does not answer or speaks no version that is spoken here.
    pub async fn agree(&self) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.agree().await,
        }
    }

    /// Whether the engine has answered yet.
    pub fn is_agreed(&self) -> bool {
        match self {
            Self::Docker(docker) => docker.is_agreed(),
        }
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Docker(docker) => docker.endpoint(),
        }
    }

    /// Facts about the engine and its host.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        match self {
            Self::Docker(docker) => docker.info().await,
        }
    }

    /// Observes the host. Health is the result of the engine's own checks; see [`Engine::probe`] for checks from outside.
    ///
    /// # Errors
    /// When the engine does not answer at all; what single objects did not answer stands in `missing`.
    pub async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        match self {
            Self::Docker(docker) => docker.observe(scope).await,
        }
    }

    /// Carries out one step. Repeated after an interruption, it ends in the same state.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn act(&self, step: &Step, context: ActContext<'_>) -> Result<Outcome, ActError> {
        match self {
            Self::Docker(docker) => docker.act(step, context).await,
        }
    }

    /// Events of our objects from now on. The stream begins with [`EngineEvent::Gap`] once it is open and never ends. When it
    /// breaks, it is reopened after increasing pauses and reports `Gap` again.
    pub fn events(&self, owner: &OwnerId) -> BoxStream<'static, EngineEvent> {
        match self {
            Self::Docker(docker) => docker.events(owner),
        }
    }

    /// The log of an instance. Ends with the instance, or with the last line if new output is not followed.
    pub fn logs(
        &self,
        container: &ContainerId,
        options: &LogOptions,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        match self {
            Self::Docker(docker) => docker.logs(container, options),
        }
    }

    /// Makes one check of a running instance, bounded by the check's timeout.
    pub async fn probe(&self, container: &Container, probe: &Probe) -> ProbeResult {
        match self {
            Self::Docker(docker) => docker.probe(container, probe).await,
        }
    }

    /// Creates the container of an instance under its temporary name and does not start it. This is the first part of
    /// [`Engine::act`].
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn prepare(&self, launch: &Launch) -> Result<ContainerId, ActError> {
        match self {
            Self::Docker(docker) => docker.prepare(launch).await,
        }
    }

    /// Kills an instance, without a grace period.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn kill(&self, container: &ContainerId) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.kill(container).await,
        }
    }

    /// Pulls an image from its registry and adds the tag `also_tag`.
    ///
    /// # Errors
    /// When the login is not known, the registry refuses or the transfer breaks.
    pub async fn pull(
        &self,
        reference: &str,
        also_tag: Option<&str>,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.pull(reference, also_tag, registries, news).await,
        }
    }

    /// Pushes an image to its registry.
    ///
    /// # Errors
    /// When the login is not known, the registry refuses or the transfer breaks.
    pub async fn push(
        &self,
        reference: &str,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.push(reference, registries, news).await,
        }
    }

    /// Builds an image and gives it its two tags. An image that already exists under its content-addressed tag is not built again.
    ///
    /// # Errors
    /// When a step of the Dockerfile fails, with what that step said; when a base image cannot be pulled; when there is
    /// no context.
    pub async fn build(
        &self,
        build: &ImageBuild,
        owner: &OwnerId,
        context: Option<BuildContext>,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.build(build, owner, context, registries, news).await,
        }
    }

    /// Adds a tag to an image.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn tag(&self, reference: &str, tag: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.tag(reference, tag).await,
        }
    }

    /// Removes a tag from an image. It is not an error if the tag does not exist.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove_tag(&self, reference: &str) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.remove_tag(reference).await,
        }
    }

    /// Reads a file from an image on the host; `None` if the image has no such regular file.
    ///
    /// # Errors
    /// When the image does not exist, or the connection breaks.
    pub async fn file_of_image(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Docker(docker) => docker.file_of_image(image, path).await,
        }
    }

    /// The addresses of the engine's host in its bridge networks. If one of them is also an address of this machine, containers can
    /// be reached from here.
    ///
    /// # Errors
    /// When the networks cannot be listed.
    pub async fn gateways(&self) -> Result<Vec<IpAddr>, EngineError> {
        match self {
            Self::Docker(docker) => docker.gateways().await,
        }
    }

    /// Removes all volumes and images with this owner's label; returns what could not be removed.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn remove_all_of(&self, owner: &OwnerId) -> Result<Vec<EngineError>, EngineError> {
        match self {
            Self::Docker(docker) => docker.remove_all_of(owner).await,
        }
    }
}
