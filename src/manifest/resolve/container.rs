//! The settings that services, tasks and the orchestrator share.

use super::Context;
use super::entries::is_env_name;
use super::service::{Draft, Wait};
use crate::manifest::conform::nearest;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::common::{Common, ExtraHosts};
use crate::manifest::raw::forms;
use crate::manifest::raw::service::{
    Capabilities, ConditionName, Config, DependsOn, DependsOnEntry, MountKind, Networks, OnChange as RawOnChange,
    OnChangeName, PortEntry, ProtocolName, Resources as RawResources, StartOrder, TmpfsEntry, UlimitValue, VolumeEntry,
};
use crate::manifest::raw::text::{OneOrMany, Pairs, Text};
use crate::manifest::raw::units::{Capability, DeviceText, ExtraHost};
use crate::model::{
    Attachment, Condition, ConfigFile, FieldKind as K, Logging, Mount, OnChange, Order, PortBinding, Protocol, Ulimit,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The limits that the kernel knows.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Context<'_> {
    /// Fills a draft from the common keys, apart from the image.
    pub(crate) fn common(&mut self, draft: &mut Draft<'_>, common: Common) {
        let at = draft.at;
        self.process(draft, &common);
        if let Some(command) = common.command {
            draft.set(K::Command, at.key("command"));
            draft.spec.command = Some(self.words(command, at.key("command")));
        }
        if let Some(entrypoint) = common.entrypoint {
            draft.set(K::Entrypoint, at.key("entrypoint"));
            draft.spec.entrypoint = Some(self.words(entrypoint, at.key("entrypoint")));
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
                    format!("the label `{name}` belongs to setpoint"),
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
        let text = |value: &Option<Text>| value.as_ref().map(|text| text.0.clone());
        draft.container_name = common.container_name.as_ref().map(|name| name.0.clone());
        draft.replicas = common.replicas.unwrap_or(1);
        draft.order = common.order.map(order);
        draft.restart_given = common.restart.is_some();
        let spec = &mut draft.spec;
        spec.restart = common.restart.as_ref().map_or(crate::model::Restart::UnlessStopped, |policy| policy.0);
        spec.user = text(&common.user);
        spec.working_dir = text(&common.working_dir);
        spec.hostname = common.hostname.as_ref().map(|name| name.0.clone());
        spec.domainname = common.domainname.as_ref().map(|name| name.0.clone());
        spec.privileged = common.privileged.unwrap_or(false);
        spec.read_only = common.read_only.unwrap_or(false);
        spec.init = common.init.unwrap_or(false);
        spec.tty = common.tty.unwrap_or(false);
        spec.stdin_open = common.stdin_open.unwrap_or(false);
        spec.stop_signal = common.stop_signal.as_ref().map(|signal| signal.0.clone());
        spec.stop_grace = common.stop_grace_period.as_ref().map(|grace| grace.0);
        spec.pid_mode = text(&common.pid);
        spec.ipc_mode = text(&common.ipc);
        spec.shm_size = common.shm_size.as_ref().map(|size| size.0);
        spec.logging = common.logging.as_ref().map(|logging| Logging {
            driver: text(&logging.driver).unwrap_or_else(|| "json-file".to_owned()),
            options: owned(logging.options.as_ref()),
        });
        let keys = [
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
        for (kind, key) in keys {
            if at.has(key) {
                draft.set(kind, at.key(key));
            }
        }
        if draft.spec.stop_grace.is_some_and(|grace| grace.subsec_nanos() != 0) {
            let help = "write whole seconds: the engine counts in them";
            self.mistake(
                "wrong-form",
                at.key("stop_grace_period"),
                "`stop_grace_period` is not in whole seconds",
                help,
            );
        }
        let spec = &mut draft.spec;
        spec.dns = common.dns.clone().map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(|ip| ip.0).collect();
        let search = common.dns_search.clone().map(OneOrMany::into_vec).unwrap_or_default();
        spec.dns_search = search.into_iter().map(|text| text.0).collect();
        spec.dns_options = common.dns_options.iter().flatten().map(|text| text.0.clone()).collect();
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
        match common.network_mode.as_ref().map(|mode| mode.0.as_str()) {
            None => {}
            // Docker's own bridge is what no network at all means.
            Some("bridge") => draft.networks = Some(Vec::new()),
            Some(mode) => {
                draft.set(K::NetworkMode, at.key("network_mode"));
                draft.spec.network_mode = Some(mode.to_owned());
            }
        }
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
                draft.spec.env.insert(name, value);
            }
        }
        for (name, value, at) in self.pairs(env, at.key("env")) {
            if !is_env_name(&name) {
                let help = "use a name without `=` and spaces";
                self.mistake("wrong-form", at, format!("`{name}` cannot be the name of a variable"), help);
            }
            draft.set_entry(K::Env, &name, at);
            draft.spec.env.insert(name, value);
        }
    }

    fn ports(&mut self, draft: &mut Draft<'_>, ports: Vec<PortEntry>) {
        for (index, entry) in ports.into_iter().enumerate() {
            let at = draft.at.key("ports").item(index);
            let bindings = match entry {
                PortEntry::Short(ports) => ports.0,
                PortEntry::Long(port) => vec![PortBinding {
                    container_port: port.target.0,
                    protocol: match port.protocol {
                        None | Some(ProtocolName::Tcp) => Protocol::Tcp,
                        Some(ProtocolName::Udp) => Protocol::Udp,
                        Some(ProtocolName::Sctp) => Protocol::Sctp,
                    },
                    host_ip: port.host_ip.map(|ip| ip.0).filter(|ip| ip != "0.0.0.0"),
                    host_port: port.published.map(|port| port.0),
                }],
            };
            for binding in bindings {
                let key = format!("{}/{}", binding.container_port, binding.protocol.as_str());
                draft.set_entry(K::Port, &key, at);
                if !draft.spec.ports.insert(binding) {
                    self.mistake(
                        "duplicate-port",
                        at,
                        format!("`{key}` is published twice alike"),
                        "remove one of the two",
                    );
                }
            }
        }
    }

    fn mounts(&mut self, draft: &mut Draft<'_>, volumes: Vec<VolumeEntry>, tmpfs: Option<OneOrMany<TmpfsEntry>>) {
        for (index, entry) in volumes.into_iter().enumerate() {
            let at = draft.at.key("volumes").item(index);
            let (target, mount) = match entry {
                VolumeEntry::Short(text) => text.0,
                VolumeEntry::Long(volume) => {
                    let read_only = volume.read_only.unwrap_or(false);
                    let mount = match (volume.kind, volume.source) {
                        (Some(MountKind::Tmpfs), None) => Ok(Mount::Tmpfs { size: None, mode: None }),
                        (Some(MountKind::Tmpfs), Some(_)) => {
                            self.mistake("wrong-form", at.key("source"), "a tmpfs has no source", "remove `source`");
                            continue;
                        }
                        (_, None) => {
                            let help = "add `source`: the name of a volume, or an absolute path of the host";
                            self.mistake("missing-key", at, "this mount lacks `source`", help);
                            continue;
                        }
                        (_, Some(source)) => forms::bind_or_volume(&source.0, read_only, None),
                    };
                    let mount = match (mount, volume.kind) {
                        (Err(error), _) => {
                            self.mistake("wrong-form", at.key("source"), error.message, error.help);
                            continue;
                        }
                        (Ok(Mount::Bind { .. }), Some(MountKind::Volume))
                        | (Ok(Mount::Volume { .. }), Some(MountKind::Bind)) => {
                            let help = "a bind has an absolute path of the host as `source`, a volume a name";
                            self.mistake(
                                "wrong-form",
                                at.key("type"),
                                "`type` and `source` contradict each other",
                                help,
                            );
                            continue;
                        }
                        (Ok(mount), _) => mount,
                    };
                    (volume.target.0, mount)
                }
            };
            self.mount(draft, target, mount, at);
        }
        for (index, entry) in tmpfs.map(OneOrMany::into_vec).unwrap_or_default().into_iter().enumerate() {
            let at = draft.at.key("tmpfs").item(index);
            let (target, mount) = match entry {
                TmpfsEntry::Short(text) => text.0,
                TmpfsEntry::Long(spec) => {
                    let mount = Mount::Tmpfs { size: spec.size.map(|size| size.0), mode: spec.mode.map(|mode| mode.0) };
                    (spec.target.0, mount)
                }
            };
            self.mount(draft, target, mount, at);
        }
    }

    fn mount(&mut self, draft: &mut Draft<'_>, target: String, mount: Mount, at: Cursor<'_>) {
        draft.set_entry(K::Volume, &target, at);
        if draft.spec.mounts.contains_key(&target) {
            let message = format!("something is mounted at `{target}` already");
            self.mistake("duplicate-target", at, message, "give one of the two another path");
        }
        draft.spec.mounts.insert(target, mount);
    }

    fn configs(&mut self, draft: &mut Draft<'_>, configs: Vec<Config>) {
        for (index, config) in configs.into_iter().enumerate() {
            let at = draft.at.key("configs").item(index);
            let target = config.target.0;
            draft.set_entry(K::Config, &target, at);
            if draft.spec.configs.contains_key(&target) || draft.spec.mounts.contains_key(&target) {
                let message = format!("something is placed at `{target}` already");
                self.mistake("duplicate-target", at.key("target"), message, "give one of the two another path");
            }
            let Some((source, entry)) = self.file(&config.file.0, "config file", at.key("file")) else { continue };
            let Some(content) = &entry.content else { continue };
            let file = ConfigFile {
                source,
                oid: entry.oid.clone(),
                content: Arc::clone(content),
                mode: config.mode.map_or(0o444, |mode| mode.0),
                uid: config.uid.unwrap_or(0),
                gid: config.gid.unwrap_or(0),
                on_change: match config.on_change {
                    None | Some(RawOnChange::Plain(OnChangeName::Recreate)) => OnChange::Recreate,
                    Some(RawOnChange::Plain(OnChangeName::Restart)) => OnChange::Restart,
                    Some(RawOnChange::Plain(OnChangeName::None)) => OnChange::Nothing,
                    Some(RawOnChange::Signal(signal)) => OnChange::Signal(signal.signal.0),
                },
            };
            draft.spec.configs.insert(target, file);
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
        draft.waits.extend(waits);
    }

    fn ulimits(&mut self, draft: &mut Draft<'_>, ulimits: BTreeMap<String, UlimitValue>) {
        for (name, value) in ulimits {
            let at = draft.at.key("ulimits").key(&name);
            let key = draft.at.key("ulimits").name(&name);
            if !ULIMITS.contains(&name.as_str()) {
                let help = match nearest(&name, ULIMITS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the limits are {}", ULIMITS.join(", ")),
                };
                self.mistake("unknown-ulimit", key, format!("`{name}` is not a limit of a process"), help);
            }
            let limit = match value {
                UlimitValue::Both(limit) => Ulimit { soft: limit.0, hard: limit.0 },
                UlimitValue::Split(split) => Ulimit { soft: split.soft.0, hard: split.hard.0 },
            };
            if limit.hard >= 0 && (limit.soft > limit.hard || limit.soft < 0) {
                let help = "lower `soft` or raise `hard`";
                self.mistake(
                    "impossible-resources",
                    at,
                    format!("the soft limit `{name}` is above the hard one"),
                    help,
                );
            }
            if draft.spec.ulimits.contains_key(&name) {
                let help = "keep one of the two";
                self.mistake("duplicate-key", key, "`memlock` is set under `resources` as well".to_owned(), help);
            }
            draft.set_entry(K::Ulimit, &name, at);
            draft.spec.ulimits.insert(name, limit);
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

fn resources_of(draft: &mut Draft<'_>, raw: &RawResources) {
    let at = draft.at.key("resources");
    let limits = &mut draft.spec.resources;
    limits.nano_cpus = raw.cpu.as_ref().map(|cpus| cpus.0);
    limits.memory = raw.memory.as_ref().map(|size| size.0);
    limits.memory_reservation = raw.memory_reservation.as_ref().map(|size| size.0);
    limits.memory_swap = raw.memory_swap.as_ref().map(|size| size.0);
    limits.pids = raw.pids;
    limits.cpuset = raw.cpuset.as_ref().map(|set| set.0.clone());
    limits.cpu_shares = raw.cpu_shares;
    let keys = [
        (K::Cpu, "cpu"),
        (K::Memory, "memory"),
        (K::MemoryReservation, "memory_reservation"),
        (K::MemorySwap, "memory_swap"),
        (K::Pids, "pids"),
        (K::Cpuset, "cpuset"),
        (K::CpuShares, "cpu_shares"),
    ];
    for (kind, key) in keys {
        if at.has(key) {
            draft.set(kind, at.key(key));
        }
    }
    if let Some(memlock) = &raw.memlock {
        draft.set_entry(K::Ulimit, "memlock", at.key("memlock"));
        draft.spec.ulimits.insert("memlock".to_owned(), Ulimit { soft: memlock.0, hard: memlock.0 });
    }
}

fn devices(draft: &mut Draft<'_>, devices: Vec<DeviceText>) {
    for (index, device) in devices.into_iter().enumerate() {
        draft.set_entry(K::Device, &device.0.container, draft.at.key("devices").item(index));
        draft.spec.devices.insert(device.0);
    }
}

fn capabilities(
    draft: &mut Draft<'_>,
    capabilities: Option<Capabilities>,
    add: Option<Vec<Capability>>,
    drop: Option<Vec<Capability>>,
) {
    let at = draft.at;
    let both = at.key("capabilities");
    let (first_add, add_at, first_drop) = match capabilities {
        None => (Vec::new(), both, Vec::new()),
        Some(Capabilities::Add(add)) => (add, both, Vec::new()),
        Some(Capabilities::Split(split)) => {
            (split.add.unwrap_or_default(), both.key("add"), split.drop.unwrap_or_default())
        }
    };
    let adds = [(first_add, add_at), (add.unwrap_or_default(), at.key("cap_add"))];
    let drops = [(first_drop, both.key("drop")), (drop.unwrap_or_default(), at.key("cap_drop"))];
    for (list, at) in adds {
        for (index, name) in list.into_iter().enumerate() {
            draft.set_entry(K::CapAdd, &name.0, at.item(index));
            draft.spec.cap_add.insert(name.0);
        }
    }
    for (list, at) in drops {
        for (index, name) in list.into_iter().enumerate() {
            draft.set_entry(K::CapDrop, &name.0, at.item(index));
            draft.spec.cap_drop.insert(name.0);
        }
    }
}
