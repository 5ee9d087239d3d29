//! From what Docker reports to our vocabulary.

use super::{health as healthcheck, mounts, resources};
use crate::engine::docker::defaults::Defaults;
use crate::engine::docker::labels::{self, Ours};
use crate::model::{
    Address, Attachment, Container, ContainerId, ContainerSpec, Device, Field, FieldKind, Health, Logging, PortBinding,
    Protocol, Status, Timestamp, Ulimit, digest,
};
use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings, HealthStatusEnum, HostConfig, PortMap, PortSummaryTypeEnum,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// Docker's default size of /dev/shm.
const SHM_SIZE: u64 = 64 << 20;

/// A container in full. `None` if the engine did not report its id.
pub(in super::super) fn container(inspect: ContainerInspectResponse, defaults: &Defaults) -> Option<Container> {
    let id = ContainerId::new(inspect.id.clone()?);
    let none = HashMap::new();
    let labels = inspect.config.as_ref().and_then(|config| config.labels.as_ref()).unwrap_or(&none);
    let ours = labels::read(labels);
    let networks = inspect.network_settings.as_ref().and_then(|settings| settings.networks.clone()).unwrap_or_default();
    let state = inspect.state.clone().unwrap_or_default();
    let addresses = networks.iter().filter_map(|(name, endpoint)| Some((name.clone(), address(endpoint)?))).collect();
    let ports = inspect.network_settings.as_ref().and_then(|settings| settings.ports.as_ref());
    let published = ports.map(published).unwrap_or_default();
    let mut spec = spec(&inspect, &ours, &id, &networks, defaults);
    let anonymous_volumes = anonymous_volumes(&inspect, &ours, &mut spec);
    Some(Container {
        anonymous_volumes,
        name: inspect.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        owner: ours.owner,
        instance: ours.instance,
        revision: ours.revision,
        applied: ours.applied,
        needs: ours.needs,
        image_id: inspect.image.unwrap_or_default(),
        status: status(&state),
        health: health(&state),
        restart_count: inspect.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        started_at: state.started_at.as_deref().and_then(time),
        addresses,
        published,
        spec,
        id,
    })
}

/// The address of an endpoint: the IPv4 address if it has one.
fn address(endpoint: &EndpointSettings) -> Option<Address> {
    let of = |ip: &Option<String>, prefix: Option<i64>| {
        Some(Address { ip: ip.as_deref()?.parse().ok()?, prefix: u8::try_from(prefix?).ok()? })
    };
    of(&endpoint.ip_address, endpoint.ip_prefix_len)
        .or_else(|| of(&endpoint.global_ipv6_address, endpoint.global_ipv6_prefix_len))
}

/// Where TCP ports are published, by container port; the first place of each.
fn published(ports: &PortMap) -> BTreeMap<u16, SocketAddr> {
    let mut all = BTreeMap::new();
    for (port, bindings) in ports {
        let Some(port) = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else { continue };
        let place = |binding: &bollard::models::PortBinding| {
            let ip = binding.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
            Some(SocketAddr::new(ip.parse().ok()?, binding.host_port.as_deref()?.parse().ok()?))
        };
        if let Some(place) = bindings.iter().flatten().find_map(place) {
            all.insert(port, place);
        }
    }
    all
}

/// The anonymous volumes: those that were carried over from the previous container, and those that the engine created for the
/// image. The former are among the requested mounts, and are removed from them.
fn anonymous_volumes(
    inspect: &ContainerInspectResponse,
    ours: &Ours,
    spec: &mut ContainerSpec,
) -> BTreeMap<String, String> {
    spec.mounts.retain(|target, _| !ours.carried.contains_key(target));
    let mounted = inspect.mounts.iter().flatten().filter(|mount| mount.typ.as_deref() == Some("volume"));
    let volumes = mounted.filter_map(|mount| Some((mount.destination.clone()?, non_empty(mount.name.clone())?)));
    let undeclared = volumes.filter(|(target, _)| {
        !spec.mounts.contains_key(target.trim_end_matches('/')) && !spec.mounts.contains_key(target)
    });
    ours.carried.clone().into_iter().chain(undeclared).collect()
}

/// A container of others, from the list alone: name, image and published ports.
pub(in super::super) fn foreign(summary: ContainerSummary) -> Option<Container> {
    let id = ContainerId::new(summary.id?);
    let ours = labels::read(&summary.labels.unwrap_or_default());
    let name = summary.names.unwrap_or_default().into_iter().find(|name| name.matches('/').count() == 1);
    let mut spec = ContainerSpec { image: summary.image.unwrap_or_default(), ..Default::default() };
    for port in summary.ports.unwrap_or_default() {
        let Some(host_port) = port.public_port else { continue };
        let protocol = match port.typ {
            Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
            Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        let host_ip = port.ip.filter(|ip| !is_any(ip));
        let host_port = Some(host_port);
        spec.ports.insert(PortBinding { container_port: port.private_port, protocol, host_ip, host_port });
    }
    Some(Container {
        id,
        name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
        owner: ours.owner,
        instance: ours.instance,
        revision: ours.revision,
        applied: BTreeMap::new(),
        needs: Vec::new(),
        anonymous_volumes: BTreeMap::new(),
        image_id: summary.image_id.unwrap_or_default(),
        status: match summary.state {
            Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::STOPPING) => Status::Running,
            Some(ContainerSummaryStateEnum::PAUSED) => Status::Paused,
            Some(ContainerSummaryStateEnum::RESTARTING) => Status::Restarting,
            Some(ContainerSummaryStateEnum::REMOVING) => Status::Removing,
            Some(ContainerSummaryStateEnum::DEAD) => Status::Dead,
            Some(ContainerSummaryStateEnum::EXITED) => Status::Exited { code: 0, oom: false },
            Some(ContainerSummaryStateEnum::CREATED | ContainerSummaryStateEnum::EMPTY) | None => Status::Created,
        },
        health: Health::Unchecked,
        restart_count: 0,
        started_at: None,
        addresses: BTreeMap::new(),
        published: BTreeMap::new(),
        spec,
    })
}

/// The status of a container.
fn status(state: &ContainerState) -> Status {
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => Status::Running,
        Some(ContainerStateStatusEnum::PAUSED) => Status::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => Status::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => Status::Removing,
        Some(ContainerStateStatusEnum::EXITED) => {
            Status::Exited { code: state.exit_code.unwrap_or(0), oom: state.oom_killed.unwrap_or(false) }
        }
        Some(ContainerStateStatusEnum::DEAD) => Status::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => Status::Created,
    }
}

/// The result of the engine's own health check.
fn health(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) => Health::Unchecked,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
    }
}

/// `KEY=value` lines as a map; a line without a value unsets a variable and is left out.
pub(in super::super) fn env_map(lines: Option<&Vec<String>>) -> BTreeMap<String, String> {
    let pairs = lines.into_iter().flatten().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Docker writes an absent text as an empty one.
pub(in super::super) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Docker writes «never» as the year 1.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at: &Timestamp| at.as_second() > 0)
}

fn spec(
    inspect: &ContainerInspectResponse,
    ours: &Ours,
    id: &ContainerId,
    networks: &HashMap<String, EndpointSettings>,
    defaults: &Defaults,
) -> ContainerSpec {
    let (config, host) = (inspect.config.clone().unwrap_or_default(), inspect.host_config.clone().unwrap_or_default());
    // A value that equals the engine's default counts only where it was written down at creation.
    let written = |key: &str| ours.applied.contains_key(key);
    let network_mode = network_mode(&host);
    let mut spec = ContainerSpec {
        image: config.image.clone().unwrap_or_default(),
        entrypoint: config.entrypoint.clone().filter(|words| !words.is_empty()),
        command: config.cmd.clone().filter(|words| !words.is_empty()),
        env: env_map(config.env.as_ref()),
        labels: config.labels.as_ref().map(labels::others).unwrap_or_default(),
        user: non_empty(config.user.clone()),
        working_dir: non_empty(config.working_dir.clone()),
        hostname: hostname(&config, network_mode.as_deref(), id, written("hostname")),
        domainname: non_empty(config.domainname.clone()),
        ports: host.port_bindings.as_ref().map(ports).unwrap_or_default(),
        mounts: mounts::read(&host),
        restart: resources::read_restart(host.restart_policy.as_ref()),
        resources: resources::limits(&host, defaults.swap_limit),
        privileged: host.privileged.unwrap_or(false),
        read_only: host.readonly_rootfs.unwrap_or(false),
        init: host.init.unwrap_or(false),
        tty: config.tty.unwrap_or(false),
        stdin_open: config.open_stdin.unwrap_or(false),
        stop_signal: non_empty(config.stop_signal.clone()),
        stop_grace: config.stop_timeout.and_then(|secs| u64::try_from(secs).ok()).map(Duration::from_secs),
        healthcheck: config.healthcheck.as_ref().and_then(healthcheck::read),
        ..Default::default()
    };
    kernel_settings(&mut spec, &host, &written);
    resolver_settings(&mut spec, &host);
    spec.logging = logging(&host, ours, defaults);
    let bridged = is_default_bridge(&host);
    if let Some(mode) = network_mode {
        spec.network_mode = Some(mode);
    } else {
        spec.networks = attachments(networks, id, bridged);
        drop_hostname(&mut spec.networks, config.hostname.as_deref().unwrap_or_default(), ours);
        // The default bridge is only ever disconnected by hand; it cannot be expressed as a missing network.
        if bridged && !networks.contains_key("bridge") && spec.networks.is_empty() {
            spec.network_mode = Some("none".to_owned());
        }
    }
    spec
}

fn kernel_settings(spec: &mut ContainerSpec, host: &HostConfig, written: &dyn Fn(&str) -> bool) {
    for limit in host.ulimits.iter().flatten() {
        let (Some(name), Some(soft), Some(hard)) = (limit.name.clone(), limit.soft, limit.hard) else { continue };
        spec.ulimits.insert(name, Ulimit { soft, hard });
    }
    for device in host.devices.iter().flatten() {
        let Some(path) = device.path_on_host.clone() else { continue };
        let container = non_empty(device.path_in_container.clone()).unwrap_or_else(|| path.clone());
        let permissions = non_empty(device.cgroup_permissions.clone()).unwrap_or_else(|| "rwm".to_owned());
        spec.devices.insert(Device { host: path, container, permissions });
    }
    spec.sysctls = host.sysctls.clone().unwrap_or_default().into_iter().collect();
    spec.cap_add = capabilities(host.cap_add.as_ref());
    spec.cap_drop = capabilities(host.cap_drop.as_ref());
    spec.security_opt = host.security_opt.iter().flatten().cloned().collect();
    spec.group_add = host.group_add.iter().flatten().cloned().collect();
    spec.pid_mode = non_empty(host.pid_mode.clone());
    let usual_ipc = |mode: &String| matches!(mode.as_str(), "private" | "shareable");
    spec.ipc_mode = non_empty(host.ipc_mode.clone()).filter(|mode| written("ipc") || !usual_ipc(mode));
    let shm = host.shm_size.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    spec.shm_size = shm.filter(|bytes| written("shm_size") || *bytes != SHM_SIZE);
    // With the host's namespaces Docker itself switches labelling off.
    let shares_host = |mode: &Option<String>| mode.as_deref().is_some_and(|mode| mode == "host");
    let unlabelled = host.privileged.unwrap_or(false) || shares_host(&spec.pid_mode) || shares_host(&spec.ipc_mode);
    if unlabelled && !written("security_opt label=disable") {
        spec.security_opt.remove("label=disable");
    }
}

fn resolver_settings(spec: &mut ContainerSpec, host: &HostConfig) {
    spec.extra_hosts = host.extra_hosts.iter().flatten().cloned().collect();
    spec.dns = host.dns.clone().unwrap_or_default();
    spec.dns_search = host.dns_search.clone().unwrap_or_default();
    spec.dns_options = host.dns_options.clone().unwrap_or_default();
}

/// By default the host name is the beginning of the id. On the host's network it is the name that the host had when the container
/// was created, which may have changed since.
fn hostname(config: &ContainerConfig, network_mode: Option<&str>, id: &ContainerId, written: bool) -> Option<String> {
    let name = non_empty(config.hostname.clone())?;
    if network_mode.is_some_and(|mode| mode.starts_with("container:")) {
        return None;
    }
    let usual = name == id.short() || network_mode == Some("host");
    (written || !usual).then_some(name)
}

/// The engine adds its own driver and that driver's default options, which it does not report as defaults; a container that was
/// created without the setting counts as having none.
fn logging(host: &HostConfig, ours: &Ours, defaults: &Defaults) -> Option<Logging> {
    let config = host.log_config.clone()?;
    let driver = non_empty(config.typ)?;
    let options: BTreeMap<String, String> = config.config.unwrap_or_default().into_iter().collect();
    let usual = if ours.applied.is_empty() {
        driver == defaults.log_driver && options.is_empty()
    } else {
        !ours.applied.contains_key("logging")
    };
    (!usual).then_some(Logging { driver, options })
}

/// `NET_ADMIN`, however it was written.
fn capabilities(list: Option<&Vec<String>>) -> BTreeSet<String> {
    let plain = |name: &String| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
    };
    list.into_iter().flatten().map(plain).collect()
}

/// The requested ports, not those that the engine chose.
fn ports(map: &PortMap) -> BTreeSet<PortBinding> {
    let mut ports = BTreeSet::new();
    for (key, bindings) in map {
        let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        let protocol = match protocol {
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        let Ok(container_port) = number.parse() else { continue };
        for binding in bindings.iter().flatten() {
            // The engine records what was requested: `::` is a different request than all addresses.
            let host_ip = non_empty(binding.host_ip.clone()).filter(|ip| ip != "0.0.0.0");
            let host_port = binding.host_port.as_deref().and_then(|port| port.parse().ok()).filter(|port| *port > 0);
            ports.insert(PortBinding { container_port, protocol, host_ip, host_port });
        }
    }
    ports
}

fn is_any(ip: &str) -> bool {
    matches!(ip, "0.0.0.0" | "::")
}

/// The modes that exclude networks.
fn network_mode(host: &HostConfig) -> Option<String> {
    let mode = host.network_mode.clone()?;
    (mode == "host" || mode == "none" || mode.starts_with("container:")).then_some(mode)
}

fn is_default_bridge(host: &HostConfig) -> bool {
    matches!(host.network_mode.as_deref(), None | Some("" | "default" | "bridge"))
}

/// The networks it is connected to. Docker adds the short id to the aliases; the fixed address is the requested one, not the
/// current one.
fn attachments(
    networks: &HashMap<String, EndpointSettings>,
    id: &ContainerId,
    bridged: bool,
) -> BTreeMap<String, Attachment> {
    let mut attachments = BTreeMap::new();
    for (name, endpoint) in networks {
        if bridged && name == "bridge" {
            continue;
        }
        let ipam = endpoint.ipam_config.as_ref();
        let aliases = endpoint.aliases.iter().flatten().filter(|alias| *alias != id.short()).cloned().collect();
        let attachment = Attachment {
            aliases,
            ipv4: non_empty(ipam.and_then(|ipam| ipam.ipv4_address.clone())),
            ipv6: non_empty(ipam.and_then(|ipam| ipam.ipv6_address.clone())),
        };
        attachments.insert(name.clone(), attachment);
    }
    attachments
}

/// Docker adds the host name to the aliases when it connects; it counts as an alias only if it was requested as one.
fn drop_hostname(networks: &mut BTreeMap<String, Attachment>, hostname: &str, ours: &Ours) {
    for (name, attachment) in networks {
        if !attachment.aliases.contains(hostname) {
            continue;
        }
        let alone = BTreeMap::from([(name.clone(), attachment.clone())]);
        let fields = ContainerSpec { networks: alone, ..Default::default() }.fields();
        let field = Field::of(FieldKind::Network, name.clone());
        let seen = fields.get(&field).map(|text| digest(text));
        if seen.is_none() || ours.applied.get(&field.to_string()) != seen.as_ref() {
            attachment.aliases.remove(hostname);
        }
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
