//! What of a report is a setting that somebody asked for.

use super::*;

#[test]
fn a_host_that_was_renamed_is_no_drift_of_its_containers() {
    let config = ContainerConfig { hostname: Some("old-name".to_owned()), ..Default::default() };
    let id = ContainerId::new("0123456789abcdef");
    assert_eq!(hostname(&config, Some("host"), &id, false), None);
    assert_eq!(hostname(&config, Some("host"), &id, true).as_deref(), Some("old-name"));
    assert_eq!(hostname(&config, Some("bridge"), &id, false).as_deref(), Some("old-name"));
}

#[test]
fn every_address_of_version_6_is_told_apart_from_every_address() {
    let of = |ip: &str| {
        let binding = bollard::models::PortBinding { host_ip: Some(ip.to_owned()), host_port: Some("8080".to_owned()) };
        let map = PortMap::from([("80/tcp".to_owned(), Some(vec![binding]))]);
        ports(&map).into_iter().next().unwrap().host_ip
    };
    assert_eq!(of("::").as_deref(), Some("::"));
    assert_eq!(of("0.0.0.0"), None);
    assert_eq!(of(""), None);
    assert_eq!(of("127.0.0.1").as_deref(), Some("127.0.0.1"));
}

#[test]
fn what_the_engine_writes_for_nothing_is_nothing() {
    let config = ContainerConfig {
        entrypoint: Some(Vec::new()),
        cmd: Some(Vec::new()),
        user: Some(String::new()),
        working_dir: Some(String::new()),
        ..Default::default()
    };
    let report = ContainerInspectResponse {
        id: Some("0123456789abcdef".to_owned()),
        config: Some(config),
        ..Default::default()
    };
    let defaults =
        Defaults { log_driver: "json-file".to_owned(), swap_limit: true, hostname: "host".to_owned(), apart: false };
    let spec = container(report, &defaults).unwrap().spec;
    assert_eq!((spec.entrypoint, spec.command, spec.user, spec.working_dir), (None, None, None, None));
}
