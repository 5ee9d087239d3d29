//! The daemon as a process: commits, repos that go away, restarts, and people who work beside it.

use super::cli::{Host, docker, git, host, inspect, text, within};
use std::process::Stdio;
use std::time::{Duration, Instant};

const NEVER: &str = "healthcheck: {command: 'false', interval: 200ms, start_period: 600}";

#[test]
fn commits_are_followed() {
    let Some(host) = host() else { return };
    let first = host.want(&[("a", "")]);
    let daemon = host.daemon();
    host.converged(&first, &daemon);
    host.settled();
    let id = host.id("a");

    // A commit that does not validate changes nothing and is reported with all its mistakes.
    host.want(&[("a", "env: {A: '1'}"), ("b", "imagee: none\nmemory: much")]);
    let broken = host.git(&["rev-parse", "HEAD"]);
    host.until(&daemon, "the commit is rejected", || {
        host.status()["revision"]["rejected"]["revision"]["commit"] == broken.as_str()
    });
    assert_eq!((host.id("a"), host.containers()), (id.clone(), vec!["a-1".to_owned()]));
    let status = host.ok(&["status"]);
    assert!(status.contains("REJECTED") && status.contains("2 mistakes"), "{status}");
    assert!(status.contains("deployments/main.yaml:") && status.contains("imagee"), "the report itself: {status}");
    let log = daemon.log();
    let first_line = log.lines().next().unwrap_or_default();
    assert!(
        first_line.contains(env!("CARGO_PKG_VERSION")) && first_line.contains(host.repo().to_str().unwrap()),
        "{log}"
    );
    assert!(log.contains("imagee"), "the log says what is wrong: {log}");
    assert!(text(&host.status()["revision"]["rejected"]["report"]).contains("deployments/main.yaml:"));
    let rejected = host.events().iter().filter(|event| event["kind"] == "revision_rejected").count();
    assert_eq!(rejected, 1);

    // A newer commit does not wait for the health of an older one.
    host.settings("startup-timeout \"300s\"");
    let waits = host.want(&[("a", NEVER)]);
    host.until(&daemon, "the health is waited for", || {
        inspect(&host.named("a-1.next"))["State"]["Running"] == true
            && host.status()["revision"]["wanted"]["commit"] == waits.as_str()
    });
    let began = Instant::now();
    let newer = host.want(&[("a", "env: {A: '2'}")]);
    host.converged(&newer, &daemon);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(host.containers(), ["a-1"]);
    assert_eq!(
        host.status()["instances"][0]["quarantined"],
        serde_json::Value::Null,
        "what was not waited for did not fail"
    );

    // History that is rewritten is followed like any other.
    host.git(&["reset", "--quiet", "--hard", &first]);
    let rewritten = host.want(&[("a", ""), ("c", "")]);
    host.converged(&rewritten, &daemon);
    assert_eq!(host.containers(), ["a-1", "c-1"]);
    assert_eq!(daemon.stop(), Some(0));
}

/// Health that setpoint checks itself outlives whoever found it: `status` after an apply knows it, a daemon that starts later makes no
/// history of it, and «since» is the container's time.
#[test]
fn health_and_since_are_the_containers_and_not_the_daemons() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"0ms\"");
    let commit = host.want(&[("web", "command: [httpd, -f, -p, '80', -h, /etc]\nhealthcheck: {http: ':80/hosts', interval: 1}\nports: ['127.0.0.1::80']")]);
    host.apply();
    let instance = |status: &serde_json::Value| {
        let one = &status["instances"][0];
        (text(&one["health"]).to_owned(), text(&one["since"]).to_owned())
    };
    assert_eq!(instance(&host.json(&["status"])).0, "healthy", "without a daemon");
    // Another check is a change of the check alone, although it would fail: nothing is judged by it before it is in force.
    host.want(&[(
        "web",
        "command: [httpd, -f, -p, '80', -h, /etc]\nhealthcheck: {http: ':80/nothing', interval: 1}\nports: ['127.0.0.1::80']",
    )]);
    let changes = host.changes();
    assert!(changes.len() == 1 && changes[0].contains(" probe git: "), "{changes:?}");
    host.git(&["reset", "--quiet", "--hard", &commit]);
    let changes = || host.events().iter().filter(|event| event["kind"] == "instance_changed").count();
    let (mut since, mut count) = (None, None);
    for round in 0..3 {
        let daemon = host.daemon();
        host.converged(&commit, &daemon);
        // Longer than it takes to check once.
        std::thread::sleep(Duration::from_secs(2));
        let (health, at) = instance(&host.status());
        assert_eq!(health, "healthy", "round {round}");
        assert_eq!(*since.get_or_insert_with(|| at.clone()), at, "round {round}: `since` is another");
        assert_eq!(*count.get_or_insert_with(changes), changes(), "round {round}: {:#?}", host.events());
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn a_repo_that_goes_away_stops_nothing() {
    let Some(host) = host() else { return };
    host.want(&[("a", "")]);
    let remote = host.dir.path().join("remote.git");
    git(host.dir.path(), &["clone", "--quiet", "--bare", "repo", "remote.git"]);
    let commit = host.git(&["rev-parse", "HEAD"]);
    let daemon = host.daemon_of(&remote, "");
    host.converged(&commit, &daemon);
    let away = host.dir.path().join("away.git");
    std::fs::rename(&remote, &away).unwrap();
    host.ok(&["poke"]);
    host.until(&daemon, "the repo is reported as unreachable", || host.status()["source"]["reachable"] == false);
    assert!(host.ok(&["status"]).contains("UNREACHABLE"));
    // Drift is repaired meanwhile.
    docker(&["rm", "--force", &host.container("a")]);
    host.until(&daemon, "the container is back", || inspect(&host.container("a"))["State"]["Running"] == true);
    // And when it comes back, so does its news.
    std::fs::rename(&away, &remote).unwrap();
    let newer = host.want(&[("a", "env: {A: '1'}")]);
    host.git(&["push", "--quiet", &remote.display().to_string(), "main"]);
    host.converged(&newer, &daemon);
    assert_eq!(host.status()["source"]["reachable"], true);
}

#[test]
fn a_restart_resumes_and_a_stop_is_clean() {
    let Some(host) = host() else { return };
    let first = host.want(&[("a", ""), ("b", "")]);
    let daemon = host.daemon();
    host.converged(&first, &daemon);
    let ids = [host.id("a"), host.id("b")];
    // A second one on the same state folder is refused, and says why.
    let config = host.dir.path().join("daemon.kdl");
    let second = host.run(&["daemon", "--config", &config.display().to_string()]);
    assert_eq!(second.code, Some(1), "{}{}", second.out, second.err);
    assert!(second.err.contains("sock") || second.err.contains("another"), "{}", second.err);
    assert_eq!(host.status()["revision"]["applied"]["commit"], first.as_str(), "the first goes on");

    let began = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "an idle daemon ends at once: {:?}", began.elapsed());
    let run = host.run(&["status", "--environment", &host.name]);
    assert!(run.err.contains("no daemon answers"), "{}", run.err);

    let second = host.want(&[("a", ""), ("b", ""), ("c", "")]);
    let daemon = host.daemon();
    host.converged(&second, &daemon);
    assert_eq!([host.id("a"), host.id("b")], ids);
    assert_eq!(daemon.stop(), Some(0));
    let kinds: Vec<String> = host.events().iter().map(|event| text(&event["kind"]).to_owned()).collect();
    let of = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
    assert_eq!((of("daemon_started"), of("daemon_stopped")), (2, 2), "{kinds:?}");

    // A deadline ends a wait that would last: the step in hand is a wait for health.
    host.settings("startup-timeout \"300s\"");
    host.want(&[("a", NEVER), ("b", ""), ("c", "")]);
    let daemon = host.daemon_of(&host.repo(), "shutdown-timeout \"2s\"");
    host.until(&daemon, "the health is waited for", || inspect(&host.named("a-1.next"))["State"]["Running"] == true);
    let began = Instant::now();
    daemon.stop();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    host.git(&["revert", "--no-edit", "HEAD"]);
    host.apply();
    assert_eq!(host.containers(), ["a-1", "b-1", "c-1"]);
    assert_eq!([host.id("a"), host.id("b")], ids);
}

#[test]
fn what_is_stopped_by_hand_stays_so() {
    let Some(host) = host() else { return };
    let services = [("db", ""), ("api", "depends_on: {db: healthy}"), ("web", "depends_on: [api]")];
    let commit = host.want(&services);
    let daemon = host.daemon();
    host.converged(&commit, &daemon);
    let running = || services.map(|(id, _)| host.inspect(id)["State"]["Running"] == true);
    let at = |id: &str, what: &str| text(&host.inspect(id)["State"][what]).to_owned();

    let environment = ["--environment", &host.name, "--yes"];
    let with = |verb: &'static str| [&[verb, host.name.as_str()], environment.as_slice()].concat();
    host.ok(&with("stop"));
    assert_eq!(running(), [false; 3]);
    assert!(at("web", "FinishedAt") < at("api", "FinishedAt") && at("api", "FinishedAt") < at("db", "FinishedAt"));
    for _ in 0..3 {
        host.ok(&["poke"]);
        std::thread::sleep(Duration::from_millis(700));
    }
    assert_eq!(running(), [false; 3], "the daemon leaves it alone");
    assert!(host.ok(&["status"]).contains("stopped by hand"));
    let noted = |kind: &str| host.events().iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(noted("suspended"), 1, "it is recorded once");
    host.want(&[("db", ""), ("api", "depends_on: {db: healthy}\nenv: {A: '1'}"), ("web", "depends_on: [api]")]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(running(), [false; 3], "also when Git changes it");

    host.ok(&with("start"));
    assert!(at("db", "StartedAt") < at("api", "StartedAt") && at("api", "StartedAt") < at("web", "StartedAt"));
    let commit = host.git(&["rev-parse", "HEAD"]);
    host.converged(&commit, &daemon);
    assert_eq!(running(), [true; 3]);
    assert_eq!(noted("resumed"), 1, "it is recorded once");

    host.ok(&with("cleanup"));
    assert_eq!(host.containers(), Vec::<String>::new());
    host.ok(&["poke"]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(host.containers(), Vec::<String>::new());
    host.ok(&with("start"));
    host.until(&daemon, "it is created again", || host.containers().len() == 3);
    host.converged(&commit, &daemon);
    assert_eq!(daemon.stop(), Some(0));
}

/// What a person stopped stays stopped, also when an engine that was restarted runs it again; what a person removed comes back when a
/// person applies.
#[test]
fn stopped_stays_stopped_and_removed_comes_back() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"0ms\"");
    let commit = host.want(&[("a", "restart: always")]);
    host.apply();
    let with = |verb: &'static str| [verb, "--environment", &host.name, "--yes"].map(str::to_owned);
    let ok = |verb| host.ok(&with(verb).iter().map(String::as_str).collect::<Vec<_>>());
    ok("stop");
    assert!(host.ok(&["status"]).contains("stopped by hand; `setpoint start"), "without a daemon");
    host.held(&[]);
    assert_eq!(host.inspect("a")["State"]["Running"], false);

    let daemon = host.daemon();
    host.until(&daemon, "the commit is read", || host.status()["revision"]["wanted"]["commit"] == commit.as_str());
    // As an engine does after its restart.
    docker(&["start", &host.container("a")]);
    host.until(&daemon, "it is stopped again", || host.inspect("a")["State"]["Running"] == false);
    assert_eq!(daemon.stop(), Some(0));

    ok("cleanup");
    assert_eq!(host.containers(), Vec::<String>::new());
    assert_eq!(host.steps().len(), 1, "the plan says what the apply will do");
    host.apply();
    assert_eq!(host.containers(), ["a-1"]);
}

#[test]
fn one_applies_at_a_time() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"3s\"");
    host.want(&[("a", "")]);
    let mut command = host.command(&["apply", "--yes"]);
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(within(Duration::from_secs(20), || inspect(&host.container("a"))["State"]["Running"] == true));
    let id = host.id("a");
    // The second waits for the first, and then finds nothing to do.
    let out = host.ok(&["apply", "--yes"]);
    assert!(out.contains("no changes"), "{out}");
    assert!(first.wait().unwrap().success());
    assert_eq!(host.id("a"), id);

    // A daemon that finds the host locked says so and goes on when it is free.
    let commit = host.want(&[("a", ""), ("b", "")]);
    let lock = std::fs::read_to_string(host.state().join("apply.lock")).unwrap();
    assert_eq!(lock, "", "nobody holds it");
    let holder = std::fs::File::open(host.state().join("apply.lock")).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let daemon = host.daemon();
    // Nobody wrote into the file who it is: the daemon waits all the same, and calls it no problem.
    host.until(&daemon, "the daemon waits for the lock", || host.status()["waits_for"].is_string());
    assert!(host.status()["problem"].is_null(), "{}", host.status());
    assert_eq!(host.containers(), ["a-1"]);
    drop(holder);
    host.converged(&commit, &daemon);
    assert_eq!(host.containers(), ["a-1", "b-1"]);
    assert_eq!(daemon.stop_by("INT"), Some(0));
}

#[test]
fn a_reviewed_plan_is_applied_or_nothing_is() {
    let Some(host) = host() else { return };
    host.want(&[("a", ""), ("b", "")]);
    let reviewed = text(&host.plan()["id"]).to_owned();
    host.want(&[("a", ""), ("b", "env: {A: '1'}"), ("c", "")]);
    let run = host.run(&["apply", "--yes", "--plan-id", &reviewed]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.err.contains("is stale, nothing was changed"), "{}", run.err);
    assert!(run.err.contains("+ ") && run.err.contains("/c/1"), "it says what moved: {}", run.err);
    assert_eq!(host.containers(), Vec::<String>::new());
    let now = text(&host.plan()["id"]).to_owned();
    // The id is the approval: nobody is asked, and nobody need be there.
    let approved = host.run(&["apply", "--plan-id", &now]);
    assert_eq!(approved.code, Some(0), "{}{}", approved.out, approved.err);
    assert_eq!(host.containers(), ["a-1", "b-1", "c-1"]);

    // The host moves, too.
    host.want(&[("a", "env: {A: '1'}"), ("b", "env: {A: '1'}"), ("c", "")]);
    let reviewed = text(&host.plan()["id"]).to_owned();
    docker(&["pause", &host.container("c")]);
    let run = host.run(&["apply", "--yes", "--plan-id", &reviewed]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.err.contains("paused"), "{}", run.err);
    docker(&["unpause", &host.container("c")]);
    host.apply_with(&["--plan-id", &reviewed]);
    let unknown = host.run(&["apply", "--yes", "--plan-id", "00000000"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("is not known here"), "{}", unknown.err);
}

/// An apply by hand is known to `why` like one of the daemon, and whoever applies beside a daemon hears that it follows another commit.
#[test]
fn an_apply_by_hand_is_on_record_and_warns_beside_a_daemon() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"0ms\"");
    host.deploy(&[("a", "")]);
    let first = host.commit("the reason for a");
    host.apply();
    let why = host.ok(&["why", &format!("{}/a/1", host.name)]);
    assert!(why.contains("the reason for a"), "{why}");
    let daemon = host.daemon();
    host.converged(&first, &daemon);
    // A clone with a commit that nobody pushed.
    let clone = host.dir.path().join("clone");
    git(host.dir.path(), &["clone", "--quiet", host.repo().to_str().unwrap(), clone.to_str().unwrap()]);
    std::fs::write(clone.join("note.txt"), "x").unwrap();
    git(&clone, &["add", "--all"]);
    git(&clone, &["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "not pushed"]);
    let output = host.command(&["apply", "--yes"]).current_dir(&clone).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the daemon on this host follows commit") && said.contains(&first[..7]), "{said}");
    assert_eq!(daemon.stop(), Some(0));
}

/// A container that somebody starts from a copy of ours is theirs, whatever labels it has.
#[test]
fn what_is_started_from_a_copy_of_our_container_is_not_ours() {
    let Some(host) = host() else { return };
    host.want(&[("a", "")]);
    host.apply();
    let (copy, name) = (host.named("copy"), host.named("debug"));
    docker(&["commit", &host.container("a"), &copy]);
    docker(&["run", "--detach", "--name", &name, "--network", "none", &copy]);
    let id = inspect(&name)["Id"].clone();
    host.settled();
    host.apply();
    assert_eq!((&inspect(&name)["Id"], inspect(&name)["State"]["Running"] == true), (&id, true));
}

#[test]
fn an_environment_belongs_to_one_repo() {
    let Some(host) = host() else { return };
    host.want(&[("a", "")]);
    host.apply();
    let id = host.id("a");
    // Another repo that names the same environment would take the first one's containers for dropped ones.
    let other = host.dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--initial-branch", "main"]);
    std::fs::copy(host.repo().join("setpoint.kdl"), other.join("setpoint.kdl")).unwrap();
    std::fs::create_dir(other.join("deployments")).unwrap();
    let text = host.deployment(&host.named("other"), "", &[("x", "")]);
    std::fs::write(other.join("deployments/other.yaml"), text).unwrap();
    git(&other, &["add", "--all"]);
    git(&other, &["commit", "--quiet", "--message", "another repo"]);
    let path = other.display().to_string();
    let run = host.run(&["apply", "--yes", "--allow", "prune", "--repo", &path]);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    assert!(run.err.contains(&host.name) && run.err.contains("repo"), "{}", run.err);
    assert_eq!((host.containers(), host.id("a")), (vec!["a-1".to_owned()], id));

    let daemon = host.daemon_of(&other, "");
    host.until(&daemon, "the daemon says so", || {
        super::cli::text(&host.status()["revision"]["rejected"]["report"]).contains(&host.name)
    });
    assert_eq!(host.containers(), ["a-1"]);
    drop(daemon);
    // A clone of the same repo is the same repo.
    git(host.dir.path(), &["clone", "--quiet", "repo", "clone"]);
    let clone = host.dir.path().join("clone").display().to_string();
    let out = host.ok(&["apply", "--yes", "--repo", &clone]);
    assert!(out.contains("no changes"), "{out}");
}

/// The daemon does not spin on what it cannot do.
#[test]
fn what_cannot_be_done_is_not_tried_without_pause() {
    let Some(host) = host() else { return };
    let none = format!("image: 127.0.0.1:1/{}:1", host.named("none"));
    host.want(&[("a", &none), ("b", "depends_on: {a: healthy}")]);
    let daemon = host.daemon();
    let plans = |host: &Host| host.events().iter().filter(|event| event["kind"] == "plan_made").count();
    host.until(&daemon, "the pull fails", || host.events().iter().any(|event| event["kind"] == "step_failed"));
    std::thread::sleep(Duration::from_secs(4));
    assert!(plans(&host) <= 3, "{} plans within seconds\n{}", plans(&host), daemon.log());
    let status = host.status();
    assert!(!status["waiting"].as_array().unwrap().is_empty(), "{status}");
    assert_eq!(daemon.stop(), Some(0));
}
