//! `setpoint doctor`: what it finds on this machine, and the remedies.

use crate::cli::{Bench, Run};
use crate::support::process::{find_or_skip, root_or_skip};
use assert_cmd::cargo::cargo_bin;
use std::fs;

#[test]
fn doctor_names_what_is_missing_and_the_remedy() {
    let run = Bench::new().setpoint(&["doctor"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.contains("BAD   engine") && run.out.contains("start it (systemctl start docker)"), "{}", run.out);
    assert!(run.out.contains("ok    state") && run.out.contains("ok    repo"), "{}", run.out);
}

/// Findings of `doctor --json`: topic, state, text and remedy in one line each.
fn findings(run: &Run) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let line =
        |finding: &serde_json::Value| ["topic", "state", "text", "remedy"].map(|key| text(finding, key)).join(" | ");
    report["findings"].as_array().unwrap().iter().map(line).collect()
}

fn has(findings: &[String], parts: &[&str]) {
    let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
    assert!(findings.iter().any(|line| fits(&line)), "{parts:?} is not in {findings:#?}");
}

#[test]
fn doctor_looks_at_what_the_settings_of_a_daemon_name() {
    let bench = Bench::new();
    let file = bench.dir.path().join("daemon.kdl");
    let state = bench.dir.path().join("daemon-state");
    let doctor = |text: &str| {
        fs::write(&file, format!("{text}\nstate-dir \"{}\"\n", state.display())).unwrap();
        findings(&bench.setpoint(&["doctor", "--json", "--config", file.to_str().unwrap()]))
    };
    let repo = bench.repo().display().to_string();
    has(&doctor(&format!("repo \"{repo}\" branch=\"main\"")), &["repo | good", "main is at"]);
    let wrong = doctor(&format!("repo \"{repo}\" branch=\"mian\""));
    has(&wrong, &["repo | bad", "`mian`", "did you mean main?", "correct `branch`"]);
    let away = doctor("repo \"https://127.0.0.1:1/a.git\"");
    has(&away, &["repo | bad", "cannot reach", "name resolution"]);
    let unset = doctor("repo \"https://127.0.0.1:1/a.git\" {\n    https token-env=\"NO_SUCH_TOKEN\"\n}");
    has(&unset, &["repo | bad", "NO_SUCH_TOKEN is not set"]);
    let token = bench.dir.path().join("token");
    fs::write(&token, "\n").unwrap();
    let empty =
        doctor(&format!("repo \"https://127.0.0.1:1/a.git\" {{\n    https token-file=\"{}\"\n}}", token.display()));
    has(&empty, &["repo | bad", "is empty"]);
    let key = doctor("repo \"ssh://git@127.0.0.1:1/a.git\" {\n    ssh key=\"/no/such/key\"\n}");
    has(&key, &["repo | bad", "/no/such/key"]);
    // It leaves nothing behind where the daemon of another user would stumble over it.
    assert!(!state.join("repos").exists());
}

#[test]
fn doctor_names_the_limits_and_the_remedy_for_each_state_folder() {
    let bench = Bench::new();
    let program = cargo_bin("setpoint");
    let limited =
        bench.isolated("sh").args(["-c", &format!("ulimit -n 64; exec {} doctor --json", program.display())]).output();
    has(&findings(&Run::of(&limited.unwrap())), &["limits | warning", "64 open files", "LimitNOFILE"]);

    let state = bench.dir.path().join("state");
    fs::write(
        state.join("setpoint.db"),
        "not a database at all, but some text of more than a hundred bytes; \
        not a database at all, but some text of more than a hundred bytes",
    )
    .unwrap();
    for file in ["setpoint.db-wal", "setpoint.db-shm"] {
        let _ = fs::remove_file(state.join(file));
    }
    has(&findings(&bench.setpoint(&["doctor", "--json"])), &["state | bad", "is damaged", "keep a copy"]);
    let nowhere = bench.setpoint(&["doctor", "--json", "--state-dir", "/proc/setpoint"]);
    has(&findings(&nowhere), &["state | bad", "/proc/setpoint", "state-dir"]);
    let remote = bench.setpoint(&["doctor", "--json", "--engine", "tcp://127.0.0.1:1"]);
    has(&findings(&remote), &["engine | bad", "tcp://127.0.0.1:1", "check the address"]);
    assert!(!remote.out.contains("systemctl"), "{}", remote.out);
}

#[test]
fn doctor_tells_a_full_a_read_only_and_a_newer_state_folder_apart() {
    let bench = Bench::new();
    let state = bench.dir.path().join("state");
    bench.setpoint(&["doctor"]);
    let database = rusqlite::Connection::open(state.join("setpoint.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let newer = findings(&bench.setpoint(&["doctor", "--json"]));
    has(&newer, &["state | bad", "newer version (schema 999", "use that version", "keep a copy"]);

    let (true, Some(_)) = (root_or_skip(), find_or_skip("unshare")) else { return };
    // A file system in a namespace of its own, which goes with the program.
    let on = |options: &str, before: &str| {
        let program = cargo_bin("setpoint");
        let (state, program) = (state.display(), program.display());
        let script = format!("mount -t tmpfs -o {options} none {state} && {before} exec {program} doctor --json");
        findings(&Run::of(&bench.isolated("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap()))
    };
    let place = state.display().to_string();
    let full = on("size=256k", &format!("head -c 1m /dev/zero > {place}/filler 2> /dev/null;"));
    has(&full, &["state | bad", "is full", &format!("free space on the file system that holds {place}")]);
    has(&full, &["disk | warning", "0B free for the state folder", &format!("that holds {place}")]);
    assert!(full.iter().all(|line| !line.contains("image prune") || !line.contains("state folder")), "{full:#?}");
    let read_only = on("ro", "");
    has(&read_only, &["state | bad", "Read-only file system", "mount its file system writable"]);
}
