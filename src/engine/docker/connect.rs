//! The connection: the endpoint, and what the engine reports about itself. The API version is negotiated again after each break,
//! because another engine, or another version of it, may answer then.

use super::defaults::{Defaults, TIMEOUT};
use super::podman::PODMAN_GAPS;
use super::transport::{Link, Version};
use super::{Credentials, Docker};
use crate::engine::{EngineError, EngineInfo};
use bollard::API_DEFAULT_VERSION;
use std::sync::Arc;
use std::time::Duration;

/// Docker's default endpoint.
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

impl Docker {
    /// Connects and negotiates the API version. `None` is `DOCKER_HOST` or the default socket.
    ///
    /// # Errors
    /// When no engine answers at the endpoint, or its API version is not supported.
    pub async fn connect(endpoint: Option<&str>) -> Result<Self, EngineError> {
        let docker = Self::at(endpoint)?;
        docker.agree().await?;
        Ok(docker)
    }

    /// A connection that is not open yet: [`Docker::agree`] opens it.
    ///
    /// # Errors
    /// When the endpoint is of a kind that is not spoken.
    pub fn at(endpoint: Option<&str>) -> Result<Self, EngineError> {
        let endpoint = match endpoint {
            Some(endpoint) => endpoint.to_owned(),
            None => default_endpoint()?,
        };
        if endpoint.starts_with("tcp://") && variable("DOCKER_TLS_VERIFY").is_some() {
            return Err(EngineError::Tls { endpoint });
        }
        let (api, link) = Link::open(endpoint)?;
        Ok(Self { api, link: Arc::new(link), credentials: Credentials::default() })
    }

    /// Negotiates the API version and reads the engine's settings; can be repeated at any time, for example after a break.
    ///
    /// # Errors
    /// When the engine does not answer or speaks no version that is spoken here.
    pub async fn agree(&self) -> Result<(), EngineError> {
        let endpoint = &self.link.endpoint;
        let connect =
            |source: bollard::errors::Error| EngineError::Connect { endpoint: endpoint.clone(), source: source.into() };
        let there = self.api.version().await.map_err(connect)?;
        let ours = Version::from(API_DEFAULT_VERSION);
        let newest = there.api_version.as_deref().and_then(Version::parse);
        let oldest = there.min_api_version.as_deref().and_then(Version::parse);
        let (Some(newest), false) = (newest, oldest.is_some_and(|oldest| oldest > ours)) else {
            let range = [there.min_api_version, there.api_version].map(|version| version.unwrap_or("?".to_owned()));
            return Err(EngineError::Version { endpoint: endpoint.clone(), range, ours: ours.to_string() });
        };
        let agreed = newest.min(ours);
        if let Some(before) = self.link.speak(agreed).filter(|before| *before != agreed) {
            let engine = there.version.unwrap_or_default();
            tracing::info!(engine, api = %agreed, before = %before, "the engine now uses another API version");
        }
        let info = self.api.info().await.map_err(|source| EngineError::Info { source: source.into() })?;
        self.link.learn(Defaults {
            log_driver: info.logging_driver.unwrap_or_default(),
            swap_limit: info.swap_limit.unwrap_or(true),
            apart: is_rootless(&info.security_options) || is_desktop(&info.operating_system),
            hostname: info.name.unwrap_or_default(),
        });
        Ok(())
    }

    /// Whether the engine has answered yet.
    pub fn is_agreed(&self) -> bool {
        self.link.version().is_some()
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.link.endpoint
    }

    /// The engine's own defaults, as they were read at the last negotiation.
    pub(super) fn defaults(&self) -> Arc<Defaults> {
        self.link.defaults()
    }

    /// The same connection, with a way to look up the passwords that registries refer to by environment variable.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Facts about the engine and its host.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let info = self.api.info().await.map_err(|source| EngineError::Info { source: source.into() })?;
        let version = self.api.version().await.map_err(|source| EngineError::Info { source: source.into() })?;
        let podman = version.components.iter().flatten().any(|part| part.name.contains("Podman"));
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            api_version: self.link.version().map(|version| version.to_string()).unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            log_driver: info.logging_driver.unwrap_or_default(),
            hostname: info.name.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            warnings: info.warnings.unwrap_or_default(),
            rootless: is_rootless(&info.security_options),
            desktop: is_desktop(&info.operating_system),
            product: if podman { "Podman" } else { "Docker" },
            gaps: if podman { PODMAN_GAPS } else { &[] },
        })
    }

    /// The same connection for a call whose first answer may take this long.
    pub(super) fn patient(&self, patience: Duration) -> bollard::Docker {
        self.api.clone().with_timeout(patience + Duration::from_secs(TIMEOUT))
    }
}

fn is_rootless(security_options: &Option<Vec<String>>) -> bool {
    security_options.iter().flatten().any(|option| option.contains("rootless"))
}

fn is_desktop(operating_system: &Option<String>) -> bool {
    operating_system.as_ref().is_some_and(|system| system.contains("Docker Desktop"))
}

#[expect(clippy::disallowed_methods, reason = "Docker's own variables, read where every Docker client reads them")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The endpoint if none is given. A context of the `docker` command may name another host, so it is refused and not ignored.
fn default_endpoint() -> Result<String, EngineError> {
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(host);
    }
    match variable("DOCKER_CONTEXT").filter(|context| context != "default") {
        Some(context) => Err(EngineError::Context { context }),
        None => Ok(DEFAULT_ENDPOINT.to_owned()),
    }
}
