//! What an earlier round left decides what the next one does, on the real engine.

use super::cli::{docker, host, text};
use std::time::Duration;

#[test]
fn a_service_that_may_end_and_ends_well_within_its_window_is_done_and_not_run_again() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"2s\"");
    let out = host.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let job = |restart: &str| {
        let write = format!("command: [sh, -c, 'echo ran >> /out/{restart}']");
        format!("{write}\nrestart: '{restart}'\nvolumes: ['{}:/out']", out.display())
    };
    let commit = host.want(&[("once", &job("no")), ("careful", &job("on-failure")), ("web", "")]);
    let ran = || ["no", "on-failure"].map(|name| std::fs::read_to_string(out.join(name)).unwrap());
    for _ in 0..2 {
        let daemon = host.daemon_of(&host.repo(), "resync \"500ms\"");
        host.converged(&commit, &daemon);
        // Another container's end makes it look once more, and so does each resync.
        docker(&["kill", &host.container("web")]);
        std::thread::sleep(Duration::from_secs(4));
        host.converged(&commit, &daemon);
        assert_eq!(ran(), ["ran\n", "ran\n"], "{}", daemon.log());
        let status = host.status();
        assert_eq!(status["sync"], "in-sync", "{status}");
        let all = status["instances"].as_array().unwrap();
        let ended = all.iter().filter(|one| text(&one["state"]) == "exited (0)").count();
        assert_eq!(ended, 2, "{status}");
        assert_eq!(daemon.stop(), Some(0));
    }
    host.apply();
    assert_eq!(ran(), ["ran\n", "ran\n"]);
}

#[test]
fn under_continue_what_needs_a_failed_one_stays_held_and_the_rest_goes_on() {
    let Some(host) = host() else { return };
    host.settings("on-failure \"continue\"");
    let bad = "command: [sh, -c, 'exit 5']\nrestart: 'no'";
    let needs = "depends_on: {bad: healthy}";
    host.want(&[("bad", bad), ("needs", needs), ("deep", "depends_on: [needs]"), ("free", "")]);
    host.fails();
    assert_eq!(host.containers(), ["bad-1", "free-1"]);
    let (failed, free) = (host.id("bad"), host.id("free"));
    for round in 0..2 {
        let changed = format!("env: {{ROUND: '{round}'}}");
        host.want(&[("bad", bad), ("needs", needs), ("deep", "depends_on: [needs]"), ("free", &changed)]);
        let said = host.held(&[]);
        assert_eq!(host.containers(), ["bad-1", "free-1"], "{said}");
        assert_eq!(host.id("bad"), failed, "what failed is not tried again: {said}");
        let env = host.inspect("free")["Config"]["Env"].to_string();
        assert!(env.contains(&format!("ROUND={round}")), "{env}");
    }
    assert_ne!(host.id("free"), free);
    host.want(&[("bad", ""), ("needs", needs), ("deep", "depends_on: [needs]"), ("free", "")]);
    host.apply();
    assert_eq!(host.containers(), ["bad-1", "deep-1", "free-1", "needs-1"]);
}
