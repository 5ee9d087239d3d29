//! What somebody does to our containers on the host: each kind is shown as drift with its field, and changed back.

use super::cli::{Host, block_on, docker, host, inspect, text, within};
use super::support::import;
use crate::engine::client;
use std::collections::BTreeMap;
use std::time::Duration;

/// Each kind with the field that the plan names for it; an empty one means that the whole instance is created anew.
const KINDS: [(&str, &str); 12] = [
    ("killed", "state"),
    ("stopped", "state"),
    ("paused", "state"),
    ("removed", ""),
    ("renamed", "container_name"),
    ("limits", "memory"),
    ("restart", "restart"),
    ("disconnected", "network"),
    ("connected", "network"),
    ("retagged", "image"),
    ("volume", ""),
    ("health", "state"),
];

/// One service for each kind.
fn deploy(host: &Host) -> String {
    block_on(import(&format!("{}:1", host.named("app")), &[]));
    let lines = |kind: &str| match kind {
        "limits" => "resources: {memory: 64}".to_owned(),
        "disconnected" | "connected" => format!("networks: [{}]", host.named("net")),
        "retagged" => format!("image: {}:1", host.named("app")),
        "volume" => format!("volumes: ['{}:/data']", host.named("data")),
        "health" => {
            "tmpfs: /run\nhealthcheck: {command: 'test ! -e /run/bad', interval: 300ms, timeout: 5, retries: 1}"
                .to_owned()
        }
        _ => String::new(),
    };
    let all: Vec<(&str, String)> = KINDS.iter().map(|(kind, _)| (*kind, lines(kind))).collect();
    let services: Vec<(&str, &str)> = all.iter().map(|(kind, lines)| (*kind, lines.as_str())).collect();
    let networks = format!("networks: {{{}: {{}}}}", host.named("net"));
    host.write("deployments/main.yaml", host.deployment(&host.name, &networks, &services));
    host.commit("one service for each kind")
}

/// Does to a service what its name says.
fn inflict(host: &Host, kind: &str) {
    let name = host.container(kind);
    let name = name.as_str();
    match kind {
        "killed" => docker(&["kill", name]),
        "stopped" => docker(&["stop", name]),
        "paused" => docker(&["pause", name]),
        "removed" => docker(&["rm", "--force", name]),
        "renamed" => docker(&["rename", name, &host.named("elsewhere")]),
        "limits" => docker(&["update", "--memory", "128m", "--memory-swap", "256m", name]),
        "restart" => docker(&["update", "--restart", "no", name]),
        "disconnected" => docker(&["network", "disconnect", &host.named("net"), name]),
        "connected" => {
            docker(&["network", "create", &host.named("extra")]);
            docker(&["network", "connect", &host.named("extra"), name])
        }
        "retagged" => {
            let app = host.named("app");
            // So that the clean-up finds it by its name.
            docker(&["tag", &format!("{app}:1"), &format!("{app}:old")]);
            block_on(import(&format!("{app}:1"), &["ENV ANOTHER=1"]));
            String::new()
        }
        "volume" => {
            docker(&["rm", "--force", name]);
            docker(&["volume", "rm", &format!("{}_{}", host.name, host.named("data"))])
        }
        "health" => {
            docker(&["exec", name, "touch", "/run/bad"]);
            let bad = || host.inspect("health")["State"]["Health"]["Status"] == "unhealthy";
            assert!(within(Duration::from_secs(20), bad), "the health check does not fail");
            String::new()
        }
        other => panic!("{other}"),
    };
}

/// What a service looks like, as far as drift can change it.
fn look(host: &Host, kind: &str) -> BTreeMap<&'static str, String> {
    let it = host.inspect(kind);
    let networks = it["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
    let networks: Vec<String> = networks.keys().cloned().collect();
    BTreeMap::from([
        ("status", text(&it["State"]["Status"]).to_owned()),
        ("health", text(&it["State"]["Health"]["Status"]).to_owned()),
        ("memory", it["HostConfig"]["Memory"].to_string()),
        ("restart", text(&it["HostConfig"]["RestartPolicy"]["Name"]).to_owned()),
        ("networks", networks.join(" ")),
        ("mounts", it["Mounts"].as_array().map_or(0, Vec::len).to_string()),
    ])
}

fn image_id(host: &Host) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", &format!("{}:1", host.named("app"))])
}

/// Every container is what Git wants again.
fn repaired(host: &Host, before: &[BTreeMap<&'static str, String>]) {
    for ((kind, _), before) in KINDS.iter().zip(before) {
        assert_eq!(look(host, kind), *before, "{kind} is not repaired");
    }
    assert_eq!(text(&host.inspect("retagged")["Image"]), image_id(host));
    docker(&["volume", "inspect", &format!("{}_{}", host.name, host.named("data"))]);
    let mut names: Vec<String> = KINDS.iter().map(|(kind, _)| format!("{kind}-1")).collect();
    names.sort();
    assert_eq!(host.containers(), names);
}

#[test]
fn each_kind_is_shown_and_repaired_by_an_apply() {
    let Some(host) = host() else { return };
    deploy(&host);
    host.apply();
    let before: Vec<_> = KINDS.iter().map(|(kind, _)| look(&host, kind)).collect();
    for (kind, _) in KINDS {
        inflict(&host, kind);
    }
    let changes = host.changes();
    let plan = host.plan();
    for (kind, field) in KINDS {
        if field.is_empty() {
            let steps = plan["steps"].as_array().unwrap();
            let step = steps.iter().find(|step| text(&step["subject"]).ends_with(&format!("/{kind}/1"))).unwrap();
            assert_eq!(text(&step["action"]), "create", "{kind}");
            assert!(text(&step["reason"]).contains("was removed on the host (drift)"), "{kind}: {step}");
        } else {
            let of_kind: Vec<&String> =
                changes.iter().filter(|change| change.starts_with(&format!("{kind}/1 "))).collect();
            let named =
                |change: &&String| change.starts_with(&format!("{kind}/1 {field}")) && change.contains(" drift: ");
            assert!(of_kind.len() == 1 && of_kind.iter().all(named), "{kind}: {of_kind:?} in {changes:?}");
        }
    }
    assert!(text(&plan["verdict"]).contains("no data loss"), "{}", plan["verdict"]);
    assert!(host.steps().contains(&format!("create volume {}_data", host.name)), "{:?}", host.steps());
    host.apply();
    repaired(&host, &before);
}

#[test]
fn drift_that_is_only_reported_is_held_and_shown() {
    let Some(host) = host() else { return };
    host.settings("drift \"report\"");
    deploy(&host);
    host.apply();
    for (kind, _) in KINDS {
        inflict(&host, kind);
    }
    let ids = |host: &Host| {
        docker(&["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Status}} {{.Names}}"])
            .lines()
            .filter(|line| line.contains(&host.name))
            .map(|line| format!("{} {}", line.split(' ').next().unwrap_or_default(), line.contains("Up")))
            .collect::<Vec<_>>()
    };
    let before = ids(&host);
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(3), "{}{}", run.out, run.err);
    let plan = host.plan();
    for (kind, _) in KINDS {
        let held =
            plan["held"].as_array().unwrap().iter().find(|row| text(&row["subject"]).contains(&format!("/{kind}/1")));
        let why = held.map(|held| text(&held["why"]).to_owned()).unwrap_or_default();
        assert!(why.contains("drift is reported, not repaired"), "{kind}: `{why}`\n{}", run.out);
    }
    host.held(&[]);
    assert_eq!(ids(&host), before, "nothing was repaired");
    // A commit's change is carried out nevertheless, and what drifted comes with it.
    host.settings("drift \"repair\"");
    host.commit("repair");
    host.apply();
}

#[test]
fn each_kind_is_repaired_by_a_daemon() {
    let Some(host) = host() else { return };
    let commit = deploy(&host);
    let daemon = host.daemon_of(&host.repo(), "resync \"3s\"");
    host.converged(&commit, &daemon);
    let before: Vec<_> = KINDS.iter().map(|(kind, _)| look(&host, kind)).collect();
    for (kind, _) in KINDS {
        if kind == "health" {
            // The daemon may be quicker than a look at the bad state.
            docker(&["exec", &host.container(kind), "touch", "/run/bad"]);
        } else if kind == "volume" {
            let _ = client().args(["rm", "--force", &host.container(kind)]).output();
            let _ = client().args(["volume", "rm", &host.named("data")]).output();
        } else {
            inflict(&host, kind);
        }
        let before = &before[KINDS.iter().position(|(one, _)| *one == kind).unwrap()];
        let good = || {
            let image = kind != "retagged" || text(&inspect(&host.container(kind))["Image"]) == image_id(&host);
            image
                && look(&host, kind) == *before
                && (kind != "health"
                    || client()
                        .args(["exec", &host.container(kind), "test", "!", "-e", "/run/bad"])
                        .status()
                        .unwrap()
                        .success())
        };
        host.until(&daemon, &format!("{kind} is repaired"), good);
    }
    host.converged(&commit, &daemon);
    repaired(&host, &before);
    let drift = host.events().iter().filter(|event| event["kind"] == "drift_found").count();
    assert!(drift >= 8, "the drift is recorded: {drift}");
    assert_eq!(daemon.stop(), Some(0));
}

/// A network cannot vanish from under a container that is connected, but a hand can take both away.
#[test]
fn a_vanished_network_is_drift() {
    let Some(host) = host() else { return };
    host.settings("drift \"report\"");
    let name = host.named("net");
    let (head, service) = (format!("networks: {{{name}: {{}}}}"), format!("networks: [{name}]"));
    host.write("deployments/main.yaml", host.deployment(&host.name, &head, &[("a", &service)]));
    host.commit("a network");
    host.apply();
    docker(&["network", "disconnect", &name, &host.container("a")]);
    docker(&["network", "rm", &name]);
    assert_eq!(host.steps(), Vec::<String>::new());
    let plan = host.plan();
    let held: Vec<&str> = plan["held"].as_array().unwrap().iter().map(|held| text(&held["subject"])).collect();
    assert_eq!(held.len(), 2, "the network and what was connected to it: {held:?}");
    host.settings("drift \"repair\"");
    host.commit("repair");
    host.apply();
    assert!(inspect(&host.container("a"))["NetworkSettings"]["Networks"].get(&name).is_some());
}

/// As after a kill between an update in place and its record: the host has what a commit wants, and the record does not
/// know it.
#[test]
fn what_a_commit_found_in_place_is_no_drift_later() {
    let Some(host) = host() else { return };
    host.settings("drift \"report\"");
    host.want(&[("a", "restart: always")]);
    host.apply();
    docker(&["update", "--restart", "on-failure", &host.container("a")]);
    host.want(&[("a", "restart: on-failure")]);
    host.apply();
    host.want(&[("a", "restart: always")]);
    assert_eq!(host.changes(), ["a/1 restart git: on-failure → always"]);
    host.apply();
}
