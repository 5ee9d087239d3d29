//! A deployment: its networks, volumes, registries, strategy and services.

use super::container::{order, owned};
use super::service::Draft;
use super::settings::{kind, on_failure};
use super::task::{Seed, orchestrator_peer};
use super::{Resolver, identifier, meaning, stem};
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::deployment::{Deployment as Raw, Service as RawService, Strategy as RawStrategy};
use crate::manifest::raw::network::{Gitlab, Network as RawNetwork, Registry as RawRegistry, Volume as RawVolume};
use crate::manifest::suggest::{nearest, unknown};
use crate::model::{
    Attachment, Condition, Deployment, DeploymentName, FieldKind, Mount, Network, Order, Registry, Role, Settings,
    Strategy, StrategyKind, Volume,
};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};

/// A deployment whose services do not yet know the other deployments.
#[derive(Debug)]
pub(crate) struct Resolved<'a> {
    /// The deployment without its services.
    pub deployment: Deployment,
    /// Its services.
    pub drafts: Vec<Draft<'a>>,
    /// Where it is written.
    pub at: Cursor<'a>,
}

/// Resolves a deployment.
pub(crate) fn deployment<'a>(cx: &mut Resolver<'_>, raw: Raw, at: Cursor<'a>, settings: &Settings) -> Resolved<'a> {
    let title = raw.name.as_ref().map_or_else(|| stem(at.source().path()).to_owned(), |name| name.0.clone());
    let name = identifier(&title);
    if name.is_empty() {
        let help = "use letters or digits in the name";
        cx.mistake("wrong-form", at.key("name"), format!("no identifier can be derived from the name `{title}`"), help);
    }
    let seed_form = raw.tasks.is_some() || raw.orchestrator.is_some();
    let strategy = cx.strategy(raw.strategy.as_ref(), at.key("strategy"), settings);
    let default_order = raw.strategy.as_ref().and_then(|strategy| strategy.order).map_or(Order::Auto, order);
    let registries = cx.registries(raw.registries, raw.gitlab.as_ref(), at);
    let gitlab = raw.gitlab.as_ref().filter(|gitlab| gitlab.enabled == Some(true));
    let build = raw.build.clone().unwrap_or_default();
    let seed = Seed { build: &build, gitlab, at };

    let peer = orchestrator_peer(raw.orchestrator.as_ref(), settings);
    let mut drafts = Vec::new();
    let tasks = raw.tasks.unwrap_or_default();
    for (index, task) in tasks.into_iter().enumerate() {
        drafts.push(cx.task(&seed, &name, task, &peer, at.key("tasks").item(index)));
    }
    if let Some(orchestrator) = raw.orchestrator {
        let mut draft = cx.orchestrator(&seed, &name, orchestrator, at.key("orchestrator"));
        let condition = if strategy.wait_for_healthy { Condition::Healthy } else { Condition::Started };
        for task in &drafts {
            if !draft.waits.iter().any(|wait| wait.target == task.id.as_str()) {
                let wait = super::service::Wait { target: task.id.to_string(), condition, at: at.name("orchestrator") };
                draft.waits.push(wait);
            }
        }
        drafts.push(draft);
    }
    for (index, service) in raw.services.unwrap_or_default().into_iter().enumerate() {
        let RawService { id, common } = service;
        let mut draft = Draft::new(&id.0, Role::Service, at.key("services").item(index));
        let (image, build, pull) = (common.image.clone(), common.build.clone(), common.pull_policy);
        cx.common(&mut draft, common);
        cx.image(&mut draft, &name, image, build, pull);
        drafts.push(draft);
    }
    if drafts.is_empty() {
        cx.notice(at, "this deployment runs nothing: it has no `services`, `tasks` or `orchestrator`");
    }
    for draft in &mut drafts {
        draft.order.get_or_insert(default_order);
    }

    let mut networks = Networks::default();
    let default = if seed_form { "grpc_network".to_owned() } else { format!("{name}_default") };
    networks.declare(cx, raw.network, raw.networks, &default, at);
    let volumes = cx.volumes(raw.volumes, &mut drafts, &name, at);
    let networks = networks.attach(cx, &mut drafts, at);
    Resolved {
        deployment: Deployment {
            name: DeploymentName::new(name),
            title,
            description: raw.description.map(|text| text.0),
            at: at.location(),
            networks,
            volumes,
            services: Vec::new(),
            strategy,
            parallel_builds: build.parallel.unwrap_or(true),
            registries,
        },
        drafts,
        at,
    }
}

/// The networks of a deployment while its services join them.
#[derive(Default)]
struct Networks {
    /// By the key that services name.
    declared: BTreeMap<String, Network>,
    default: String,
}

impl Networks {
    fn declare(
        &mut self,
        cx: &mut Resolver<'_>,
        single: Option<RawNetwork>,
        many: Option<BTreeMap<String, Option<RawNetwork>>>,
        default: &str,
        at: Cursor<'_>,
    ) {
        self.default = default.to_owned();
        if let Some(raw) = single {
            let key = raw.name.as_ref().map_or_else(|| default.to_owned(), |name| name.0.clone());
            let network = cx.network(&key, raw, at.key("network"));
            self.default.clone_from(&key);
            self.declared.insert(key, network);
        }
        for (key, raw) in many.into_iter().flatten() {
            let at = at.key("networks").name(&key);
            if self.declared.contains_key(&key) {
                cx.mistake(
                    "duplicate-network",
                    at,
                    format!("the network `{key}` is declared twice"),
                    "keep one of the two",
                );
            }
            let network = cx.network(&key, raw.unwrap_or_default(), at);
            self.declared.insert(key, network);
        }
    }

    /// Connects the services; the networks that are used or declared, by their name on the engine.
    fn attach(mut self, cx: &mut Resolver<'_>, drafts: &mut [Draft<'_>], at: Cursor<'_>) -> BTreeMap<String, Network> {
        for draft in drafts {
            if draft.spec.network_mode.is_some() {
                if let Some((_, _, at)) = draft.networks.as_ref().and_then(|networks| networks.first()) {
                    let help = "keep one of the two";
                    cx.mistake("network-mode", *at, "`networks` and `network_mode` exclude each other", help);
                }
                continue;
            }
            let own: Vec<String> = std::iter::once(draft.id.to_string()).chain(draft.spec.hostname.clone()).collect();
            let wanted = match draft.networks.take() {
                Some(networks) => networks,
                None => {
                    let default = self.default.clone();
                    let implied = || Network { at: at.location(), ..bridge(&default) };
                    self.declared.entry(default.clone()).or_insert_with(implied);
                    vec![(default, Attachment::default(), draft.at)]
                }
            };
            for (key, mut attachment, at) in wanted {
                let Some(network) = self.declared.get(&key) else {
                    let near = nearest(&key, self.declared.keys().map(String::as_str));
                    let help =
                        format!("declare it: `networks: {{{key}: {{}}}}`, with `external: true` if it already exists");
                    let message = format!("there is no network `{key}` in this deployment");
                    cx.add(unknown("unknown-network", at, message, near, &help));
                    continue;
                };
                if draft.replicas > 1 && (attachment.ipv4.is_some() || attachment.ipv6.is_some()) {
                    let help = "remove the address, or set `replicas: 1`";
                    cx.mistake("replicas-clash", at, "several replicas cannot have one fixed address", help);
                }
                attachment.aliases.extend(own.iter().cloned());
                if draft.at.has("networks") {
                    draft.set_entry(FieldKind::Network, &network.name, at);
                }
                if draft.spec.networks.insert(network.name.clone(), attachment).is_some() {
                    cx.mistake(
                        "duplicate-network",
                        at,
                        format!("the network `{key}` is listed twice"),
                        "remove one of the two",
                    );
                }
            }
        }
        self.declared.into_values().map(|network| (network.name.clone(), network)).collect()
    }
}

/// The name of a volume on the engine: volumes of different deployments are different ones.
fn scoped(deployment: &str, key: &str) -> String {
    format!("{deployment}_{key}")
}

fn bridge(name: &str) -> Network {
    Network {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        options: BTreeMap::new(),
        internal: false,
        subnet: None,
        gateway: None,
        labels: BTreeMap::new(),
        external: false,
        at: crate::model::Location { file: "".into(), line: 1, column: 1 },
    }
}

impl Resolver<'_> {
    fn network(&mut self, key: &str, raw: RawNetwork, at: Cursor<'_>) -> Network {
        let external = raw.external.unwrap_or(false);
        for setting in ["driver", "driver_opts", "internal", "subnet", "gateway", "labels"] {
            if external && at.has(setting) {
                let help = "remove it, or remove `external` to have the network created";
                let message = format!("`{setting}` has no effect: an external network is used as it is");
                self.mistake("no-effect", at.name(setting), message, help);
            }
        }
        if raw.gateway.is_some() && raw.subnet.is_none() {
            self.mistake("missing-key", at.key("gateway"), "`gateway` needs `subnet`", "add the subnet that it is in");
        }
        Network {
            name: raw.name.map_or_else(|| key.to_owned(), |name| name.0),
            driver: raw.driver.map_or_else(|| "bridge".to_owned(), |driver| driver.0),
            options: owned(raw.driver_opts.as_ref()),
            internal: raw.internal.unwrap_or(false),
            subnet: raw.subnet.map(|subnet| subnet.0),
            gateway: raw.gateway.map(|gateway| gateway.0),
            labels: self
                .pairs(raw.labels, at.key("labels"))
                .into_iter()
                .map(|(name, value, _)| (name, value))
                .collect(),
            external,
            at: at.location(),
        }
    }

    /// The declared volumes and those that services name without a declaration, by their name on the engine.
    fn volumes(
        &mut self,
        declared: Option<BTreeMap<String, Option<RawVolume>>>,
        drafts: &mut [Draft<'_>],
        deployment: &str,
        at: Cursor<'_>,
    ) -> BTreeMap<String, Volume> {
        let mut by_key: BTreeMap<String, Volume> = BTreeMap::new();
        for (key, raw) in declared.into_iter().flatten() {
            let at = at.key("volumes").name(&key);
            let raw = raw.unwrap_or_default();
            let external = raw.external.unwrap_or(false);
            for setting in ["driver", "driver_opts", "labels"] {
                if external && at.has(setting) {
                    let help = "remove it, or remove `external` to have the volume created";
                    let message = format!("`{setting}` has no effect: an external volume is used as it is");
                    self.mistake("no-effect", at.name(setting), message, help);
                }
            }
            // What exists already is known by the name under which it does.
            let given = raw.name.map(|name| name.0).or_else(|| external.then(|| key.clone()));
            let volume = Volume {
                former: given.is_none().then(|| key.clone()),
                name: given.unwrap_or_else(|| scoped(deployment, &key)),
                driver: raw.driver.map_or_else(|| "local".to_owned(), |driver| driver.0),
                options: owned(raw.driver_opts.as_ref()),
                labels: self
                    .pairs(raw.labels, at.key("labels"))
                    .into_iter()
                    .map(|(name, value, _)| (name, value))
                    .collect(),
                external,
                at: at.location(),
            };
            by_key.insert(key, volume);
        }
        for draft in drafts {
            let spans = &draft.spans;
            let source = draft.at.source();
            for (target, mount) in &mut draft.spec.mounts {
                let Mount::Volume { name, .. } = mount else { continue };
                let at = spans.get(&crate::model::Field::of(FieldKind::Volume, target)).map_or(0, |span| span.start);
                let implied = || Volume {
                    name: scoped(deployment, name),
                    former: Some(name.clone()),
                    driver: "local".to_owned(),
                    options: BTreeMap::new(),
                    labels: BTreeMap::new(),
                    external: false,
                    at: source.location(at),
                };
                let volume = by_key.entry(name.clone()).or_insert_with(implied);
                name.clone_from(&volume.name);
            }
        }
        by_key.into_values().map(|volume| (volume.name.clone(), volume)).collect()
    }

    fn strategy(&mut self, raw: Option<&RawStrategy>, at: Cursor<'_>, settings: &Settings) -> Strategy {
        let raw = raw.cloned().unwrap_or_default();
        let kind = raw.kind.map_or(settings.strategy, kind);
        if kind == StrategyKind::Sequential && raw.max_parallel.is_some_and(|steps| steps > 1) {
            let help = "set `type: parallel`, or remove `max_parallel`";
            self.mistake("no-effect", at.key("max_parallel"), "`max_parallel` has no effect under `sequential`", help);
        }
        Strategy {
            kind,
            max_parallel: match kind {
                StrategyKind::Sequential => 1,
                StrategyKind::Parallel => raw.max_parallel.unwrap_or(settings.max_parallel),
            },
            wait_for_healthy: raw.wait_for_healthy.unwrap_or(settings.wait_for_healthy),
            startup_timeout: raw.startup_timeout.map_or(settings.startup_timeout, |time| time.0),
            stability_window: raw.stability_window.map_or(settings.stability_window, |time| time.0),
            on_failure: raw.on_failure.map_or(settings.on_failure, on_failure),
        }
    }

    fn registries(&mut self, raw: Option<Vec<RawRegistry>>, gitlab: Option<&Gitlab>, at: Cursor<'_>) -> Vec<Registry> {
        let mut registries = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
            let at = at.key("registries").item(index);
            let registry = self.registry(raw, at);
            if !seen.insert((registry.address.clone(), registry.project.clone())) {
                let message = format!("the registry `{}` is listed twice", registry.address);
                let mistake = meaning("duplicate-registry", &at.place(), message);
                self.add(mistake.help("keep one of the two, or give them different values of `project`"));
            }
            registries.push(registry);
        }
        if let Some(gitlab) = gitlab.filter(|gitlab| gitlab.enabled == Some(true)) {
            registries.extend(self.gitlab(gitlab, at.key("gitlab")));
        }
        registries
    }

    /// A registry of the general form.
    pub(super) fn registry(&mut self, raw: RawRegistry, at: Cursor<'_>) -> Registry {
        if raw.username.is_some() != raw.password_env.is_some() {
            let (there, lacking) =
                if raw.username.is_some() { ("username", "password_env") } else { ("password_env", "username") };
            let help = "a login needs both; without them the credentials in Docker's config file are used";
            self.mistake("missing-key", at.key(there), format!("`{there}` needs `{lacking}`"), help);
        }
        Registry {
            address: raw.address.0,
            project: raw.project.map(|project| project.0.trim_matches('/').to_owned()),
            username: raw.username.map(|name| name.0),
            password_env: raw.password_env.map(|name| name.0),
            inline_token: None,
            at: at.location(),
        }
    }

    /// A GitLab registry.
    pub(super) fn gitlab(&mut self, raw: &Gitlab, at: Cursor<'_>) -> Option<Registry> {
        let Some(address) = &raw.registry_url else {
            self.mistake(
                "missing-key",
                at,
                "`gitlab` lacks `registry_url`",
                "add `registry_url: registry.example.org`",
            );
            return None;
        };
        let use_ci = raw.use_ci_token == Some(true);
        let token = raw.access_token.as_ref().map(|token| token.0.as_str()).filter(|token| !token.is_empty());
        if token.is_some() {
            let text = if use_ci {
                "`use_ci_token` takes precedence over `access_token`; remove the token from the file and revoke it"
            } else {
                "this file contains a token, which everyone with access to the repo can read: revoke it, and name an environment variable in `registries` (`password_env`) instead"
            };
            self.notice(at.name("access_token"), text);
        }
        Some(Registry {
            address: address.0.clone(),
            project: raw.project_path.as_ref().map(|path| path.0.trim_matches('/').to_owned()),
            username: Some(raw.username.as_ref().map_or_else(|| "gitlab-ci-token".to_owned(), |name| name.0.clone())),
            password_env: use_ci.then(|| "CI_JOB_TOKEN".to_owned()),
            inline_token: token.filter(|_| !use_ci).map(SecretString::from),
            at: at.location(),
        })
    }
}
