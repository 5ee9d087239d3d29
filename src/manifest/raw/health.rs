//! Health checks.

use super::text::{Command, Text};
use super::units::{HttpTarget, Port, Seconds};
use schemars::JsonSchema;
use serde::Deserialize;

/// How health is checked: one of `command`, `test`, `exec`, `shell`, `http`, `tcp`. Without one, the image's own check is used
/// with these timings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "command"))]
pub struct Healthcheck {
    /// Command line for the container's shell; exit code 0 means healthy.
    pub command: Option<Text>,
    /// As in Compose: a line, or a list that starts with `CMD`, `CMD-SHELL` or `NONE`.
    pub test: Option<Command>,
    /// A program and its arguments, without a shell.
    pub exec: Option<Vec<Text>>,
    /// Command line for the container's shell.
    pub shell: Option<Text>,
    /// Page that Setpoint requests: `":8080/health"`, or `{port, path}`; status 200 to 399 means healthy.
    pub http: Option<HttpCheck>,
    /// Port that Setpoint connects to.
    pub tcp: Option<Port>,
    /// Time between checks; a bare number is seconds.
    pub interval: Option<Seconds>,
    /// Time limit of one check; a bare number is seconds.
    pub timeout: Option<Seconds>,
    /// Number of consecutive failures that make the container unhealthy.
    #[schemars(range(min = 1, max = 1000))]
    pub retries: Option<u32>,
    /// Failures within this time after the start are ignored.
    pub start_period: Option<Seconds>,
    /// Disable the image's own check.
    pub disable: Option<bool>,
}

/// An HTTP check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HttpCheck {
    /// `":8080/health"`.
    Short(HttpTarget),
    /// As a map.
    Long(HttpSpec),
}

/// An HTTP check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// Port in the container.
    pub port: Port,
    /// Path to request; default `/`.
    pub path: Option<Text>,
}
