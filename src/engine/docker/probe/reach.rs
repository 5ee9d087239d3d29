//! Chooses how to reach a port of a container from here: at the container's own address, if this process is in the same network (on
//! the engine's host, or connected to that network); else at the port that is published on the host; else with a program inside the
//! container.

use crate::model::Container;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where this process runs, relative to the engine's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vantage {
    /// Where ports that are published on all addresses of the engine's host can be reached; `None` if not known.
    host: Option<IpAddr>,
    /// Whether this process uses the network of the engine's host.
    on_host: bool,
}

impl Vantage {
    /// Determined from the engine's endpoint, the host name that it reports, and whether its network is separate from its host's. A
    /// container has its own host name unless it uses the host's network.
    pub(super) fn new(endpoint: &str, hostname: &str, apart: bool) -> Self {
        let Some(remote) = endpoint.strip_prefix("tcp://").or_else(|| endpoint.strip_prefix("http://")) else {
            let here = rustix::system::uname().nodename().to_bytes() == hostname.as_bytes();
            return Self { host: here.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)), on_host: here && !apart };
        };
        let authority = remote.split('/').next().unwrap_or_default();
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name).trim_matches(['[', ']']);
        let host = if name == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { name.parse().ok() };
        let loopback = host.is_some_and(|host: IpAddr| host.is_loopback());
        Self { host, on_host: loopback && !apart }
    }

    /// Where a published port is reached from here, if anywhere.
    fn published(&self, place: SocketAddr) -> Option<SocketAddr> {
        let host = self.host?;
        let ip = match place.ip() {
            ip if ip.is_unspecified() => host,
            // A loopback address is the host's own.
            ip if ip.is_loopback() => host.is_loopback().then_some(ip)?,
            ip => ip,
        };
        Some(SocketAddr::new(ip, place.port()))
    }
}

/// A way to make the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a connection from here.
    Dial {
        target: SocketAddr,
        /// A note about the way, for people; absent for the container's own address.
        note: Option<String>,
    },
    /// By a program in the container.
    Inside {
        /// The address to check within the container's network.
        address: IpAddr,
        /// Why no connection from here is possible.
        why: String,
    },
}

/// Chooses the way. `source` returns the local address from which packets to another address are sent.
pub(super) fn way(holder: &Container, port: u16, from: &Vantage, source: impl Fn(IpAddr) -> Option<IpAddr>) -> Way {
    let inside = |address: IpAddr, why: &str| Way::Inside { address, why: why.to_owned() };
    if holder.spec.network_mode.as_deref() == Some("host") {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        return match from.host {
            Some(_) if from.on_host => Way::Dial { target: SocketAddr::new(loopback, port), note: None },
            Some(host) if !host.is_loopback() => {
                Way::Dial { target: SocketAddr::new(host, port), note: Some(format!("at {host}")) }
            }
            _ => inside(loopback, "this process does not use the network of the engine's host"),
        };
    }
    let beside = holder.addresses.values().find(|address| source(address.ip).is_some_and(|ip| address.is_beside(ip)));
    if let Some(address) = beside {
        return Way::Dial { target: SocketAddr::new(address.ip, port), note: None };
    }
    let published = holder.published.get(&port).and_then(|place| from.published(*place));
    if let Some(target) = published {
        return Way::Dial { target, note: Some(format!("through the published port {target}")) };
    }
    let address = holder.addresses.values().next().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip);
    let why = match holder.addresses.is_empty() {
        true => "the container has no address on any network".to_owned(),
        false => format!("its address {address} is not in a network of this process, and port {port} is not published"),
    };
    Way::Inside { address, why }
}

/// The local address from which packets to `target` are sent, according to the kernel's routes. Sends nothing.
pub(super) fn source(target: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // The port does not matter: connecting a datagram socket only looks up the route.
    socket.connect((target, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, ContainerSpec};

    fn container(mode: Option<&str>, address: Option<&str>, published: Option<&str>) -> Container {
        let address = address.map(|ip| ("net".to_owned(), Address { ip: ip.parse().unwrap(), prefix: 16 }));
        Container {
            addresses: address.into_iter().collect(),
            published: published.map(|place| (80, place.parse().unwrap())).into_iter().collect(),
            spec: ContainerSpec { network_mode: mode.map(str::to_owned), ..Default::default() },
            ..Container::bare("c", "c")
        }
    }

    fn vantage(host: Option<&str>, on_host: bool) -> Vantage {
        Vantage { host: host.map(|host| host.parse().unwrap()), on_host }
    }

    fn dialled(way: &Way) -> String {
        match way {
            Way::Dial { target, .. } => target.to_string(),
            Way::Inside { address, .. } => format!("inside {address}"),
        }
    }

    fn from_host(_: IpAddr) -> Option<IpAddr> {
        "172.18.0.1".parse().ok()
    }

    fn from_elsewhere(_: IpAddr) -> Option<IpAddr> {
        "10.0.0.5".parse().ok()
    }

    #[test]
    fn a_container_beside_this_process_is_asked_at_its_own_address() {
        let c = container(None, Some("172.18.0.7"), Some("0.0.0.0:8080"));
        assert_eq!(dialled(&way(&c, 80, &vantage(None, false), from_host)), "172.18.0.7:80");
    }

    #[test]
    fn another_network_is_reached_through_the_published_port() {
        let here = vantage(Some("127.0.0.1"), false);
        let c = container(None, Some("172.18.0.7"), Some("0.0.0.0:8080"));
        assert_eq!(dialled(&way(&c, 80, &here, from_elsewhere)), "127.0.0.1:8080");
        assert_eq!(dialled(&way(&c, 80, &vantage(Some("192.0.2.9"), false), from_elsewhere)), "192.0.2.9:8080");
        assert_eq!(dialled(&way(&c, 81, &here, from_elsewhere)), "inside 172.18.0.7", "another port is not published");
        let local = container(None, Some("172.18.0.7"), Some("127.0.0.1:8080"));
        assert_eq!(dialled(&way(&local, 80, &here, from_elsewhere)), "127.0.0.1:8080");
        let remote = vantage(Some("192.0.2.9"), false);
        assert_eq!(dialled(&way(&local, 80, &remote, from_elsewhere)), "inside 172.18.0.7", "loopback of another host");
    }

    #[test]
    fn where_nothing_else_leads_the_container_asks_itself() {
        let c = container(None, Some("172.18.0.7"), None);
        assert_eq!(dialled(&way(&c, 80, &vantage(None, false), from_elsewhere)), "inside 172.18.0.7");
        let alone = container(Some("none"), None, None);
        assert_eq!(dialled(&way(&alone, 80, &vantage(None, false), from_host)), "inside 127.0.0.1");
    }

    #[test]
    fn the_hosts_network_is_asked_at_the_host_and_never_at_a_loopback_of_ones_own() {
        let c = container(Some("host"), None, None);
        assert_eq!(dialled(&way(&c, 80, &vantage(Some("127.0.0.1"), true), from_host)), "127.0.0.1:80");
        assert_eq!(dialled(&way(&c, 80, &vantage(None, false), from_host)), "inside 127.0.0.1");
        assert_eq!(
            dialled(&way(&c, 80, &vantage(Some("127.0.0.1"), false), from_host)),
            "inside 127.0.0.1",
            "rootless"
        );
        assert_eq!(dialled(&way(&c, 80, &vantage(Some("192.0.2.9"), false), from_host)), "192.0.2.9:80");
    }

    #[test]
    fn the_vantage_follows_from_the_endpoint_and_the_hosts_name() {
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        assert_eq!(Vantage::new("unix:///run/docker.sock", &own, false), vantage(Some("127.0.0.1"), true));
        assert_eq!(Vantage::new("unix:///run/docker.sock", &own, true), vantage(Some("127.0.0.1"), false));
        assert_eq!(Vantage::new("unix:///run/docker.sock", "another-host", false), vantage(None, false));
        assert_eq!(Vantage::new("tcp://192.0.2.9:2375", "x", false), vantage(Some("192.0.2.9"), false));
        assert_eq!(Vantage::new("tcp://[2001:db8::1]:2375", "x", false), vantage(Some("2001:db8::1"), false));
        assert_eq!(Vantage::new("tcp://localhost:2375", "x", false), vantage(Some("127.0.0.1"), true));
        assert_eq!(Vantage::new("tcp://engine.example:2375", "x", false), vantage(None, false));
    }
}
