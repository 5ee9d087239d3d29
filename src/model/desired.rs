//! What the config repo wants: the result of compiling one revision.

use super::spec::{ContainerSpec, Probe};
use super::text::probe_text;
use super::{
    DeploymentName, Field, FieldKind, Fields, FileKind, Location, OnFailure, Order, Schedule, ScheduleName, ServiceId,
    ServiceRef, Settings, StrategyKind,
};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Everything one revision asks for.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Policy of the repo.
    pub settings: Settings,
    /// Deployments by name.
    pub deployments: BTreeMap<DeploymentName, Deployment>,
    /// Schedules by name.
    pub schedules: BTreeMap<ScheduleName, Schedule>,
    /// Builder files: images to build and push without running them.
    pub builds: Vec<BuildFile>,
    /// What the reader should know although it is no mistake (a file kind that is not supported yet, a deprecated key).
    pub notices: Vec<Notice>,
    /// Paths of the env files that services read, whose values are not shown.
    pub env_files: BTreeSet<String>,
}

impl Desired {
    /// The service that a reference names.
    pub fn service(&self, service: &ServiceRef) -> Option<&Service> {
        self.deployments.get(&service.deployment)?.services.iter().find(|candidate| candidate.id == service.service)
    }
}

/// A remark about a file that does not keep it from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub at: Location,
    /// What, and what to do about it.
    pub text: String,
}

/// One named group of services from a deployment file.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Identifier, derived from `title` when that is not one itself.
    pub name: DeploymentName,
    /// The name as written.
    pub title: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it starts.
    pub at: Location,
    /// Networks by their name on the engine.
    pub networks: BTreeMap<String, Network>,
    /// Volumes by their name on the engine.
    pub volumes: BTreeMap<String, Volume>,
    /// Services in file order; tasks of the existing format come before their orchestrator.
    pub services: Vec<Service>,
    /// How its steps follow each other.
    pub strategy: Strategy,
    /// Whether several of its images are built at once.
    pub parallel_builds: bool,
    /// Registries that its images come from.
    pub registries: Vec<Registry>,
}

/// A network on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Name on the engine.
    pub name: String,
    /// `bridge`, `macvlan`, …
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// No way out.
    pub internal: bool,
    /// Subnet and gateway, when fixed.
    pub subnet: Option<String>,
    /// Gateway, when fixed.
    pub gateway: Option<String>,
    /// Labels on top of ours.
    pub labels: BTreeMap<String, String>,
    /// Must exist already; never created, changed or removed.
    pub external: bool,
    /// Where it is written.
    pub at: Location,
}

/// A named volume on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name on the engine.
    pub name: String,
    /// The name without its deployment, under which earlier versions made it; absent where the file gives the name.
    pub former: Option<String>,
    /// `local`, …
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels on top of ours.
    pub labels: BTreeMap<String, String>,
    /// Must exist already; never created or removed.
    pub external: bool,
    /// Where it is written.
    pub at: Location,
}

/// What a service was in the file; decides order and defaults, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// From `services`.
    Service,
    /// A task server, from `tasks`.
    Task,
    /// The timed orchestrator's container, from `orchestrator`.
    Orchestrator,
}

/// The template of something to keep running.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its `id`.
    pub id: ServiceId,
    /// What it was in the file.
    pub role: Role,
    /// Where it starts.
    pub at: Location,
    /// Where its image comes from.
    pub image: Image,
    /// Settings of each container; `spec.image` is the reference that runs (see [`Image::reference`]).
    pub spec: ContainerSpec,
    /// Fixed container name; only with one replica.
    pub container_name: Option<String>,
    /// How many containers.
    pub replicas: u32,
    /// Runs to its end instead of being kept running: something waits for its completion.
    pub one_shot: bool,
    /// Services that must be there first.
    pub depends_on: BTreeMap<ServiceRef, Dependency>,
    /// A health check made from outside.
    pub probe: Option<Probe>,
    /// Whether a new instance starts before the old one stops.
    pub order: Order,
    /// Where each field is set; a field that is not listed follows from a default.
    pub origins: BTreeMap<Field, Location>,
    /// Fields whose values are not shown, whatever they are: those from an env file.
    pub hidden: BTreeSet<Field>,
}

impl Service {
    /// The name of the container in `slot`: `container_name`, else `<deployment>-<service>-<slot>`.
    pub fn container_name(&self, deployment: &DeploymentName, slot: u32) -> String {
        self.container_name.clone().unwrap_or_else(|| self.id.container_name(deployment, slot))
    }

    /// Its settings as fields: those of its containers, and the check that Setpoint makes itself.
    pub fn fields(&self) -> Fields {
        let mut fields = self.spec.fields();
        fields.insert(Field::one(FieldKind::Probe), probe_text(self.probe.as_ref()));
        fields
    }

    /// Whether the value of a field must not be shown, whatever it is.
    pub fn hides(&self, field: &Field) -> bool {
        self.hidden.contains(field)
    }

    /// The place that sets `field`, or the service itself.
    pub fn origin(&self, field: &Field) -> &Location {
        self.origins.get(field).unwrap_or(&self.at)
    }
}

/// What a dependant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The container was started.
    Started,
    /// It is healthy.
    Healthy,
    /// It ended with exit code 0.
    Completed,
}

/// One edge of the dependency graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What is waited for.
    pub condition: Condition,
    /// Where it is written.
    pub at: Location,
}

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Image {
    /// From a registry or already on the host.
    Pull {
        /// Reference as written, with registry and project where the file names them.
        reference: String,
        /// When it is pulled.
        policy: PullPolicy,
        /// A second, local name that is kept pointing at it.
        also_tag: Option<String>,
    },
    /// Built from the revision's tree.
    Build(ImageBuild),
}

impl Image {
    /// The reference that containers run.
    pub fn reference(&self) -> String {
        match self {
            Self::Pull { reference, .. } => reference.clone(),
            Self::Build(build) => build.reference(),
        }
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not on the host.
    Missing,
    /// Before each change of the service, to follow a moving tag.
    Always,
    /// Never: it must be on the host.
    Never,
}

/// How an image is built from the revision's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBuild {
    /// Repository part of its name (`shop/api`).
    pub repository: String,
    /// The tag people know it by; kept pointing at the newest build.
    pub tag: String,
    /// Folder in the config repo.
    pub context: String,
    /// Path of the Dockerfile in the config repo.
    pub dockerfile: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Ignore the engine's build cache.
    pub no_cache: bool,
    /// Digest (hexadecimal, 12 digits) over every file of the context that the build can see, the Dockerfile and the
    /// settings above; equal digests need no second build.
    pub digest: String,
    /// The files of the context, after `.dockerignore`, sorted by path; the Dockerfile is among them.
    pub files: Arc<[ContextFile]>,
}

/// One file of a build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextFile {
    /// Path within the context; the Dockerfile stands under its own path even when it lies outside.
    pub path: String,
    /// Git's id of the content, from which the context is streamed.
    pub oid: String,
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
}

impl ImageBuild {
    /// The content-addressed reference: `repository:sp-<digest>`.
    pub fn reference(&self) -> String {
        format!("{}:sp-{}", self.repository, self.digest)
    }

    /// The reference people know: `repository:tag`.
    pub fn friendly(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

/// How the steps of a deployment follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// One by one or several at once.
    pub kind: StrategyKind,
    /// Steps at once; 1 for sequential.
    pub max_parallel: u32,
    /// Whether a step ends only when its instance is healthy.
    pub wait_for_healthy: bool,
    /// Bound on that wait.
    pub startup_timeout: Duration,
    /// How long an instance must stay healthy before it counts.
    pub stability_window: Duration,
    /// What a failed instance leads to.
    pub on_failure: OnFailure,
}

/// A registry and how to log in to it.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Host and port, as in an image reference.
    pub address: String,
    /// Path between address and image name.
    pub project: Option<String>,
    /// User name.
    pub username: Option<String>,
    /// Environment variable of the daemon or command that holds the password or token.
    pub password_env: Option<String>,
    /// A token written into the file; accepted because existing files have it, always with a notice.
    pub inline_token: Option<SecretString>,
    /// Where it is written.
    pub at: Location,
}

/// A builder file: images to build, tag and push.
#[derive(Clone, Debug)]
pub struct BuildFile {
    /// Name as written.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it starts.
    pub at: Location,
    /// Where its images go.
    pub registry: Option<Registry>,
    /// The images in file order.
    pub images: Vec<BuildImage>,
    /// How it is carried out.
    pub settings: BuildSettings,
}

/// One image of a builder file.
#[derive(Clone, Debug)]
pub struct BuildImage {
    /// How it is built.
    pub build: ImageBuild,
    /// Where it is pushed to: registry, project, name and tag.
    pub push_reference: Option<String>,
    /// Where it is written.
    pub at: Location,
}

/// How a builder file is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSettings {
    /// Build several images at once.
    pub parallel: bool,
    /// Push what was built.
    pub push_after_build: bool,
    /// Remove the registry-tagged local name after the push.
    pub cleanup_after_push: bool,
}
