//! The engine, and whether its containers can be reached from here.

use super::finding::{Finding, State};
use super::subject::Subject;
use crate::engine::{Engine, EngineError, EngineInfo};
use crate::model::size_text;
use crate::process::error::chain;
use std::net::{IpAddr, UdpSocket};

/// What to do where health checks of kind `http` and `tcp` cannot reach a container by its address.
const REACH: &str = "where an image has none of these programs, publish the port, write the check as `healthcheck: {test: …}`, or run \
    setpoint where the engine runs (as a container with `--network host`)";

/// Looks at the engine; returns its data folder when that is on this machine.
pub(super) async fn check(subject: &Subject, findings: &mut Vec<Finding>) -> Option<String> {
    let engine = match Engine::connect(subject.endpoint.as_deref()).await {
        Ok(engine) => engine,
        Err(error) => {
            let remedy = remedy(&error);
            findings.push(Finding::not("engine", State::Bad, chain(&error), remedy));
            return None;
        }
    };
    let info = match engine.info().await {
        Ok(info) => info,
        Err(error) => {
            let remedy = remedy(&error);
            findings.push(Finding::not("engine", State::Bad, chain(&error), remedy));
            return None;
        }
    };
    findings.push(Finding::good(
        "engine",
        format!(
            "{} {} (API {}) at {}, {}, cgroup v{}, {} CPUs, {}",
            info.product,
            info.version,
            info.api_version,
            engine.endpoint(),
            info.storage_driver,
            info.cgroup_version,
            info.cpus,
            size_text(info.memory >> 20 << 20)
        ),
    ));
    for gap in info.gaps {
        let text = format!("does not work on {}: {}", info.product, gap.what);
        findings.push(Finding::not("podman", State::Warning, text, gap.instead));
    }
    for warning in &info.warnings {
        let remedy = "limits of this kind are ignored by the engine; see its documentation on kernel options";
        findings.push(Finding::not("engine", State::Warning, warning.clone(), remedy));
    }
    findings.push(reach(&engine, &info).await);
    let remote = engine.endpoint().starts_with("tcp://") || engine.endpoint().starts_with("http://");
    (!remote).then_some(info.data_root)
}

/// What to do about an engine that cannot be used.
fn remedy(error: &EngineError) -> String {
    match error {
        EngineError::Connect { endpoint, .. } if !endpoint.starts_with("unix://") => format!(
            "check the address {endpoint}, the network, and that the engine listens there (`hosts` in its daemon.json)"
        ),
        error => {
            error.hint().unwrap_or("name the engine's address with --engine, DOCKER_HOST or in daemon.kdl").to_owned()
        }
    }
}

/// Whether `http` and `tcp` checks, which are asked from this process, reach containers.
async fn reach(engine: &Engine, info: &EngineInfo) -> Finding {
    let place = match engine.gateways().await {
        _ if info.desktop => Place::Desktop,
        _ if info.rootless => Place::Rootless,
        Ok(gateways) if gateways.is_empty() => Place::Unknown,
        Ok(gateways) if gateways.iter().any(|address| is_ours(*address)) => Place::Here,
        Ok(_) if in_container() => Place::OutsideOfThisContainer,
        Ok(_) => Place::Elsewhere,
        Err(error) => return Finding::not("checks", State::Warning, chain(&error), "see above"),
    };
    checks(place)
}

/// Where the containers' networks are, as seen from this process.
#[derive(Clone, Copy, Debug)]
enum Place {
    Here,
    Desktop,
    Rootless,
    OutsideOfThisContainer,
    Elsewhere,
    Unknown,
}

fn checks(place: Place) -> Finding {
    let topic = "checks";
    let why = match place {
        Place::Here => return Finding::good(topic, "`http` and `tcp` health checks reach containers"),
        Place::Unknown => {
            let text = "the engine has no bridge network by which to tell whether containers can be reached";
            return Finding::note(topic, text);
        }
        Place::Desktop => "the engine runs in the virtual machine of Docker Desktop",
        Place::Rootless => "the engine is rootless and has a network of its own",
        Place::OutsideOfThisContainer => "this process runs in a container with a network of its own",
        Place::Elsewhere => "the engine is on another machine, or in another network namespace",
    };
    let text = format!(
        "`http` and `tcp` health checks cannot reach the addresses of containers from here ({why}): they are asked through \
         published ports, else by `curl`, `wget` or `nc` inside the container"
    );
    Finding::not(topic, State::Warning, text, REACH)
}

/// Whether an address is one of this network namespace: only then can it be bound.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|file| std::path::Path::new(file).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn where_containers_cannot_be_reached_the_other_ways_and_the_remedy_are_named() {
        assert!(matches!(checks(Place::Here).state, State::Good));
        assert!(matches!(checks(Place::Unknown).state, State::Note));
        for place in [Place::Desktop, Place::Rootless, Place::OutsideOfThisContainer, Place::Elsewhere] {
            let finding = checks(place);
            assert_eq!(finding.state, State::Warning, "{place:?}");
            assert!(finding.text.contains("through published ports") && finding.text.contains("inside the container"));
            assert!(finding.remedy.as_deref().is_some_and(|remedy| remedy.contains("--network host")), "{finding:?}");
        }
        assert!(checks(Place::Rootless).text.contains("rootless") && checks(Place::Desktop).text.contains("Desktop"));
    }

    #[test]
    fn an_address_of_this_network_is_told_from_one_of_another() {
        assert!(is_ours(Ipv4Addr::LOCALHOST.into()));
        // Of a block that is for documents only.
        assert!(!is_ours(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
