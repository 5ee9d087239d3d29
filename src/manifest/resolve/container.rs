//! The settings that services, tasks and the orchestrator share.

use super::Resolver;
use super::entries::is_env_name;
use super::limits::{capabilities, devices, resources_of};
use super::service::{Draft, Wait};
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::common::{Common, ExtraHosts};
use crate::manifest::raw::service::{ConditionName, DependsOn, DependsOnEntry, Networks, StartOrder};
use crate::manifest::raw::text::{OneOrMany, Pairs, Text};
use crate::manifest::raw::units::ExtraHost;
use crate::model::{Attachment, Condition, Field, FieldKind as K, Logging, Order, reserved_suffix};
use std::collections::BTreeMap;

/// The fields with a single value, and the keys that set them.
const SINGLE_VALUES: [(K, &str); 20] = [
    (K::Name, "container_name"),
    (K::Restart, "restart"),
    (K::User, "user"),
    (K::WorkingDir, "working_dir"),
    (K::Hostname, "hostname"),
    (K::Domainname, "domainname"),
    (K::Privileged, "privileged"),
    (K::ReadOnly, "read_only"),
    (K::Init, "init"),
    (K::Tty, "tty"),
    (K::StdinOpen, "stdin_open"),
    (K::StopSignal, "stop_signal"),
    (K::StopGrace, "stop_grace_period"),
    (K::PidMode, "pid"),
    (K::IpcMode, "ipc"),
    (K::ShmSize, "shm_size"),
    (K::Logging, "logging"),
    (K::Dns, "dns"),
    (K::DnsSearch, "dns_search"),
    (K::DnsOption, "dns_options"),
];

impl Resolver<'_> {
    /// Fills a draft from the common keys, apart from the image.
    pub(crate) fn common(&mut self, draft: &mut Draft<'_>, common: Common) {
        let at = draft.at;
        self.process(draft, &common);
        if let Some(command) = common.command {
            draft.set(K::Command, at.key("command"));
            // An empty command is the image's: no engine runs none instead.
            draft.spec.command = Some(self.words(command, at.key("command"))).filter(|words| !is_blank(words));
        }
        if let Some(entrypoint) = common.entrypoint {
            draft.set(K::Entrypoint, at.key("entrypoint"));
            // An empty entrypoint takes the image's away, however it is written.
            let words = self.words(entrypoint, at.key("entrypoint"));
            draft.spec.entrypoint = Some(if is_blank(&words) { Vec::new() } else { words });
        }
        self.env(draft, common.env, common.env_file);
        self.ports(draft, common.ports.unwrap_or_default());
        self.mounts(draft, common.volumes.unwrap_or_default(), common.tmpfs);
        self.configs(draft, common.configs.unwrap_or_default());
        self.attachments(draft, common.networks);
        for (name, value, at) in self.pairs(common.labels, at.key("labels")) {
            if name.starts_with("dev.setpoint.") {
                self.mistake(
                    "reserved-label",
                    at,
                    format!("the label `{name}` is reserved for setpoint"),
                    "choose another name",
                );
            }
            draft.set_entry(K::Label, &name, at);
            draft.spec.labels.insert(name, value);
        }
        self.depends(draft, common.depends_on);
        if let Some(resources) = common.resources {
            resources_of(draft, &resources);
        }
        self.ulimits(draft, common.ulimits.unwrap_or_default());
        devices(draft, common.devices.unwrap_or_default());
        for (name, value, at) in self.pairs(common.sysctls, at.key("sysctls")) {
            draft.set_entry(K::Sysctl, &name, at);
            draft.spec.sysctls.insert(name, value);
        }
        capabilities(draft, common.capabilities, common.cap_add, common.cap_drop);
        if let Some(check) = common.healthcheck {
            self.health(draft, check);
        }
        self.hosts(draft, common.extra_hosts);
    }

    /// Everything with a single value.
    fn process(&mut self, draft: &mut Draft<'_>, common: &Common) {
        let at = draft.at;
        let text = |value: &Option<Text>| value.as_ref().map(|text| text.0.clone()).filter(|text| !text.is_empty());
        draft.container_name = common.container_name.as_ref().map(|name| name.0.clone());
        if let Some(suffix) = draft.container_name.as_deref().and_then(reserved_suffix) {
            let message = format!("a container name must not end in `{suffix}`");
            let help = "choose another name; setpoint uses this ending while it replaces a container";
            self.mistake("reserved-name", at.key("container_name"), message, help);
        }
        draft.replicas = common.replicas.unwrap_or(1);
        draft.order = common.order.map(order);
        draft.restart_given = common.restart.is_some();
        let spec = &mut draft.spec;
        spec.restart = common.restart.as_ref().map_or(crate::model::Restart::UnlessStopped, |policy| policy.0);
        spec.user = text(&common.user);
        spec.working_dir = text(&common.working_dir).map(|path| clean_path(&path));
        spec.hostname = common.hostname.as_ref().map(|name| name.0.clone());
        spec.domainname = common.domainname.as_ref().map(|name| name.0.clone());
        spec.privileged = common.privileged.unwrap_or(false);
        spec.read_only = common.read_only.unwrap_or(false);
        spec.init = common.init.unwrap_or(false);
        spec.tty = common.tty.unwrap_or(false);
        spec.stdin_open = common.stdin_open.unwrap_or(false);
        spec.stop_signal = common.stop_signal.as_ref().map(|signal| signal.0.clone());
        spec.stop_grace = common.stop_grace_period.as_ref().map(|grace| grace.0);
        spec.pid_mode = common.pid.as_ref().map(|mode| mode.0.clone());
        // The engine's default is what an absent value means.
        spec.ipc_mode = common.ipc.as_ref().map(|mode| mode.0.clone()).filter(|mode| mode != "private");
        spec.shm_size = common.shm_size.as_ref().map(|size| size.0).filter(|size| *size > 0);
        spec.logging = common.logging.as_ref().map(|logging| Logging {
            driver: text(&logging.driver).unwrap_or_else(|| "json-file".to_owned()),
            options: owned(logging.options.as_ref()),
        });
        for (kind, key) in SINGLE_VALUES {
            if at.has(key) {
                draft.set(kind, at.key(key));
            }
        }
        if draft.spec.stop_grace.is_some_and(|grace| grace.subsec_nanos() != 0) {
            let help = "write whole seconds: the engine has no smaller unit";
            self.mistake(
                "wrong-form",
                at.key("stop_grace_period"),
                "`stop_grace_period` is not a number of whole seconds",
                help,
            );
        }
        name_servers(draft, common);
        security(draft, common);
        network_mode(draft, common);
    }

    fn env(&mut self, draft: &mut Draft<'_>, env: Option<Pairs>, files: Option<OneOrMany<Text>>) {
        let at = draft.at;
        for (index, path) in files.map(OneOrMany::into_vec).unwrap_or_default().into_iter().enumerate() {
            let at = at.key("env_file").item(index);
            let Some((path, entry)) = self.file(&path.0, "env file", at) else { continue };
            let Some(text) = entry.content.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
                self.mistake("not-utf8", at, format!("the env file `{path}` is not UTF-8"), "save it as UTF-8");
                continue;
            };
            for (name, value) in self.env_file(text, &path, at) {
                draft.set_entry(K::Env, &name, at);
                draft.hidden.insert(Field::of(K::Env, name.clone()));
                draft.spec.env.insert(name, value);
            }
            self.env_files.insert(path);
        }
        for (name, value, at) in self.pairs(env, at.key("env")) {
            if !is_env_name(&name) {
                let help = "use a name without `=` and spaces";
                self.mistake("wrong-form", at, format!("`{name}` cannot be the name of a variable"), help);
            }
            draft.set_entry(K::Env, &name, at);
            draft.hidden.remove(&Field::of(K::Env, name.clone()));
            draft.spec.env.insert(name, value);
        }
    }

    fn attachments<'a>(&mut self, draft: &mut Draft<'a>, networks: Option<Networks>) {
        let at = draft.at.key("networks");
        let Some(networks) = networks else { return };
        let list: Vec<(String, Attachment, Cursor<'a>)> = match networks {
            Networks::List(names) => {
                let one = |(index, name): (usize, crate::manifest::raw::units::Name)| {
                    (name.0, Attachment::default(), at.item(index))
                };
                names.into_iter().enumerate().map(one).collect()
            }
            Networks::Map(map) => {
                let one = |(name, settings): (String, Option<crate::manifest::raw::service::NetworkAttachment>)| {
                    let settings = settings.unwrap_or_default();
                    let attachment = Attachment {
                        aliases: settings.aliases.unwrap_or_default().into_iter().map(|alias| alias.0).collect(),
                        ipv4: settings.ipv4_address.map(|ip| ip.0),
                        ipv6: settings.ipv6_address.map(|ip| ip.0),
                    };
                    let at = at.name(&name);
                    (name, attachment, at)
                };
                map.into_iter().map(one).collect()
            }
        };
        draft.networks = Some(list);
    }

    fn depends(&mut self, draft: &mut Draft<'_>, depends: Option<DependsOn>) {
        let at = draft.at.key("depends_on");
        let waits = match depends {
            None => return,
            Some(DependsOn::One(target)) => vec![Wait { target: target.0, condition: Condition::Started, at }],
            Some(DependsOn::List(list)) => list
                .into_iter()
                .enumerate()
                .map(|(index, target)| Wait { target: target.0, condition: Condition::Started, at: at.item(index) })
                .collect(),
            Some(DependsOn::Map(map)) => map
                .into_iter()
                .map(|(target, entry)| {
                    let name = match entry {
                        DependsOnEntry::Name(name) => name,
                        DependsOnEntry::Spec(spec) => spec.condition,
                    };
                    let condition = match name {
                        ConditionName::Started | ConditionName::ServiceStarted => Condition::Started,
                        ConditionName::Healthy | ConditionName::ServiceHealthy => Condition::Healthy,
                        ConditionName::Completed | ConditionName::ServiceCompletedSuccessfully => Condition::Completed,
                    };
                    let at = at.name(&target);
                    Wait { target, condition, at }
                })
                .collect(),
        };
        for wait in waits {
            if draft.waits.iter().any(|other| other.target == wait.target) {
                let message = format!("the dependency `{}` is given twice", wait.target);
                self.mistake("duplicate-key", wait.at, message, "remove one of the two");
            }
            draft.waits.push(wait);
        }
    }

    fn hosts(&mut self, draft: &mut Draft<'_>, hosts: Option<ExtraHosts>) {
        let at = draft.at.key("extra_hosts");
        let lines: Vec<(String, Cursor<'_>)> = match hosts {
            None => Vec::new(),
            Some(ExtraHosts::List(list)) => {
                list.into_iter().enumerate().map(|(index, line)| (line.0, at.item(index))).collect()
            }
            Some(ExtraHosts::Map(map)) => {
                let mut lines = Vec::new();
                for (name, address) in map {
                    match ExtraHost::try_from(format!("{name}:{}", address.0)) {
                        Ok(line) => lines.push((line.0, at.key(&name))),
                        Err(error) => self.mistake("wrong-form", at.key(&name), error.message, error.help),
                    }
                }
                lines
            }
        };
        for (line, at) in lines {
            draft.set_entry(K::ExtraHost, &line, at);
            draft.spec.extra_hosts.insert(line);
        }
    }
}

fn name_servers(draft: &mut Draft<'_>, common: &Common) {
    let spec = &mut draft.spec;
    spec.dns = common.dns.clone().map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(|ip| ip.0).collect();
    let search = common.dns_search.clone().map(OneOrMany::into_vec).unwrap_or_default();
    spec.dns_search = search.into_iter().map(|text| text.0).collect();
    spec.dns_options = common.dns_options.iter().flatten().map(|text| text.0.clone()).collect();
}

fn security(draft: &mut Draft<'_>, common: &Common) {
    let at = draft.at;
    for (index, option) in common.security_opt.iter().flatten().enumerate() {
        // Docker took `name:value` before `name=value`, and reports the latter.
        let option = option.0.replacen("seccomp:", "seccomp=", 1).replacen("apparmor:", "apparmor=", 1);
        draft.set_entry(K::SecurityOpt, &option, at.key("security_opt").item(index));
        draft.spec.security_opt.insert(option);
    }
    for (index, group) in common.group_add.iter().flatten().enumerate() {
        draft.set_entry(K::GroupAdd, &group.0, at.key("group_add").item(index));
        draft.spec.group_add.insert(group.0.clone());
    }
}

fn network_mode(draft: &mut Draft<'_>, common: &Common) {
    match common.network_mode.as_ref().map(|mode| mode.0.as_str()) {
        None => {}
        // Docker's own bridge is what no network at all means.
        Some("bridge") => draft.networks = Some(Vec::new()),
        Some(mode) => {
            draft.set(K::NetworkMode, draft.at.key("network_mode"));
            draft.spec.network_mode = Some(mode.to_owned());
        }
    }
}

/// The model's word for when a new container starts.
pub(super) fn order(order: StartOrder) -> Order {
    match order {
        StartOrder::Auto => Order::Auto,
        StartOrder::StartFirst => Order::StartFirst,
        StartOrder::StopFirst => Order::StopFirst,
    }
}

/// A map of texts.
pub(super) fn owned(map: Option<&BTreeMap<String, Text>>) -> BTreeMap<String, String> {
    map.into_iter().flatten().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

/// Words that say nothing: none, or a single empty one.
fn is_blank(words: &[String]) -> bool {
    words.iter().all(String::is_empty)
}

/// A path in a container as the engine writes it down: without `.`, `..`, double and trailing slashes.
fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}
