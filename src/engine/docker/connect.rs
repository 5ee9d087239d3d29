//! The connection: which endpoint, which API version, kept open between calls.

use super::{Credentials, Docker, EngineError};
use bollard::errors::Error as Cause;
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where Docker's engine listens unless told otherwise.
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";
/// Bound on the first answer to a call, in seconds; calls that may take longer bring their own.
const TIMEOUT: u64 = 120;
/// Connections kept open to one engine.
const IDLE: usize = 16;

/// What the engine's own settings make of an absent value.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    /// The log driver.
    pub log_driver: String,
    /// The host's name, which containers on the host's network have.
    pub hostname: String,
    /// Whether the kernel counts swap; if not, the engine drops swap limits.
    pub swap_limit: bool,
}

/// What `doctor` and `status` show of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// Version of the engine.
    pub version: String,
    /// Version of the API that is spoken.
    pub api_version: String,
    /// Storage driver (`overlay2`).
    pub storage_driver: String,
    /// Folder of the engine's data on its host.
    pub data_root: String,
    /// 1 or 2, as the engine says it.
    pub cgroup_version: String,
    /// Log driver of containers that name none.
    pub log_driver: String,
    /// Name of the host.
    pub hostname: String,
    /// Kernel version.
    pub kernel: String,
    /// CPUs of the host.
    pub cpus: u32,
    /// Memory of the host in bytes.
    pub memory: u64,
    /// What the engine itself complains about (`No swap limit support`).
    pub warnings: Vec<String>,
}

impl Docker {
    /// Connects and agrees on the API version. `None` is `DOCKER_HOST` or the default socket.
    ///
    /// # Errors
    /// When the endpoint is no engine.
    pub async fn connect(endpoint: Option<&str>) -> Result<Self, EngineError> {
        let endpoint = endpoint.map_or_else(default_endpoint, str::to_owned);
        let connect = |source| EngineError::Connect { endpoint: endpoint.clone(), source };
        let api = open(&endpoint)?.negotiate_version().await.map_err(connect)?;
        let info = api.info().await.map_err(|source| EngineError::Info { source })?;
        let defaults = Defaults {
            log_driver: info.logging_driver.unwrap_or_default(),
            hostname: info.name.unwrap_or_default(),
            swap_limit: info.swap_limit.unwrap_or(true),
        };
        Ok(Self { api, defaults: Arc::new(defaults), credentials: Credentials::default() })
    }

    /// The same connection with a way to look up passwords that registries name by environment variable.
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
        let info = self.api.info().await.map_err(|source| EngineError::Info { source })?;
        let api = self.api.client_version();
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            api_version: format!("{}.{}", api.major_version, api.minor_version),
            storage_driver: info.driver.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            log_driver: info.logging_driver.unwrap_or_default(),
            hostname: info.name.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    /// The same connection for a call whose first answer may take so long.
    pub(super) fn patient(&self, patience: Duration) -> bollard::Docker {
        self.api.clone().with_timeout(patience + Duration::from_secs(TIMEOUT))
    }
}

#[expect(clippy::disallowed_methods, reason = "Docker's own variable, read where every Docker client reads it")]
fn default_endpoint() -> String {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
}

/// A client that keeps its connections: the one that bollard makes opens a new one for each call.
fn open(endpoint: &str) -> Result<bollard::Docker, EngineError> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(IDLE);
    let bad = |source| EngineError::Connect { endpoint: endpoint.to_owned(), source };
    if let Some(path) = endpoint.strip_prefix("unix://") {
        if !Path::new(path).exists() {
            return Err(bad(Cause::SocketNotFoundError(path.to_owned())));
        }
        let client: Client<hyperlocal::UnixConnector, _> = builder.build(hyperlocal::UnixConnector);
        let send = move |request: BollardRequest| {
            let answer = client.request(request);
            async move { Ok(answer.await?) }
        };
        let address = hyper::Uri::from(hyperlocal::Uri::new(path, "/")).to_string();
        let address = address.trim_end_matches('/').to_owned();
        return bollard::Docker::connect_with_custom_transport(send, Some(address), TIMEOUT, API_DEFAULT_VERSION)
            .map_err(bad);
    }
    let Some(host) = endpoint.strip_prefix("tcp://").or_else(|| endpoint.strip_prefix("http://")) else {
        return Err(EngineError::Endpoint { endpoint: endpoint.to_owned() });
    };
    let client: Client<HttpConnector, _> = builder.build(HttpConnector::new());
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { Ok(answer.await?) }
    };
    let address = format!("http://{}", host.trim_end_matches('/'));
    bollard::Docker::connect_with_custom_transport(send, Some(address), TIMEOUT, API_DEFAULT_VERSION).map_err(bad)
}
