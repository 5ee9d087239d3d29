//! Logins for registries: from the files with an environment variable, else from Docker's own config file.

use super::{helper, reference};
use crate::engine::EngineError;
use crate::engine::docker::Docker;
use crate::model::Registry;
use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The declared registry of an image: of those at its host, the one with the longest project that its path begins with; a registry
/// without a project matches every path.
fn declared<'a>(reference: &str, host: &str, registries: &'a [Registry]) -> Option<&'a Registry> {
    let path = reference.strip_prefix(host).map_or(reference, |path| path.trim_start_matches('/'));
    let holds = |project: &String| path.strip_prefix(project.as_str()).is_some_and(|rest| rest.starts_with('/'));
    registries
        .iter()
        .filter(|registry| bare(&registry.address) == host && registry.project.as_ref().is_none_or(holds))
        .max_by_key(|registry| registry.project.as_ref().map_or(0, String::len))
}

/// The key of the login for Docker Hub in Docker's config file.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where logins are looked up. By default no environment variables are read, and Docker's config file is at Docker's own path
/// (`$DOCKER_CONFIG`, else `~/.docker`).
#[derive(Clone, Default)]
pub struct Credentials {
    lookup: Option<Arc<Lookup>>,
    docker_config: Option<PathBuf>,
}

type Lookup = dyn Fn(&str) -> Option<SecretString> + Send + Sync;

impl Credentials {
    /// Looks up passwords by the name of the environment variable that contains them.
    pub fn new(lookup: impl Fn(&str) -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self { lookup: Some(Arc::new(lookup)), docker_config: None }
    }

    /// Reads Docker's config file in this folder.
    #[must_use]
    pub fn with_docker_config(mut self, folder: PathBuf) -> Self {
        self.docker_config = Some(folder);
        self
    }

    fn get(&self, variable: &str) -> Option<SecretString> {
        self.lookup.as_ref().and_then(|lookup| lookup(variable))
    }

    fn config_file(&self) -> Option<PathBuf> {
        Some(self.docker_config.clone().or_else(docker_config)?.join("config.json"))
    }
}

#[expect(clippy::disallowed_methods, reason = "Docker's own variable, read where every Docker client reads it")]
fn docker_config() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("docker_config", &self.docker_config).finish_non_exhaustive()
    }
}

impl Docker {
    /// The login for the registry of an image; `None` means without a login.
    pub(super) async fn login(
        &self,
        reference: &str,
        registries: &[Registry],
    ) -> Result<Option<DockerCredentials>, EngineError> {
        let host = reference::registry(reference);
        if let Some(registry) = declared(reference, host, registries)
            && let Some(password) = self.password(registry, host)?
        {
            return Ok(Some(DockerCredentials {
                // GitLab and GitHub accept any user name with a token.
                username: Some(registry.username.clone().unwrap_or_else(|| "token".to_owned())),
                password: Some(password.expose_secret().to_owned()),
                serveraddress: Some(host.to_owned()),
                ..Default::default()
            }));
        }
        from_docker_config(&self.credentials, host).await
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

async fn from_docker_config(credentials: &Credentials, host: &str) -> Result<Option<DockerCredentials>, EngineError> {
    let Some(path) = credentials.config_file() else { return Ok(None) };
    let key = if host == reference::DOCKER_HUB { HUB_KEY } else { host }.to_owned();
    let name = path.display().to_string();
    let failed =
        |reason: String| EngineError::Credentials { registry: host.to_owned(), reason: format!("{name}: {reason}") };
    // A credential helper is a program; waiting for it blocks.
    let found = tokio::task::spawn_blocking(move || match std::fs::read_to_string(path) {
        Ok(config) => look_up(&config, &key, helper::PATIENCE),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    })
    .await;
    let login = DockerCredentials { serveraddress: Some(host.to_owned()), ..Default::default() };
    let found = found.map_err(|error| error.to_string()).and_then(|found| found).map_err(failed)?;
    Ok(found.map(|credential| match credential {
        DockerCredential::UsernamePassword(username, password) => {
            DockerCredentials { username: Some(username), password: Some(password), ..login }
        }
        DockerCredential::IdentityToken(token) => DockerCredentials { identitytoken: Some(token), ..login },
    }))
}

/// The login for `key` in Docker's config file, in Docker's order: a helper for this registry, the file itself, the helper
/// for all.
fn look_up(config: &str, key: &str, patience: Duration) -> Result<Option<DockerCredential>, String> {
    let mut config: Value = serde_json::from_str(config).map_err(|error| error.to_string())?;
    let mut take = |field: &str| config.as_object_mut().and_then(|config| config.remove(field));
    let (helpers, store) = (take("credHelpers"), take("credsStore"));
    let own = helpers.as_ref().and_then(|helpers| helpers.get(key)?.as_str()).filter(|name| !name.is_empty());
    if let Some(name) = own {
        return helper::ask(name, key, patience);
    }
    match docker_credential::get_credential_from_reader(config.to_string().as_bytes(), key) {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => {
            match store.as_ref().and_then(Value::as_str).filter(|name| !name.is_empty()) {
                Some(name) => helper::ask(name, key, patience),
                None => Ok(None),
            }
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_tells_two_logins_of_one_registry_apart() {
        let at = crate::model::Location { file: "a".into(), line: 1, column: 1 };
        let registry = |project: Option<&str>| Registry {
            address: "https://r.example.org".to_owned(),
            project: project.map(str::to_owned),
            username: None,
            password_env: None,
            inline_token: None,
            at: at.clone(),
        };
        let all = [registry(None), registry(Some("shop")), registry(Some("shop/api"))];
        let project = |image: &str| declared(image, "r.example.org", &all).map(|registry| registry.project.clone());
        assert_eq!(project("r.example.org/shop/api/web:1"), Some(Some("shop/api".to_owned())));
        assert_eq!(project("r.example.org/shop/api:1"), Some(Some("shop".to_owned())));
        assert_eq!(project("r.example.org/shopping/api:1"), Some(None));
        assert!(declared("docker.io/library/x:1", "docker.io", &all).is_none());
    }
}
