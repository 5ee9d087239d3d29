//! Logins for registries: from the files by way of an environment variable, else from Docker's own config file.

use super::reference;
use crate::engine::docker::{Docker, EngineError};
use crate::model::Registry;
use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// The key under which Docker's config file keeps the login of Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Looks up the password that an environment variable holds. The default knows none.
#[derive(Clone, Default)]
pub struct Credentials(Option<Arc<Lookup>>);

type Lookup = dyn Fn(&str) -> Option<SecretString> + Send + Sync;

impl Credentials {
    /// A lookup by the name of the environment variable.
    pub fn new(lookup: impl Fn(&str) -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lookup)))
    }

    fn get(&self, variable: &str) -> Option<SecretString> {
        self.0.as_ref().and_then(|lookup| lookup(variable))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credentials(..)" } else { "Credentials(none)" })
    }
}

impl Docker {
    /// The login for the registry of an image; `None` asks it without one.
    pub(super) async fn login(
        &self,
        reference: &str,
        registries: &[Registry],
    ) -> Result<Option<DockerCredentials>, EngineError> {
        let host = reference::registry(reference);
        let same_host = |registry: &&Registry| bare(&registry.address) == host;
        if let Some(registry) = registries.iter().find(same_host)
            && let Some(password) = self.password(registry, host)?
        {
            return Ok(Some(DockerCredentials {
                // GitLab and GitHub take any user name with a token.
                username: Some(registry.username.clone().unwrap_or_else(|| "token".to_owned())),
                password: Some(password.expose_secret().to_owned()),
                serveraddress: Some(host.to_owned()),
                ..Default::default()
            }));
        }
        from_docker_config(host).await
    }

    fn password(&self, registry: &Registry, host: &str) -> Result<Option<SecretString>, EngineError> {
        let Some(variable) = &registry.password_env else { return Ok(registry.inline_token.clone()) };
        match self.credentials.get(variable) {
            Some(password) => Ok(Some(password)),
            None => Err(EngineError::Credentials {
                registry: host.to_owned(),
                reason: format!("the environment variable {variable} is not set ({})", registry.at),
            }),
        }
    }
}

/// `https://host/` and `host` are the same registry.
fn bare(address: &str) -> &str {
    let address = address.trim_start_matches("https://").trim_start_matches("http://");
    address.split('/').next().unwrap_or(address)
}

async fn from_docker_config(host: &str) -> Result<Option<DockerCredentials>, EngineError> {
    let key = if host == reference::DOCKER_HUB { HUB_KEY } else { host }.to_owned();
    let failed = |reason: String| EngineError::Credentials { registry: host.to_owned(), reason };
    // A credential helper is a program that is waited for.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key)).await;
    let login = DockerCredentials { serveraddress: Some(host.to_owned()), ..Default::default() };
    match found.map_err(|error| failed(error.to_string()))? {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(DockerCredentials { username: Some(username), password: Some(password), ..login }))
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            Ok(Some(DockerCredentials { identitytoken: Some(token), ..login }))
        }
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // A helper that knows nothing about this registry says so with a failure; what it prints may be secret.
        Err(CredentialRetrievalError::HelperFailure { .. }) => Ok(None),
        Err(error) => Err(failed(format!("{error} (Docker's config file)"))),
    }
}
