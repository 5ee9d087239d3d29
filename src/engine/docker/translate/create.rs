//! From our settings to the body of Docker's create call.

use super::{health, mounts, resources};
use crate::engine::docker::labels;
use crate::model::{Attachment, ContainerSpec, Mount};
use crate::plan::Launch;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
};
use std::collections::HashMap;

/// The create call of a launch. Engines before API 1.44 take one network at creation: the first one goes in here, the
/// names of the others come back and are connected afterwards.
pub(in super::super) fn create_body(launch: &Launch) -> (ContainerCreateBody, Vec<String>) {
    let spec = &launch.spec;
    let mut names: Vec<String> = spec.networks.keys().cloned().collect();
    // The default bridge supports neither aliases nor fixed addresses: it comes last, so that the mode names another network.
    names.sort_by_key(|name| name == "bridge");
    let first = (!names.is_empty() && spec.network_mode.is_none()).then(|| names.remove(0));
    if spec.network_mode.is_some() {
        names.clear();
    }
    let (exposed, bindings) = ports(spec);
    let networking =
        first.as_ref().and_then(|name| Some((name, spec.networks.get(name)?))).map(|(name, attachment)| {
            NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), endpoint(attachment))])) }
        });
    let body = ContainerCreateBody {
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.clone(),
        exposed_ports: exposed,
        tty: spec.tty.then_some(true),
        open_stdin: spec.stdin_open.then_some(true),
        env: list(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        cmd: spec.command.clone(),
        healthcheck: spec.healthcheck.as_ref().map(health::write),
        image: Some(spec.image.clone()),
        working_dir: spec.working_dir.clone(),
        // The only form of «none» that every engine accepts: an empty list would mean the image's.
        entrypoint: spec.entrypoint.clone().map(|words| if words.is_empty() { vec![String::new()] } else { words }),
        labels: Some(labels::of_launch(launch)),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace.map(|grace| i64::try_from(grace.as_secs()).unwrap_or(i64::MAX)),
        host_config: Some(host_config(launch, first, bindings)),
        networking_config: networking,
        ..Default::default()
    };
    (body, names)
}

/// The settings of a container in a network, in Docker's form.
pub(in super::super) fn endpoint(attachment: &Attachment) -> EndpointSettings {
    let fixed = attachment.ipv4.is_some() || attachment.ipv6.is_some();
    EndpointSettings {
        aliases: list(attachment.aliases.iter().cloned().collect()),
        ipam_config: fixed.then(|| EndpointIpamConfig {
            ipv4_address: attachment.ipv4.clone(),
            ipv6_address: attachment.ipv6.clone(),
            link_local_ips: None,
        }),
        ..Default::default()
    }
}

fn host_config(launch: &Launch, network: Option<String>, bindings: Option<PortMap>) -> HostConfig {
    let spec = &launch.spec;
    let mut host = HostConfig {
        network_mode: spec.network_mode.clone().or(network),
        port_bindings: bindings,
        restart_policy: Some(resources::restart_policy(spec.restart)),
        ulimits: list(
            spec.ulimits
                .iter()
                .map(|(name, limit)| ResourcesUlimits {
                    name: Some(name.clone()),
                    soft: Some(limit.soft),
                    hard: Some(limit.hard),
                })
                .collect(),
        ),
        devices: list(
            spec.devices
                .iter()
                .map(|device| DeviceMapping {
                    path_on_host: Some(device.host.clone()),
                    path_in_container: Some(device.container.clone()),
                    cgroup_permissions: Some(device.permissions.clone()),
                })
                .collect(),
        ),
        sysctls: (!spec.sysctls.is_empty()).then(|| spec.sysctls.clone().into_iter().collect()),
        cap_add: list(spec.cap_add.iter().cloned().collect()),
        cap_drop: list(spec.cap_drop.iter().cloned().collect()),
        security_opt: list(spec.security_opt.iter().cloned().collect()),
        privileged: spec.privileged.then_some(true),
        readonly_rootfs: spec.read_only.then_some(true),
        init: spec.init.then_some(true),
        log_config: spec.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: Some(logging.driver.clone()),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        extra_hosts: list(spec.extra_hosts.iter().cloned().collect()),
        dns: list(spec.dns.clone()),
        dns_search: list(spec.dns_search.clone()),
        dns_options: list(spec.dns_options.clone()),
        group_add: list(spec.group_add.iter().cloned().collect()),
        pid_mode: spec.pid_mode.clone(),
        ipc_mode: spec.ipc_mode.clone(),
        shm_size: spec.shm_size.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        ..Default::default()
    };
    resources::write(&spec.resources, &mut host);
    let carried = launch
        .carried
        .iter()
        .map(|(target, volume)| (target.clone(), Mount::Volume { name: volume.clone(), read_only: false }));
    mounts::write(&carried.chain(spec.mounts.clone()).collect(), &mut host);
    host
}

/// A published port must be exposed as well.
fn ports(spec: &ContainerSpec) -> (Option<Vec<String>>, Option<PortMap>) {
    let mut map = PortMap::new();
    for port in &spec.ports {
        let key = format!("{}/{}", port.container_port, port.protocol.as_str());
        map.entry(key).or_default().get_or_insert_default().push(PortBinding {
            host_ip: port.host_ip.clone(),
            host_port: port.host_port.map(|number| number.to_string()),
        });
    }
    let mut exposed: Vec<String> = map.keys().cloned().collect();
    exposed.sort();
    (list(exposed), (!map.is_empty()).then_some(map))
}

/// An empty list means «not said».
fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommitId, OwnerId, PortBinding as Port, Protocol};
    use crate::plan::Gate;
    use std::collections::BTreeMap;

    fn body(spec: ContainerSpec) -> ContainerCreateBody {
        let launch = Launch {
            instance: "shop/web/1".parse().unwrap(),
            name: "shop-web-1".to_owned(),
            owner: OwnerId::new("f00d/prod"),
            revision: CommitId::new("3f2a91c"),
            spec,
            applied: BTreeMap::new(),
            needs: Vec::new(),
            carried: BTreeMap::new(),
            gate: Gate::Started,
        };
        create_body(&launch).0
    }

    #[test]
    fn an_empty_entrypoint_is_sent_in_the_form_that_takes_the_images_away() {
        let of = |entrypoint| body(ContainerSpec { entrypoint, ..Default::default() }).entrypoint;
        assert_eq!(of(Some(Vec::new())), Some(vec![String::new()]));
        assert_eq!(of(Some(vec!["/run".to_owned()])), Some(vec!["/run".to_owned()]));
        assert_eq!(of(None), None, "nothing said is the image's");
    }

    #[test]
    fn every_address_of_version_6_is_asked_for_as_it_is_written() {
        let host_ip = Some("::".to_owned());
        let port = Port { container_port: 80, protocol: Protocol::Tcp, host_ip, host_port: Some(8080) };
        let host = body(ContainerSpec { ports: [port].into(), ..Default::default() }).host_config.unwrap();
        let bindings = host.port_bindings.unwrap()["80/tcp"].clone().unwrap();
        assert_eq!(bindings[0].host_ip.as_deref(), Some("::"));
    }
}
