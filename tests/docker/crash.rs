//! The program is killed in the middle of its work: the next one brings the host to what Git wants, with nothing there
//! twice and nothing left over.

use super::cli::{Daemon, Host, docker, host, inspect, port, signal, text};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where the random moments come from; the same seed kills at the same moments.
const SEED: u64 = 0x5e7_9017;
/// How often the daemon is killed.
const KILLS: usize = 30;
const SERVICES: usize = 20;

/// One version of the twenty services: a mix of what needs a new container, with and without downtime, of what is changed
/// while it runs, and of what comes and goes.
fn version(host: &Host, round: usize, port: u16) -> Vec<String> {
    let wanted = |index: usize| !(index >= 15 && (index + round).is_multiple_of(4));
    let lines = |index: usize| match index % 5 {
        0 => format!("env: {{ROUND: '{round}'}}"),
        1 => format!("env: {{ROUND: '{}'}}\norder: stop-first", round / 2),
        2 => format!("restart: {}", if round.is_multiple_of(2) { "always" } else { "unless-stopped" }),
        3 if index == 3 => format!("env: {{ROUND: '{round}'}}\nports: ['127.0.0.1:{port}:80']"),
        3 => "labels: {kept: always}".to_owned(),
        _ => format!("container_name: {}", host.named(&format!("c{index}-{}", round % 2))),
    };
    let all: Vec<(String, String)> =
        (0..SERVICES).filter(|index| wanted(*index)).map(|index| (format!("s{index}"), lines(index))).collect();
    let services: Vec<(&str, &str)> = all.iter().map(|(id, lines)| (id.as_str(), lines.as_str())).collect();
    host.want(&services);
    let mut names: Vec<String> = (0..SERVICES)
        .filter(|index| wanted(*index))
        .map(|index| match index % 5 {
            4 => format!("c{index}-{}", round % 2),
            _ => format!("s{index}-1"),
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_killed_daemon_leaves_nothing_twice_and_nothing_over() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"0ms\"");
    let mut random = fastrand::Rng::with_seed(SEED);
    let port = port();
    let mut killed = Vec::new();
    let mut round = 0;
    version(&host, round, port);
    host.apply();
    while killed.len() < KILLS {
        round += 1;
        let names = version(&host, round, port);
        let commit = host.git(&["rev-parse", "HEAD"]);
        // Some are killed once more while they still clear up after the last kill.
        for _ in 0..random.usize(2..=4) {
            let events = host.events().len();
            let daemon = host.daemon();
            let began = Instant::now();
            // The moment counts from the first step on, and lies within what an apply takes here.
            while host.events().len() <= events + 1 && began.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let moment = Duration::from_millis(random.u64(0..1500));
            std::thread::sleep(moment);
            daemon.kill();
            killed.push(format!("round {round}: {} ms", moment.as_millis()));
        }
        let daemon = host.daemon();
        host.converged(&commit, &daemon);
        assert_eq!(daemon.stop(), Some(0));
        exactly(&host, &names, &killed);
    }
    eprintln!("seed {SEED:#x}, killed at: {}", killed.join(", "));
    assert!(killed.len() >= KILLS);
}

/// The containers are the wanted ones, all of them run and are ours, and the plan is empty.
fn exactly(host: &Host, names: &[String], killed: &[String]) {
    assert_eq!(host.containers(), names, "seed {SEED:#x}, killed at {killed:?}");
    for name in names {
        let container = inspect(&host.named(name));
        assert_eq!(container["State"]["Running"], true, "{name}: {}", container["State"]);
        let owner = text(&container["Config"]["Labels"]["dev.setpoint.owner"]);
        assert!(owner.ends_with(&format!("/{}", host.name)), "{name} is owned by `{owner}`");
    }
    host.settled();
}

#[test]
fn a_killed_apply_is_completed_by_the_next() {
    let Some(host) = host() else { return };
    let mut random = fastrand::Rng::with_seed(SEED);
    let port = port();
    version(&host, 0, port);
    host.apply();
    for round in 1..=3 {
        let names = version(&host, round, port);
        let mut child = host.command(&["apply", "--yes"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(300..1500)));
        child.kill().unwrap();
        child.wait().unwrap();
        host.apply();
        exactly(&host, &names, &[format!("apply {round}")]);
    }
}

#[test]
fn a_terminated_apply_ends_the_wait_for_health_and_starts_no_other_step() {
    let Some(host) = host() else { return };
    host.settings("strategy \"sequential\"\nstability-window \"2s\"");
    host.want(&[("a", ""), ("b", ""), ("c", "")]);
    let mut command = host.command(&["apply", "--yes", "--json"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let name = host.container("a");
    assert!(super::cli::within(Duration::from_secs(30), || inspect(&name)["State"]["Running"] == true));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.starts_with("Stopping: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(
        line.contains("in progress is create ") && line.contains("A second Ctrl-C ends the command at once"),
        "{line}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let states: BTreeMap<&str, &str> = report["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (text(&result["subject"]).rsplit('/').nth(1).unwrap_or_default(), text(&result["state"])))
        .collect();
    assert_eq!(states, BTreeMap::from([("a", "skipped"), ("b", "skipped"), ("c", "skipped")]));
    assert_eq!(report["stopped"], true);
    assert_eq!(host.containers(), ["a-1"], "what ran stays, the rest was not begun");
    host.apply();
    assert_eq!(host.containers(), ["a-1", "b-1", "c-1"]);
}

#[test]
fn a_terminated_daemon_ends_the_step_in_hand_and_the_next_goes_on() {
    let Some(host) = host() else { return };
    host.settings("strategy \"sequential\"\nstability-window \"2s\"");
    let commit = host.want(&[("a", ""), ("b", "")]);
    let daemon: Daemon = host.daemon();
    host.until(&daemon, "a runs", || inspect(&host.container("a"))["State"]["Running"] == true);
    let began = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(host.containers(), ["a-1"]);
    let id = host.id("a");
    let daemon = host.daemon();
    host.converged(&commit, &daemon);
    assert_eq!(host.containers(), ["a-1", "b-1"]);
    assert_eq!(host.id("a"), id, "what was done is not done again");
    assert_eq!(docker(&["ps", "--quiet", "--filter", &format!("name={}-", host.name)]).lines().count(), 2);
}
