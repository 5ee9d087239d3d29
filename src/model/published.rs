//! Where the ports of a container are published on its host.

use super::{ContainerSpec, Protocol};
use std::collections::BTreeMap;

/// Where a host publishes a TCP port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The one address of the host; `None` for all of them.
    pub host_ip: Option<String>,
    /// The port of the host.
    pub port: u16,
}

/// The TCP ports of a container that its host publishes under numbers that the file gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedPorts {
    /// It shares the network of its host, and with it every port.
    OfHost,
    /// By the port in the container.
    Listed(BTreeMap<u16, PublishedPort>),
}

impl PublishedPorts {
    /// Those of a container with these settings.
    pub fn of(spec: &ContainerSpec) -> Self {
        if spec.network_mode.as_deref() == Some("host") {
            return Self::OfHost;
        }
        let tcp = spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let listed = tcp.filter_map(|port| {
            let host_ip = port.host_ip.clone().filter(|ip| !matches!(ip.as_str(), "" | "0.0.0.0" | "::"));
            Some((port.container_port, PublishedPort { host_ip, port: port.host_port? }))
        });
        Self::Listed(listed.collect())
    }

    /// Where a port of the container is published; `None` when it is not.
    pub fn get(&self, container_port: u16) -> Option<PublishedPort> {
        match self {
            Self::OfHost => Some(PublishedPort { host_ip: None, port: container_port }),
            Self::Listed(ports) => ports.get(&container_port).cloned(),
        }
    }

    /// The ports in the container, as far as they are listed.
    pub fn listed(&self) -> impl Iterator<Item = u16> {
        let ports = match self {
            Self::OfHost => None,
            Self::Listed(ports) => Some(ports),
        };
        ports.into_iter().flat_map(|ports| ports.keys().copied())
    }
}
