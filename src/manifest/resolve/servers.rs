//! Task servers that deployments run: how the tasks of a schedule find them.

use super::{Resolved, Resolver, meaning};
use crate::manifest::cursor::Cursor;
use crate::manifest::suggest::nearest;
use crate::model::{
    DeploymentName, PublishedPort, PublishedPorts, Role, ServiceRef, ServiceTarget, Target, TaskAddress,
};
use std::collections::{BTreeMap, BTreeSet};

/// The services of all deployments by the names that a task server is reached by.
pub(crate) struct Servers {
    services: BTreeMap<ServiceRef, PublishedPorts>,
    /// Host names, container names and ids within the deployments' networks.
    hosts: BTreeMap<String, BTreeSet<ServiceRef>>,
    /// Deployments that run an orchestrator of their own.
    conducted: BTreeSet<DeploymentName>,
    /// Whether some file could not be read: what is not found may stand in it.
    partial: bool,
}

impl Servers {
    /// Collects the services.
    pub(crate) fn new(resolved: &[Resolved<'_>], partial: bool) -> Self {
        let mut servers =
            Self { services: BTreeMap::new(), hosts: BTreeMap::new(), conducted: BTreeSet::new(), partial };
        for deployment in resolved {
            for draft in &deployment.drafts {
                if draft.role == Role::Orchestrator {
                    servers.conducted.insert(deployment.deployment.name.clone());
                }
                let service = ServiceRef { deployment: deployment.deployment.name.clone(), service: draft.id.clone() };
                let names = [Some(draft.id.as_str()), draft.spec.hostname.as_deref(), draft.container_name.as_deref()];
                for name in names.into_iter().flatten() {
                    servers.hosts.entry(name.to_owned()).or_default().insert(service.clone());
                }
                servers.services.insert(service, PublishedPorts::of(&draft.spec));
            }
        }
        servers
    }

    /// Where a host publishes a port of a service.
    fn published(&self, service: &ServiceRef, port: u16) -> Option<PublishedPort> {
        self.services.get(service)?.get(port)
    }

    /// The deployment of a target, when that has an orchestrator of its own.
    pub(super) fn conducts(&self, target: &Target) -> Option<&DeploymentName> {
        match target {
            Target::Service(target) => self.conducted.get(&target.service.deployment),
            Target::Address(_) | Target::Command(_) => None,
        }
    }
}

impl Resolver<'_> {
    /// The target of an address. The names of the deployments' networks mean nothing on a host, so a task server of this
    /// repo is reached where its port is published, which is found when it is known where it runs.
    pub(super) fn address(&mut self, address: TaskAddress, at: Cursor<'_>, servers: &Servers) -> Target {
        let (TaskAddress::Tcp(host, port) | TaskAddress::Tls(host, port)) = &address else {
            return Target::Address(address);
        };
        let is_tls = matches!(address, TaskAddress::Tls(..));
        let Some(services) = servers.hosts.get(host) else { return Target::Address(address) };
        let publishing: Vec<&ServiceRef> =
            services.iter().filter(|service| servers.published(service, *port).is_some()).collect();
        match publishing.as_slice() {
            [service] => {
                let service = (*service).clone();
                if !is_tls {
                    self.open_port(&service, *port, at, servers);
                }
                // Its certificate is for the name that it has in its network, whatever it is reached by.
                Target::Service(ServiceTarget { service, port: *port, tls_name: is_tls.then(|| host.clone()) })
            }
            [] => {
                let names: Vec<String> = services.iter().map(ToString::to_string).collect();
                let text = format!(
                    "{} does not publish port {port}, so this address works only where the name `{host}` can be resolved",
                    names.join(", ")
                );
                self.notice(at, text);
                Target::Address(address)
            }
            several => {
                let names: Vec<String> = several.iter().map(|service| format!("`service: {service}`")).collect();
                let message = format!("{} services are called `{host}`", several.len());
                self.mistake("ambiguous-address", at, message, format!("write {}", names.join(" or ")));
                Target::Address(address)
            }
        }
    }

    /// Remarks once that others than this host reach a task server, which does what anybody asks. It is not bound to the host
    /// itself unasked: an orchestrator on another machine may be among those who call it.
    fn open_port(&mut self, service: &ServiceRef, port: u16, at: Cursor<'_>, servers: &Servers) {
        // One with an orchestrator of its own stays as existing files have it.
        let ours = !servers.conducted.contains(&service.deployment);
        let listed = servers.services.get(service).filter(|ports| ours && **ports != PublishedPorts::OfHost);
        let Some(PublishedPort { host_ip: None, port: host_port }) = listed.and_then(|ports| ports.get(port)) else {
            return;
        };
        let text = format!(
            "the task server {service} is published on all addresses of the host: anybody who can reach port {host_port} can start and stop its tasks. If only this host uses it, write `ports: [\"127.0.0.1:{host_port}:{port}\"]`; otherwise use TLS"
        );
        if self.notices.iter().all(|notice| notice.text != text) {
            self.notice(at, text);
        }
    }

    /// The target of a service.
    pub(super) fn service(
        &mut self,
        service: ServiceRef,
        port: Option<u16>,
        at: Cursor<'_>,
        servers: &Servers,
    ) -> Target {
        let nowhere = Target::Command(Vec::new());
        let Some(published) = servers.services.get(&service) else {
            if !servers.partial {
                let names: Vec<String> = servers.services.keys().map(ToString::to_string).collect();
                let text = service.to_string();
                let mistake = meaning("unknown-service", &at.place(), format!("there is no service `{service}`"));
                let mistake = mistake.help("name a service of this repo as `deployment/service`");
                self.add(match nearest(&text, names.iter().map(String::as_str)) {
                    Some(near) => mistake.label(format!("did you mean `{near}`?")),
                    None => mistake,
                });
            }
            return nowhere;
        };
        let ports: Vec<u16> = published.listed().collect();
        let port = match (port, ports.as_slice()) {
            (Some(port), _) => port,
            (None, [one]) => *one,
            (None, []) => {
                let help = "publish the port of its task server: `ports: [\"50051:50051\"]`";
                self.mistake("missing-port", at, format!("`{service}` publishes no TCP port"), help);
                return nowhere;
            }
            (None, several) => {
                let all: Vec<String> = several.iter().map(|port| format!("`{service}:{port}`")).collect();
                let message = format!("`{service}` publishes several ports");
                self.mistake("ambiguous-port", at, message, format!("write {}", all.join(" or ")));
                return nowhere;
            }
        };
        if published.get(port).is_none() {
            let help = format!("publish it: `ports: [\"{port}:{port}\"]`");
            self.mistake("missing-port", at, format!("`{service}` does not publish port {port}"), help);
            return nowhere;
        }
        self.open_port(&service, port, at, servers);
        Target::Service(ServiceTarget { service, port, tls_name: None })
    }
}
