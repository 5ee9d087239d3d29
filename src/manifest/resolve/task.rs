//! Task servers and the timed orchestrator, as the existing deployment files describe them.

use super::Resolver;
use super::build_context::BuildRequest;
use super::image::{policy, split_tag};
use super::service::Draft;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::deployment::{BuildDefaults, Orchestrator, RtConfig, RtPolicy, Task};
use crate::manifest::raw::network::Gitlab;
use crate::manifest::raw::text::Text;
use crate::manifest::raw::units::ImageName;
use crate::model::{Field, FieldKind as K, Image, PortBinding, Protocol, Role, Settings, Ulimit};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where the orchestrator listens unless the file says otherwise.
const ORCHESTRATOR_PORT: u16 = 50050;

/// What tasks and the orchestrator take from their deployment.
pub(crate) struct Seed<'r, 'a> {
    /// The `build` block.
    pub build: &'r BuildDefaults,
    /// The `gitlab` block, when it is enabled.
    pub gitlab: Option<&'r Gitlab>,
    /// The deployment.
    pub at: Cursor<'a>,
}

/// What the image of a task or orchestrator is.
struct SeedImage<'r> {
    image: Option<&'r ImageName>,
    default: &'static str,
    dockerfile: Option<Text>,
    default_dockerfile: &'static str,
    pull: Option<crate::manifest::raw::service::PullPolicy>,
}

impl Resolver<'_> {
    /// A task server.
    pub(crate) fn task<'a>(
        &mut self,
        seed: &Seed<'_, 'a>,
        deployment: &str,
        task: Task,
        peer: &str,
        at: Cursor<'a>,
    ) -> Draft<'a> {
        let Task { id, dockerfile, address, port, task_type, rt_config, common } = task;
        let mut draft = Draft::new(&id.0, Role::Task, at);
        let explicit_command = common.command.is_some();
        let (image, pull, build) = (common.image.clone(), common.pull_policy, common.build.clone());
        self.common(&mut draft, common);
        if build.is_some() {
            self.image(&mut draft, deployment, image, build, pull);
        } else {
            let default_dockerfile = "Dockerfile.task";
            let default = "grpc_task:latest";
            let image = SeedImage { image: image.as_ref(), default, dockerfile, default_dockerfile, pull };
            self.seed_image(&mut draft, seed, &image);
        }
        let listen = match (&address, &port) {
            (Some(address), Some(port)) if address.0.1 != port.0 => {
                let message = format!("`port` is {} and `address` listens on {}", port.0, address.0.1);
                let help = "make them equal: a port is published under the same number";
                self.mistake("port-mismatch", at.key("port"), message, help);
                Some((address.0.0.clone(), port.0))
            }
            (Some(address), _) => Some(address.0.clone()),
            (None, Some(port)) => Some(("0.0.0.0".to_owned(), port.0)),
            (None, None) => {
                let help = "add `port: 50051`, or `address: 0.0.0.0:50051`";
                self.mistake("missing-key", at.key("id"), format!("the task `{}` has no port", draft.id), help);
                None
            }
        };
        let Some((host, number)) = listen else { return draft };
        publish(&mut draft, number, if port.is_some() { at.key("port") } else { at.key("address") });
        default_env(&mut draft);
        draft.spec.env.entry("TASK_ID".to_owned()).or_insert_with(|| draft.id.to_string());
        draft.spec.hostname.get_or_insert_with(|| draft.id.to_string());
        let task_type = task_type.map_or_else(|| draft.id.to_string(), |name| name.0);
        let peer = find_host(&mut draft, peer);
        let mut words: Vec<String> =
            ["--name", &task_type, "--address", &format!("{host}:{number}"), "--orchestrator", &peer]
                .map(str::to_owned)
                .into();
        self.real_time(&mut draft, rt_config.as_ref(), &mut words);
        if !explicit_command {
            draft.set(K::Command, if at.has("task_type") { at.key("task_type") } else { at.key("id") });
            draft.spec.command = Some(words);
        }
        draft
    }

    /// The orchestrator.
    pub(crate) fn orchestrator<'a>(
        &mut self,
        seed: &Seed<'_, 'a>,
        deployment: &str,
        raw: Orchestrator,
        at: Cursor<'a>,
    ) -> Draft<'a> {
        let Orchestrator { id, dockerfile, address, schedule_file, rt_config, common } = raw;
        let id = id.map_or_else(|| "orchestrator".to_owned(), |id| id.0);
        let mut draft = Draft::new(&id, Role::Orchestrator, at);
        let explicit_command = common.command.is_some();
        let (image, pull, build) = (common.image.clone(), common.pull_policy, common.build.clone());
        self.common(&mut draft, common);
        if build.is_some() {
            self.image(&mut draft, deployment, image, build, pull);
        } else {
            let default_dockerfile = "Dockerfile.orchestrator";
            let default = "grpc_orchestrator:latest";
            let image = SeedImage { image: image.as_ref(), default, dockerfile, default_dockerfile, pull };
            self.seed_image(&mut draft, seed, &image);
        }
        let (host, number) = address.map_or_else(|| ("0.0.0.0".to_owned(), ORCHESTRATOR_PORT), |address| address.0);
        publish(&mut draft, number, at.key("address"));
        default_env(&mut draft);
        draft.spec.hostname.get_or_insert_with(|| draft.id.to_string());
        let mut words = vec!["--address".to_owned(), format!("{host}:{number}")];
        if let Some(schedule) = schedule_file {
            words.extend(["--schedule".to_owned(), schedule.0]);
        }
        self.real_time(&mut draft, rt_config.as_ref(), &mut words);
        if !explicit_command {
            draft.set(K::Command, if at.has("schedule_file") { at.key("schedule_file") } else { at.key("address") });
            draft.spec.command = Some(words);
        }
        draft
    }

    /// Real-time settings: flags of the process, and what its container must allow for them.
    fn real_time(&mut self, draft: &mut Draft<'_>, rt: Option<&RtConfig>, words: &mut Vec<String>) {
        let Some(rt) = rt else { return };
        let at = draft.at.key("rt_config");
        let policy = rt.policy.unwrap_or(RtPolicy::None);
        let name = match policy {
            RtPolicy::None => "none",
            RtPolicy::Fifo => "fifo",
            RtPolicy::Rr => "rr",
            RtPolicy::Deadline => "deadline",
        };
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([name.to_owned(), value]);
            }
        };
        flag("--policy", rt.policy.map(|_| name.to_owned()));
        flag("--priority", rt.priority.map(|priority| priority.to_string()));
        flag("--cpu-affinity", rt.cpu_affinity.filter(|cpu| *cpu >= 0).map(|cpu| cpu.to_string()));
        let lock_memory = rt.lock_memory == Some(true);
        if lock_memory {
            words.push("--lock-memory".to_owned());
        }
        if policy != RtPolicy::None {
            let priority = i64::from(rt.priority.unwrap_or(50));
            if priority == 0 {
                let help = format!("write a priority from 1 to 99; `{name}` needs one");
                self.mistake("impossible-resources", at.key("priority"), format!("`{name}` has no priority 0"), help);
            }
            draft.set_entry(K::CapAdd, "SYS_NICE", at.key("policy"));
            draft.spec.cap_add.insert("SYS_NICE".to_owned());
            allow(draft, "rtprio", priority, at.key("priority"));
        }
        if lock_memory {
            allow(draft, "memlock", -1, at.key("lock_memory"));
        }
        if policy == RtPolicy::Deadline {
            let text = "`deadline` needs a runtime, a deadline and a period, for which there are no keys here; the process decides how to handle the flag";
            self.notice(at.key("policy"), text);
        }
        let Some(cpu) = rt.cpu_affinity.and_then(|cpu| u32::try_from(cpu).ok()) else { return };
        match &draft.spec.resources.cpuset {
            None => {
                draft.set(K::Cpuset, at.key("cpu_affinity"));
                draft.spec.resources.cpuset = Some(cpu.to_string());
            }
            Some(cpuset) if !contains_cpu(cpuset, cpu) => {
                let message = format!("`cpu_affinity` is CPU {cpu}, which `cpuset` (`{cpuset}`) does not allow");
                let help = format!("add {cpu} to `resources.cpuset`, or choose a CPU that is in it");
                self.mistake("impossible-resources", at.key("cpu_affinity"), message, help);
            }
            Some(_) => {}
        }
    }

    /// The image: pulled from GitLab when that is enabled, built when there is a Dockerfile, else pulled as it is named.
    fn seed_image(&mut self, draft: &mut Draft<'_>, seed: &Seed<'_, '_>, wanted: &SeedImage<'_>) {
        let at = draft.at;
        let name = wanted.image.map_or_else(|| wanted.default.to_owned(), |image| image.0.clone());
        let pulled = |reference: String, also_tag| Image::Pull { reference, policy: policy(wanted.pull), also_tag };
        if at.has("image") {
            draft.set(K::Image, at.key("image"));
        }
        if let Some(gitlab) = seed.gitlab {
            if wanted.dockerfile.is_some() {
                let text = format!("`gitlab` is enabled, so `{name}` is pulled and the Dockerfile is not used");
                self.notice(at.name("dockerfile"), text);
            }
            let parts = [
                gitlab.registry_url.as_ref().map(|url| url.0.as_str()),
                gitlab.project_path.as_ref().map(|path| path.0.trim_matches('/')),
            ];
            let prefix: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            draft.image = pulled(format!("{}/{name}", prefix.join("/")), Some(name));
            draft.spec.image = draft.image.reference();
            return;
        }
        let context = seed.build.context.as_ref().map_or(".", |context| context.0.as_str());
        let within = |file: &str| match context.trim_start_matches("./").trim_end_matches('/') {
            "" | "." => file.to_owned(),
            folder => format!("{folder}/{file}"),
        };
        let found = || {
            let file = wanted.default_dockerfile;
            self.tree.get(&within(file)).or_else(|| self.tree.get(file)).map(|_| file.to_owned())
        };
        let dockerfile = wanted.dockerfile.as_ref().map(|path| path.0.clone()).or_else(found);
        let Some(dockerfile) = dockerfile else {
            draft.image = pulled(name, None);
            draft.spec.image = draft.image.reference();
            return;
        };
        let (repository, tag) = split_tag(&name);
        let build_at = seed.at.key("build");
        let request = BuildRequest {
            repository,
            tag,
            context: context.to_owned(),
            dockerfile: Some(dockerfile),
            args: BTreeMap::new(),
            target: None,
            no_cache: seed.build.no_cache.unwrap_or(false),
            context_at: if build_at.has("context") { build_at.key("context") } else { at.key("dockerfile") },
            dockerfile_at: at.key("dockerfile"),
        };
        if let Some(build) = self.build(request) {
            draft.image = Image::Build(build);
            draft.spec.image = draft.image.reference();
        }
    }
}

/// The name under which a container finds its host.
const HOST: &str = "host.docker.internal";

/// The address of the orchestrator as tasks reach it: that of the deployment's own one, else the daemon's.
pub(super) fn orchestrator_peer(raw: Option<&Orchestrator>, settings: &Settings) -> String {
    let Some(raw) = raw else {
        return settings.orchestrator.clone().unwrap_or_else(|| format!("{HOST}:{ORCHESTRATOR_PORT}"));
    };
    let host =
        raw.common.hostname.as_ref().map(|name| name.0.clone()).or_else(|| raw.id.as_ref().map(|id| id.0.clone()));
    let port = raw.address.as_ref().map_or(ORCHESTRATOR_PORT, |address| address.0.1);
    format!("{}:{port}", host.unwrap_or_else(|| "orchestrator".to_owned()))
}

/// Lets a task find its host, when it is told to look for its orchestrator there.
fn find_host<'p>(draft: &mut Draft<'_>, peer: &'p str) -> Cow<'p, str> {
    match (peer.strip_prefix(HOST), draft.spec.network_mode.as_deref()) {
        (Some(port), Some("host")) => Cow::Owned(format!("127.0.0.1{port}")),
        (Some(_), None) => {
            let line = format!("{HOST}:host-gateway");
            draft.set_entry(K::ExtraHost, &line, draft.at.key("id"));
            draft.spec.extra_hosts.insert(line);
            Cow::Borrowed(peer)
        }
        _ => Cow::Borrowed(peer),
    }
}

/// Publishes a port under the same number, unless `ports` publishes it already.
fn publish(draft: &mut Draft<'_>, number: u16, at: Cursor<'_>) {
    let binding =
        PortBinding { container_port: number, protocol: Protocol::Tcp, host_ip: None, host_port: Some(number) };
    let there = draft.spec.ports.iter().any(|port| port.container_port == number && port.protocol == Protocol::Tcp);
    if !there && draft.spec.network_mode.is_none() {
        draft.set_entry(K::Port, &format!("{number}/tcp"), at);
        draft.spec.ports.insert(binding);
    }
}

fn default_env(draft: &mut Draft<'_>) {
    for (name, value) in [("DOCKER_CONTAINER", "true"), ("TZ", "UTC")] {
        draft.spec.env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
}

/// Raises a limit unless the file sets it.
fn allow(draft: &mut Draft<'_>, name: &str, value: i64, at: Cursor<'_>) {
    if !draft.spec.ulimits.contains_key(name) {
        draft.spans.insert(Field::of(K::Ulimit, name), at.place().span);
        draft.spec.ulimits.insert(name.to_owned(), Ulimit { soft: value, hard: value });
    }
}

/// Whether a set of CPUs (`0-2,4`) has a CPU.
fn contains_cpu(cpuset: &str, cpu: u32) -> bool {
    cpuset.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&cpu))
    })
}
