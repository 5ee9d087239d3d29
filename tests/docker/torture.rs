//! Random commits, failures, kills, drift and restarts, for as long as one likes: the end state is the last commit, nothing foreign was
//! touched and no data was lost. Behind a flag, because it takes its time:
//!
//! ```text
//! SETPOINT_TORTURE=3600 cargo test --locked --test docker -- --ignored --nocapture torture
//! ```
//!
//! `SETPOINT_SEED` replays the choices of a run; what becomes of them also depends on the engine's pace.

use super::cli::{Daemon, Host, docker, host, image, inspect, signal, within};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many services come and go.
const SERVICES: usize = 10;
/// How long the host may take to be as the last commit asks.
const SETTLE: Duration = Duration::from_secs(300);
const SERVES: &str = "command: [httpd, -f, -p, '80', -h, /etc]\nports: ['127.0.0.1::80']";
/// Adds a line to its volume with each start.
const WRITES: &str = "command: [sh, -c, 'echo x >> /data/starts; exec sleep 600']\nvolumes: ['data:/data']";

/// The lines of a service in one of its versions. `calm` leaves out what fails.
fn lines(index: usize, version: u32, calm: bool) -> String {
    let env = format!("env: {{VERSION: '{version}'}}");
    match index {
        0 => format!("{SERVES}\nhealthcheck: {{http: ':80/hosts', interval: 1}}\n{env}"),
        1 => format!("depends_on: {{s0: healthy}}\n{env}"),
        2 => format!("{WRITES}\n{env}"),
        3 => format!("replicas: {}\n{env}", 1 + version % 3),
        4 => format!("restart: {}", if version.is_multiple_of(2) { "always" } else { "unless-stopped" }),
        5 if !calm && version.is_multiple_of(3) => format!("command: [sh, -c, 'exit 3']\n{env}"),
        6 => format!("command: [sh, -c, 'exit 0']\nrestart: 'no'\n{env}"),
        7 => format!("depends_on: {{s6: completed}}\n{env}"),
        8 => format!("resources: {{memory: {}}}", 32 + 16 * (version % 3)),
        9 if !calm && version.is_multiple_of(4) => {
            format!("{SERVES}\nhealthcheck: {{http: ':80/nothing', interval: 1, retries: 1}}\n{env}")
        }
        _ => env,
    }
}

/// What happened how often.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

struct World<'a> {
    host: &'a Host,
    random: Rng,
    versions: [u32; SERVICES],
    present: [bool; SERVICES],
    tally: Tally,
}

impl World<'_> {
    /// Commits what the versions say.
    fn commit(&self, calm: bool) -> String {
        let services: Vec<(String, String)> = (0..SERVICES)
            .filter(|index| self.present[*index])
            .map(|index| (format!("s{index}"), lines(index, self.versions[index], calm)))
            .collect();
        let services: Vec<(&str, &str)> = services.iter().map(|(id, lines)| (id.as_str(), lines.as_str())).collect();
        let text = self.host.deployment(&self.host.name, "volumes: {data: {}}", &services);
        self.host.write("deployments/main.yaml", text);
        self.host.commit("change")
    }

    fn change(&mut self) {
        let broken = self.random.u32(0..12) == 0;
        for index in 0..SERVICES {
            if self.random.bool() {
                self.versions[index] += 1;
            }
            // The others need the first and the seventh, and the third has the data.
            if !matches!(index, 0 | 2 | 6) && self.random.u32(0..8) == 0 {
                self.present[index] = !self.present[index];
            }
        }
        if broken {
            self.host.write("deployments/broken.yaml", "deployment: {name: broken, services: [{id: a, imagee: x}]}\n");
            self.commit(false);
            std::fs::remove_file(self.host.repo().join("deployments/broken.yaml")).unwrap();
            self.tally.count("commit that does not validate");
        } else {
            self.commit(false);
            self.tally.count("commit");
        }
    }

    /// Does something to a container behind the program's back; what is gone meanwhile does not count.
    fn meddle(&mut self) {
        let mut names = self.host.containers();
        names.retain(|name| name != "foreign");
        if names.is_empty() {
            return;
        }
        let name = self.host.named(&names[self.random.usize(0..names.len())]);
        let (what, args): (&'static str, &[&str]) = match self.random.u32(0..8) {
            0 => ("kill", &["kill"]),
            1 => ("stop", &["stop", "--time", "0"]),
            2 => ("remove", &["rm", "--force"]),
            3 => ("pause", &["pause"]),
            4 => ("restart", &["restart", "--time", "0"]),
            5 => ("limit", &["update", "--memory", "100m", "--memory-swap", "200m"]),
            6 => ("rename", &["rename"]),
            _ => ("policy", &["update", "--restart", "on-failure"]),
        };
        let mut command = super::engine::client();
        command.args(args).arg(&name);
        if what == "rename" {
            command.arg(format!("{name}-renamed"));
        }
        if command.output().unwrap().status.success() {
            self.tally.count(what);
        }
    }
}

/// Resident memory of a process in KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[test]
#[ignore = "runs for as many seconds as SETPOINT_TORTURE says"]
fn whatever_happens_the_end_state_is_the_last_commit() {
    let Some(host) = host() else { return };
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the program")]
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let length = Duration::from_secs(number("SETPOINT_TORTURE").unwrap_or(60));
    let seed = number("SETPOINT_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("torture: {} s, SETPOINT_SEED={seed}", length.as_secs());
    let (volume, network, foreign) = (host.named("v"), host.named("n"), host.named("foreign"));
    docker(&["volume", "create", &volume]);
    docker(&["network", "create", &network]);
    docker(&["run", "--detach", "--name", &foreign, "--network", "none", &image(), "sleep", "100000"]);
    let before = inspect(&foreign);

    let mut world = World {
        host: &host,
        random: Rng::with_seed(seed),
        versions: [0; SERVICES],
        present: [true; SERVICES],
        tally: Tally::default(),
    };
    world.commit(true);
    let mut daemon = host.daemon();
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < length {
        match world.random.u32(0..20) {
            0..=4 => world.change(),
            5..=13 => world.meddle(),
            14 => {
                daemon.kill();
                daemon = host.daemon();
                world.tally.count("daemon killed");
            }
            15 => {
                signal(&daemon.child, "TERM");
                assert_eq!(daemon.child.wait().unwrap().code(), Some(0), "{}", daemon.log());
                daemon = host.daemon();
                world.tally.count("daemon stopped");
            }
            16 => {
                let mut child = host.command(&["apply", "--yes"]).stdout(std::process::Stdio::null()).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(world.random.u64(0..3000)));
                let _ = child.kill();
                child.wait().unwrap();
                world.tally.count("apply beside the daemon, killed");
            }
            _ => std::thread::sleep(Duration::from_millis(world.random.u64(0..4000))),
        }
        std::thread::sleep(Duration::from_millis(world.random.u64(0..1000)));
        most = most.max(resident(&daemon));
        assert_eq!(inspect(&foreign)["Id"], before["Id"], "what is foreign was touched; seed {seed}");
    }

    // A change of each service lifts what is held after that many repairs.
    world.versions.iter_mut().for_each(|version| *version = 1000 + *version % 2);
    world.present = [true; SERVICES];
    let last = world.commit(true);
    let in_time = within(SETTLE, || {
        let status = host.status();
        status["revision"]["applied"]["commit"] == last.as_str() && status["sync"] == "in-sync"
    });
    let status = host.run(&["status"]);
    assert!(
        in_time,
        "seed {seed}: not as the last commit after {} s\n{}\n{}",
        SETTLE.as_secs(),
        status.out,
        daemon.log()
    );
    let rss = resident(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    let replicas = 1 + world.versions[3] % 3;
    let mut wanted: Vec<String> = (0..SERVICES).map(|index| format!("s{index}-1")).collect();
    wanted.extend((2..=replicas).map(|slot| format!("s3-{slot}")));
    wanted.push("foreign".to_owned());
    wanted.sort();
    assert_eq!(host.containers(), wanted, "seed {seed}");
    host.settled();
    let after = inspect(&foreign);
    assert_eq!((&after["Id"], &after["State"]), (&before["Id"], &before["State"]), "seed {seed}");
    assert!(
        docker(&["volume", "inspect", &volume]).contains(&volume)
            && docker(&["network", "inspect", &network]).contains(&network)
    );
    // Each start of the service added a line, and none is lost with a container.
    let starts = docker(&["exec", &host.container("s2"), "busybox", "wc", "-l", "/data/starts"]);
    let starts: u32 = starts.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(starts > 0, "the data is lost; seed {seed}");
    let size = std::fs::metadata(host.state().join("setpoint.db")).map_or(0, |file| file.len());
    eprintln!("torture: {} s, seed {seed}; in sync with {}", began.elapsed().as_secs(), last);
    for (what, count) in &world.tally.0 {
        eprintln!("  {count:5}  {what}");
    }
    eprintln!("  {starts:5}  starts of the service with data, each on record in its volume");
    eprintln!("  daemon: {rss} KiB resident at the end, {most} KiB at most; database {} KiB", size / 1024);
}
