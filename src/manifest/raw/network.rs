//! Networks, volumes and registries of a deployment.

use super::text::{Pairs, Text};
use super::units::{IpAddress, Name, RegistryAddress, Subnet};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A network on the engine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Network {
    /// Name on the engine.
    pub name: Option<Name>,
    /// Driver; default `bridge`.
    pub driver: Option<Text>,
    /// Options of the driver.
    pub driver_opts: Option<BTreeMap<String, Text>>,
    /// No access to other networks.
    pub internal: Option<bool>,
    /// Fixed subnet.
    pub subnet: Option<Subnet>,
    /// Fixed gateway.
    pub gateway: Option<IpAddress>,
    /// Labels.
    pub labels: Option<Pairs>,
    /// The network must already exist; Setpoint never creates, changes or removes it.
    pub external: Option<bool>,
}

/// A named volume on the engine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Volume {
    /// Name on the engine, if it differs from the key.
    pub name: Option<Name>,
    /// Driver; default `local`.
    pub driver: Option<Text>,
    /// Options of the driver.
    pub driver_opts: Option<BTreeMap<String, Text>>,
    /// Labels.
    pub labels: Option<Pairs>,
    /// The volume must already exist; Setpoint never creates or removes it.
    pub external: Option<bool>,
}

/// A registry and how to log in to it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "address"))]
pub struct Registry {
    /// Host and port, as in an image reference.
    pub address: RegistryAddress,
    /// Path between the address and the image's name.
    pub project: Option<Text>,
    /// User name.
    pub username: Option<Text>,
    /// Environment variable that contains the password or token.
    pub password_env: Option<Text>,
}

/// A GitLab registry.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gitlab {
    /// Whether this registry is used; default false in a deployment file, true in a builder file.
    pub enabled: Option<bool>,
    /// Address of the registry.
    pub registry_url: Option<RegistryAddress>,
    /// Path of the project.
    pub project_path: Option<Text>,
    /// User name; default `gitlab-ci-token`.
    pub username: Option<Text>,
    /// A token. It does not belong in a file: name an environment variable in `registries` instead.
    pub access_token: Option<Text>,
    /// Use the token in the environment variable `CI_JOB_TOKEN`.
    pub use_ci_token: Option<bool>,
}
