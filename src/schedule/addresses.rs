//! Where the task servers of a schedule are reached. A schedule names services; at what address one is reached follows from the
//! host that it was placed on, which no file says.

use super::timeline::TaskIndex;
use crate::model::{Desired, PublishedPorts, Schedule, ServiceRef, ServiceTarget, Target, TaskAddress, TaskId};
use std::collections::BTreeMap;

/// How this host reaches itself.
const THIS_HOST: &str = "127.0.0.1";

/// Where the services are that may be task servers: how the host of each is reached, and what it publishes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed(BTreeMap<ServiceRef, (String, PublishedPorts)>);

impl Placed {
    /// Every service on the host that reads this.
    pub fn here(desired: &Desired) -> Self {
        let mut placed = Self::default();
        for (name, deployment) in &desired.deployments {
            for service in &deployment.services {
                let ports = PublishedPorts::of(&service.spec);
                let reference = ServiceRef { deployment: name.clone(), service: service.id.clone() };
                if ports == PublishedPorts::OfHost || ports.listed().next().is_some() {
                    placed.put(reference, THIS_HOST, ports);
                }
            }
        }
        placed
    }

    /// A service is on a host that is reached as `host`, which publishes these ports of it.
    pub fn put(&mut self, service: ServiceRef, host: &str, ports: PublishedPorts) {
        self.0.insert(service, (host.to_owned(), ports));
    }

    /// Where a target is reached; `None` for a program, and for a service that is nowhere or does not publish the port.
    pub fn address(&self, target: &Target) -> Option<TaskAddress> {
        let ServiceTarget { service, port, tls_name } = match target {
            Target::Address(address) => return Some(address.clone()),
            Target::Service(service) => service,
            Target::Command(_) => return None,
        };
        let (host, ports) = self.0.get(service)?;
        let published = ports.get(*port)?;
        // A port that is bound to one address of its host is reached at that one alone.
        let (host, port) = (published.host_ip.unwrap_or_else(|| host.clone()), published.port);
        Some(match tls_name.clone() {
            Some(name) => TaskAddress::TlsService { name, host, port },
            None => TaskAddress::Tcp(host, port),
        })
    }
}

/// The address of the task server of each task of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<Option<TaskAddress>>);

impl Addresses {
    /// That of a task; `None` for one whose program the daemon's own runner starts.
    pub fn of(&self, task: TaskIndex) -> Option<&TaskAddress> {
        self.0.get(task.at())?.as_ref()
    }
}

/// A task server is at no known place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{task}` runs at `{service}`, which publishes no port {port} on any host; publish the port, or start the service"
)]
pub struct NotPlaced {
    /// The task that needs it.
    pub task: TaskId,
    /// The service.
    pub service: ServiceRef,
    /// The port of its container.
    pub port: u16,
}

/// Where the task servers of a schedule are reached.
///
/// # Errors
/// When a service that a task names is at no known place.
pub fn addresses(schedule: &Schedule, placed: &Placed) -> Result<Addresses, NotPlaced> {
    let of = |task: &crate::model::Task| match (&task.target, placed.address(&task.target)) {
        (Target::Service(ServiceTarget { service, port, .. }), None) => {
            Err(NotPlaced { task: task.id.clone(), service: service.clone(), port: *port })
        }
        (_, address) => Ok(address),
    };
    schedule.tasks.iter().map(of).collect::<Result<_, _>>().map(Addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PublishedPort, Task};
    use crate::schedule::timeline::fixtures::{schedule, task};

    fn named(port: u16, tls_name: Option<&str>) -> Schedule {
        let service = "rt/one".parse().unwrap();
        let target = Target::Service(ServiceTarget { service, port, tls_name: tls_name.map(str::to_owned) });
        let program = Target::Command(vec!["true".to_owned()]);
        schedule(vec![Task { target, ..task("a") }, task("b"), Task { target: program, ..task("c") }])
    }

    fn on(host: &str, host_ip: Option<&str>, port: u16) -> Placed {
        let mut placed = Placed::default();
        let published = PublishedPort { host_ip: host_ip.map(str::to_owned), port };
        let ports = PublishedPorts::Listed(BTreeMap::from([(50051, published)]));
        placed.put("rt/one".parse().unwrap(), host, ports);
        placed
    }

    fn reached(schedule: &Schedule, placed: &Placed) -> Vec<Option<String>> {
        let addresses = addresses(schedule, placed).unwrap();
        (0..3).map(|at| addresses.of(TaskIndex(at)).map(ToString::to_string)).collect()
    }

    #[test]
    fn one_schedule_has_other_addresses_where_its_service_is_on_another_host() {
        let schedule = named(50051, None);
        let rest = [Some("unix:/b".to_owned()), None];
        for (placed, address) in [
            (on("10.0.0.1", None, 50051), "10.0.0.1:50051"),
            (on("10.0.0.2", None, 6001), "10.0.0.2:6001"),
            (on("10.0.0.2", Some("192.168.7.2"), 6001), "192.168.7.2:6001"),
        ] {
            let all = [vec![Some(address.to_owned())], rest.to_vec()].concat();
            assert_eq!(reached(&schedule, &placed), all);
        }
        let tls = reached(&named(50051, Some("task1")), &on("10.0.0.2", None, 6001));
        assert_eq!(tls.first(), Some(&Some("tls://10.0.0.2:6001 (task1)".to_owned())));
    }

    #[test]
    fn who_shares_the_network_of_its_host_is_reached_at_the_port_itself() {
        let mut placed = Placed::default();
        placed.put("rt/one".parse().unwrap(), "10.0.0.1", PublishedPorts::OfHost);
        assert_eq!(reached(&named(7, None), &placed).first(), Some(&Some("10.0.0.1:7".to_owned())));
    }

    #[test]
    fn a_service_at_no_known_place_is_named() {
        for placed in [Placed::default(), on("10.0.0.1", None, 50051)] {
            let error = addresses(&named(9, None), &placed).unwrap_err();
            assert_eq!((error.task.as_str(), error.service.to_string(), error.port), ("a", "rt/one".to_owned(), 9));
        }
    }
}
