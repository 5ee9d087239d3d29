//! A new version that does not come up: the old one serves on, and everything that can be asked says what happened.

use super::cli::{Host, block_on, docker, host, image, port, text, within};
use super::support::import;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const SERVES: &str = "command: [httpd, -f, -p, '80', -h, /etc]";

/// Whether something serves HTTP there.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let _ = stream.write_all(b"GET /hostname HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut answer));
    answer.starts_with("HTTP/1.")
}

/// The host port that the engine chose for a service.
fn published(host: &Host, service: &str) -> u16 {
    let line = docker(&["port", &host.container(service), "80/tcp"]);
    line.lines().next().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

/// Asks a port all the time; says how often it was asked and how often nobody answered.
struct Watch {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
    asked: Arc<AtomicU32>,
    silent: Arc<AtomicU32>,
}

impl Watch {
    fn start(port: u16) -> Self {
        let (over, asked, silent) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let seen = (Arc::clone(&over), Arc::clone(&asked), Arc::clone(&silent));
        let thread = std::thread::spawn(move || {
            while !seen.0.load(Ordering::Relaxed) {
                seen.1.fetch_add(1, Ordering::Relaxed);
                seen.2.fetch_add(u32::from(!answers(port)), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { over, thread, asked, silent }
    }

    fn stop(self) -> (u32, u32) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        (self.asked.load(Ordering::Relaxed), self.silent.load(Ordering::Relaxed))
    }
}

const EXITS: &str = "command: [sh, -c, 'echo boom; exit 3']";
const SICK: &str = "healthcheck: {command: 'echo sick; false', interval: 200ms, retries: 1}";
const SLOW: &str = "healthcheck: {command: 'false', interval: 200ms, start_period: 600}";

#[test]
fn the_old_version_serves_on() {
    let Some(host) = host() else { return };
    host.settings("startup-timeout \"6s\"");
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let fixed = format!("{SERVES}\nports: ['127.0.0.1:{}:80']", port());
    let old = format!("{SERVES}\nports: ['127.0.0.1::80']");
    let names = ["exits", "sick", "slow", "image", "port", "fixed"];
    let mut services: Vec<(&str, &str)> = names.iter().map(|name| (*name, old.as_str())).collect();
    services[5].1 = &fixed;
    host.want(&services);
    host.apply();
    let ids = || names.map(|name| host.id(name));
    let before = ids();
    let watches: Vec<Watch> = names[..3].iter().map(|name| Watch::start(published(&host, name))).collect();

    let bad = [
        format!("{EXITS}\nports: ['127.0.0.1::80']"),
        format!("{old}\n{SICK}"),
        format!("{old}\n{SLOW}"),
        format!("{old}\nimage: 127.0.0.1:1/{}:1", host.named("none")),
        format!("{SERVES}\nports: ['{}:80']", taken.local_addr().unwrap().port()),
        format!("{fixed}\n{EXITS}").replace(&format!("{SERVES}\n"), ""),
    ];
    let services: Vec<(&str, &str)> = names.iter().copied().zip(bad.iter().map(String::as_str)).collect();
    let commit = host.want(&services);
    let said = host.fails();

    assert_eq!(ids(), before, "the old containers are still there\n{said}");
    for watch in watches {
        let (asked, silent) = watch.stop();
        assert!(asked > 10 && silent == 0, "{silent} of {asked} requests found nobody");
    }
    for name in names {
        let port = published(&host, name);
        assert!(within(Duration::from_secs(5), || answers(port)), "{name} does not serve any more\n{said}");
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("{name}-1")).collect();
    expected.sort();
    assert_eq!(host.containers(), expected, "nothing is left of the new ones");
    for evidence in ["log    boom", "and was restarted by the engine", "sick", "unhealthy", "6 failed"] {
        assert!(said.contains(evidence), "`{evidence}` is not in\n{said}");
    }

    // Those that failed their gate are held; the others are what they were: to be done.
    let plan = host.plan();
    let held: Vec<&str> = plan["held"].as_array().unwrap().iter().map(|row| text(&row["subject"])).collect();
    for name in ["exits", "sick", "slow", "fixed"] {
        assert!(held.iter().any(|subject| subject.ends_with(&format!("/{name}/1"))), "{name}: {held:?}");
    }
    let why = host.ok(&["why", &format!("{}/exits/1", host.name), "--environment", &host.name]);
    for evidence in [
        &commit[..7],
        "deployments/main.yaml:",
        "FAILED",
        "and was restarted by the engine",
        "log    boom",
        "the old container was put back",
    ] {
        assert!(why.contains(evidence), "`{evidence}` is not in\n{why}");
    }
    let failed = host.events().into_iter().filter(|event| event["kind"] == "step_failed");
    let failed: Vec<String> = failed.map(|event| text(&event["subject"]).to_owned()).collect();
    assert_eq!(failed.len(), 6, "{failed:?}");

    // Back to what was good, nothing needs to be done.
    drop(taken);
    host.git(&["revert", "--no-edit", "HEAD"]);
    host.apply();
    assert_eq!(ids(), before);
}

#[test]
fn what_failed_is_not_tried_again_until_it_is_asked_for() {
    let Some(host) = host() else { return };
    let flag = host.dir.path().join("flag");
    std::fs::create_dir(&flag).unwrap();
    let line = "command: [sh, -c, 'test -e /flag/good && exec sleep 600; echo no flag; exit 4']";
    let service = format!("{line}\nvolumes: ['{}:/flag:ro']", flag.display());
    host.want(&[("app", "")]);
    host.apply();
    let id = host.id("app");
    host.want(&[("app", &service)]);
    host.fails();
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(3), "{}", run.out);
    let release = format!("setpoint apply --allow retry:{}/app", host.name);
    assert!(run.out.contains("did not become healthy"), "{}", run.out);
    assert!(run.out.contains(&release), "{}", run.out);
    let steps = || host.events().iter().filter(|event| event["kind"] == "step_started").count();
    let before = steps();
    host.held(&[]);
    assert_eq!((steps(), host.id("app")), (before, id.clone()), "it is not tried again by itself");

    let retry = format!("retry:{}/app", host.name);
    let run = host.run(&["apply", "--yes", "--allow", &retry]);
    assert_eq!((run.code, host.id("app")), (Some(1), id.clone()), "{}{}", run.out, run.err);
    std::fs::write(flag.join("good"), "").unwrap();
    host.apply_with(&["--allow", &retry]);
    assert_ne!(host.id("app"), id);
}

#[test]
fn a_daemon_leaves_what_failed_alone_until_git_changes_it() {
    let Some(host) = host() else { return };
    let good = host.want(&[("app", ""), ("other", "")]);
    let daemon = host.daemon();
    host.converged(&good, &daemon);
    let id = host.id("app");
    let bad = host.want(&[("app", EXITS), ("other", "env: {A: '1'}")]);
    let quarantined = || host.status()["instances"][0]["quarantined"].is_string();
    host.until(&daemon, "app is quarantined", quarantined);
    let failed = || host.events().iter().filter(|event| event["kind"] == "step_failed").count();
    let before = failed();
    for _ in 0..4 {
        host.ok(&["poke"]);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!((failed(), host.id("app")), (before, id), "it is not tried again");
    assert_eq!(before, 1);
    let status = host.ok(&["status"]);
    assert!(status.contains("quarantined: ") && status.contains("was restarted by the engine"), "{status}");
    assert!(status.contains(&bad[..7]), "{status}");
    assert_eq!(host.status()["revision"]["applied"]["commit"], good.as_str());
    let (_, after_the_failure) =
        daemon.log().split_once("step failed").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(!after_the_failure.contains("in sync"), "a commit of which something failed is not called applied");
    assert!(host.inspect("other")["Config"]["Env"].to_string().contains("A=1"), "the rest of the commit is applied");
    let better = host.want(&[("app", "env: {B: '1'}"), ("other", "env: {A: '1'}")]);
    host.converged(&better, &daemon);
}

/// `verb subject-id state` of each step of an apply.
fn outcome(host: &Host) -> Vec<String> {
    let run = host.run(&["apply", "--yes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}{}", run.out, run.err));
    let of = |result: &serde_json::Value| {
        let service = text(&result["subject"]).rsplit('/').nth(1).unwrap_or_default().to_owned();
        format!("{} {service} {}", text(&result["action"]), text(&result["state"]))
    };
    let mut all: Vec<String> = report["results"].as_array().unwrap().iter().map(of).collect();
    all.sort();
    all
}

#[test]
fn a_failed_step_blocks_only_what_needs_it() {
    let Some(host) = host() else { return };
    let v2 = "env: {V: '2'}";
    host.want(&[
        ("bad", EXITS),
        ("needs", "depends_on: {bad: healthy}"),
        ("deep", "depends_on: [needs]"),
        ("free", ""),
    ]);
    assert_eq!(
        outcome(&host),
        ["create bad failed", "create deep skipped", "create free done", "create needs skipped"]
    );
    assert_eq!(host.containers(), ["bad-1", "free-1"], "what was never better stays, to be looked at");

    host.settings("on-failure \"halt\"\nstrategy \"sequential\"");
    let other = format!("{EXITS}\n{v2}");
    host.want(&[("first", ""), ("bad", &other), ("free", v2), ("last", "")]);
    let all = outcome(&host);
    assert_eq!(all.iter().filter(|line| line.ends_with(" skipped")).count(), 2, "{all:?}");

    host.settings("on-failure \"continue\"\nstrategy \"sequential\"");
    host.want(&[("bad", "command: [sh, -c, 'exit 5']\nrestart: 'no'"), ("free", v2), ("last", v2)]);
    let all = outcome(&host);
    assert!(all.contains(&"replace bad failed".to_owned()), "{all:?}");
    assert!(all.iter().any(|line| line.contains("last done")), "{all:?}");
    assert!(host.containers().contains(&"bad-1".to_owned()), "it is left as it is, to be looked at");
}

#[test]
fn one_by_one_or_several_at_once() {
    let Some(host) = host() else { return };
    // How many steps were under way at most, by the record.
    let most = |from: usize| {
        let (mut now, mut most) = (0, 0);
        for event in host.events().iter().skip(from) {
            now += match text(&event["kind"]) {
                "step_started" => 1,
                "step_done" => -1,
                _ => 0,
            };
            most = most.max(now);
        }
        most
    };
    let four = |value: &str| {
        let line = format!("env: {{V: '{value}'}}");
        host.want(&["a", "b", "c", "d"].map(|id| (id, line.as_str())));
    };
    host.settings("strategy \"sequential\"");
    four("1");
    host.apply();
    assert_eq!(most(0), 1);
    let seen = host.events().len();
    host.settings("strategy \"parallel\" max-parallel=2\nstability-window \"1s\"");
    four("2");
    host.apply();
    assert_eq!(most(seen), 2);
    let seen = host.events().len();
    host.settings("strategy \"parallel\" max-parallel=4\nstability-window \"1s\"");
    four("3");
    host.apply();
    assert_eq!(most(seen), 4);
    assert_eq!(
        docker(&[
            "ps",
            "--quiet",
            "--filter",
            &format!("ancestor={}", image()),
            "--filter",
            &format!("name={}-", host.name)
        ])
        .lines()
        .count(),
        4
    );
}

/// A need is met by a state, not by the absence of a step: what failed once is not forgotten by the next apply.
#[test]
fn what_needs_a_failed_job_does_not_start_in_later_applies() {
    let Some(host) = host() else { return };
    host.settings("startup-timeout \"20s\"");
    let job = |code: u8| format!("command: [sh, -c, 'exit {code}']\nrestart: 'no'");
    host.want(&[("migrate", &job(1)), ("api", "depends_on: {migrate: completed}")]);
    host.fails();
    assert_eq!(host.containers(), ["migrate-1"]);
    for _ in 0..2 {
        let out = host.held(&[]);
        assert!(out.contains("needs"), "{out}");
        assert_eq!(host.containers(), ["migrate-1"], "the job failed, so that what needs it does not start");
    }
    host.want(&[("migrate", &job(0)), ("api", "depends_on: {migrate: completed}")]);
    host.apply();
    assert_eq!(host.containers(), ["api-1", "migrate-1"]);
    let job = host.id("migrate");
    host.apply();
    assert_eq!(host.id("migrate"), job, "a job that ended well is done");
}

/// What an image keeps in a volume that nobody declared is not lost by a replacement.
#[test]
fn anonymous_volumes_go_over_to_the_replacement() {
    let Some(host) = host() else { return };
    let image = format!("{}:volume", host.named("app"));
    block_on(import(&image, &["VOLUME /data"]));
    host.want(&[("db", &format!("image: {image}"))]);
    host.apply();
    let volume = |host: &Host| text(&host.inspect("db")["Mounts"][0]["Name"]).to_owned();
    let first = volume(&host);
    docker(&["exec", &host.container("db"), "sh", "-c", "echo kept > /data/file"]);
    for round in 0..2 {
        let before = host.id("db");
        host.want(&[("db", &format!("image: {image}\nenv: {{ROUND: '{round}'}}"))]);
        let plan = host.plan();
        assert!(text(&plan["steps"][0]["reason"]).contains("stop-first"), "{plan}");
        host.apply();
        assert_ne!(host.id("db"), before);
        assert_eq!(volume(&host), first);
        assert_eq!(docker(&["exec", &host.container("db"), "cat", "/data/file"]).trim(), "kept");
    }
    // Something else mounted there would leave the content behind.
    host.want(&[("db", &format!("image: {image}\nvolumes: ['fresh:/data']"))]);
    let out = host.held(&[]);
    assert!(
        out.contains("the data at /data (in an anonymous volume) would be lost") && out.contains("--allow data-loss:"),
        "{out}"
    );
    assert_eq!(volume(&host), first);
    let out = host.ok(&["apply", "--yes", "--allow", &format!("data-loss:{}/db/1", host.name)]);
    assert!(out.contains("DATA LOSS: 1"), "{out}");
    docker(&["volume", "rm", &first]);
}
