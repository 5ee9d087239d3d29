//! `setpoint doctor` beside a real engine.

use super::cli::{docker, host, text};
use serde_json::Value;
use std::process::Command;

#[test]
fn doctor_says_from_where_health_checks_cannot_reach_containers() {
    let Some(host) = host() else { return };
    docker(&["network", "create", &host.named("net")]);
    let checks = |mut command: Command| {
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["topic"] == "checks").unwrap_or_else(|| panic!("{report}")).clone()
    };
    let here = host.command(&["doctor", "--json"]);
    // The engine's socket is a file, which is there in any network.
    let mut elsewhere = Command::new("unshare");
    // Without any address every address can be bound; a container has at least the loopback.
    elsewhere
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(here.get_program())
        .args(here.get_args())
        .current_dir(host.repo());
    for (name, value) in here.get_envs() {
        match value {
            Some(value) => elsewhere.env(name, value),
            None => elsewhere.env_remove(name),
        };
    }
    let reached = checks(here);
    assert_eq!(reached["state"], "good", "{reached}");
    let cut_off = checks(elsewhere);
    assert_eq!(cut_off["state"], "warning", "{cut_off}");
    assert!(text(&cut_off["text"]).contains("cannot reach the addresses of containers"), "{cut_off}");
    assert!(text(&cut_off["remedy"]).contains("--network host"), "{cut_off}");
}
