//! Health checks.

use super::text::{Command, Text};
use super::units::{HttpTarget, Port, Seconds};
use schemars::JsonSchema;
use serde::Deserialize;

/// How health is checked. One of `command`, `test`, `exec`, `shell`, `http`, `tcp`; none keeps the image's own check
/// and only changes its timings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "command"))]
pub struct Healthcheck {
    /// A line for the container's shell; exit code 0 is healthy.
    pub command: Option<Text>,
    /// As in Compose: a line, or a list that starts with `CMD`, `CMD-SHELL` or `NONE`.
    pub test: Option<Command>,
    /// A program and its arguments, without a shell.
    pub exec: Option<Vec<Text>>,
    /// A line for the container's shell.
    pub shell: Option<Text>,
    /// Asked from outside: `":8080/health"`, or `{port, path}`; 200 to 399 is healthy.
    pub http: Option<HttpCheck>,
    /// Opened from outside: a port.
    pub tcp: Option<Port>,
    /// Time between checks; a bare number is seconds.
    pub interval: Option<Seconds>,
    /// Bound on one check; a bare number is seconds.
    pub timeout: Option<Seconds>,
    /// Failures in a row that make it unhealthy.
    #[schemars(range(min = 1, max = 1000))]
    pub retries: Option<u32>,
    /// Failures within this time after the start do not count.
    pub start_period: Option<Seconds>,
    /// Switch the image's own check off.
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
    /// Path to ask; default `/`.
    pub path: Option<Text>,
}
