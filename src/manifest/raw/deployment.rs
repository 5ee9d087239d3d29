//! A deployment file: root key `deployment`, or its keys without the root.

use super::common::Common;
use super::network::{Gitlab, Network, Registry, Volume};
use super::text::Text;
use super::units::{ListenAddress, Name, Port, Seconds};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A deployment file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentFile {
    /// What runs.
    pub deployment: Deployment,
}

/// A named group of services.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Deployment {
    /// Name; the identifier is derived from it. Default: the file's name.
    pub name: Option<Text>,
    /// Free text.
    pub description: Option<Text>,
    /// The network that the services join unless they name others.
    pub network: Option<Network>,
    /// Further networks by name.
    pub networks: Option<BTreeMap<String, Option<Network>>>,
    /// Named volumes.
    pub volumes: Option<BTreeMap<String, Option<Volume>>>,
    /// What runs.
    pub services: Option<Vec<Service>>,
    /// Task servers of the timed orchestrator.
    pub tasks: Option<Vec<Task>>,
    /// The timed orchestrator.
    pub orchestrator: Option<Orchestrator>,
    /// How the steps of a plan are carried out.
    pub strategy: Option<Strategy>,
    /// How the images of `tasks` and `orchestrator` are built.
    pub build: Option<BuildDefaults>,
    /// Registries to log in to.
    pub registries: Option<Vec<Registry>>,
    /// GitLab registry from which the images of `tasks` and `orchestrator` are pulled.
    pub gitlab: Option<Gitlab>,
}

/// A service: a template of containers that are to run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "id"))]
pub struct Service {
    /// Name within the deployment and on the network.
    pub id: Name,
    /// The container's settings.
    #[serde(flatten)]
    pub common: Common,
}

/// A task server: it runs `task_runner --name <task_type> --address <address> --orchestrator <host>:50050`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "id"))]
pub struct Task {
    /// Name within the deployment.
    pub id: Name,
    /// Dockerfile of the image, in `build.context`; without one, the image is pulled.
    pub dockerfile: Option<Text>,
    /// Address on which it listens; default `0.0.0.0:<port>`.
    pub address: Option<ListenAddress>,
    /// Port on which it listens, published under the same number; default the port of `address`.
    pub port: Option<Port>,
    /// Name of the registered function; default the id.
    pub task_type: Option<Text>,
    /// Real-time settings.
    pub rt_config: Option<RtConfig>,
    /// The container's settings.
    #[serde(flatten)]
    pub common: Common,
}

/// The timed orchestrator.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "id"))]
pub struct Orchestrator {
    /// Name within the deployment; default `orchestrator`.
    pub id: Option<Name>,
    /// Dockerfile of the image, in `build.context`; without one, the image is pulled.
    pub dockerfile: Option<Text>,
    /// Address on which it listens; default `0.0.0.0:50050`. The port is published under the same number.
    pub address: Option<ListenAddress>,
    /// Path of the schedule in the container.
    pub schedule_file: Option<Text>,
    /// Real-time settings.
    pub rt_config: Option<RtConfig>,
    /// The container's settings.
    #[serde(flatten)]
    pub common: Common,
}

/// Real-time settings of a process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RtConfig {
    /// Scheduling policy: `none` (default), `fifo`, `rr`, `deadline`.
    pub policy: Option<RtPolicy>,
    /// Priority from 1 to 99.
    #[schemars(range(min = 0, max = 99))]
    pub priority: Option<u8>,
    /// The CPU to run on; `-1` is any CPU.
    #[schemars(range(min = -1, max = 8191))]
    pub cpu_affinity: Option<i32>,
    /// Prevent its memory from being paged out.
    pub lock_memory: Option<bool>,
}

/// Scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RtPolicy {
    /// The kernel's default.
    None,
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    Rr,
    /// `SCHED_DEADLINE`.
    Deadline,
}

/// How the steps of a plan are carried out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "type"))]
pub struct Strategy {
    /// `sequential` or `parallel`.
    #[serde(rename = "type")]
    pub kind: Option<StrategyName>,
    /// Maximum number of steps at the same time under `parallel`.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
    /// A step is complete only when its container is healthy.
    pub wait_for_healthy: Option<bool>,
    /// Time limit of that wait; a bare number is seconds.
    pub startup_timeout: Option<Seconds>,
    /// How long a container must stay healthy before it counts as healthy; a bare number is seconds.
    pub stability_window: Option<Seconds>,
    /// What happens when a container fails: `rollback`, `halt` or `continue`.
    pub on_failure: Option<OnFailureName>,
    /// Default for the `order` of the services.
    pub order: Option<super::service::StartOrder>,
}

/// Whether steps run one by one or several at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyName {
    /// One step at a time.
    Sequential,
    /// Several steps at the same time.
    Parallel,
}

/// What happens when a container fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailureName {
    /// The old container is put back; steps that do not depend on the new one continue.
    Rollback,
    /// The old container is put back, and no further step of the deployment starts.
    Halt,
    /// The new container replaces the old one although it failed.
    Continue,
}

/// How the images of `tasks` and `orchestrator` are built.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "context"))]
pub struct BuildDefaults {
    /// Folder in this repo; default the root.
    pub context: Option<Text>,
    /// Build several images at the same time; default true.
    pub parallel: Option<bool>,
    /// Ignore the engine's build cache.
    pub no_cache: Option<bool>,
}
