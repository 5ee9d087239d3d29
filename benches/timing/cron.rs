//! A daemon with ten thousand cron schedules: how late its runs begin, and what it takes while nothing is due.

use crate::figures::{Times, note, verdict};
use crate::process::{Process, program};
use crate::rig::runner;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ENTRIES: u32 = 10_000;
const WATCHED: Duration = Duration::from_secs(60);

pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let (_runner, address) = runner(folder.path(), 16);
    // Each once an hour at a second of its own, so that about three are due in each second.
    let hourly = |entry: u32| format!("{} {} * * * *", entry % 60, entry / 60 % 60);
    let repo = commit(folder.path(), "hourly", &address, ENTRIES, hourly);
    let daemon = Daemon::start(folder.path(), "hourly", &repo);
    let begin = now();
    std::thread::sleep(WATCHED);
    let end = now();
    // What is due at the end may still run.
    std::thread::sleep(Duration::from_secs(5));
    let late = daemon.late(begin, end);
    drop(daemon);
    // A due time that was skipped, missed or refused has no start, and must not improve the figure by that.
    let (due, began) = (due_within(begin, end), late.count());
    verdict(
        "10,000 cron entries, runs that began of those that were due",
        &format!("{began} of {due}"),
        "all",
        began == due,
    );
    assert_eq!(began, due, "due times without a run");
    note("10,000 cron entries, due time to the true start of the first task", &late.micros());
    let p99 = late.quantile(0.99).as_secs_f64() * 1e3;
    verdict("10,000 cron entries, fire error, p99", &format!("{p99:.2} ms"), "<= 5 ms", p99 <= 5.0);

    // In a month that is neither this one nor the next.
    let month = (jiff::Zoned::new(now(), jiff::tz::TimeZone::UTC).month() + 5) % 12 + 1;
    let yearly = |entry: u32| format!("{} {} 3 1 {month} *", entry % 60, entry / 60 % 60);
    let repo = commit(folder.path(), "yearly", &address, ENTRIES, yearly);
    let daemon = Daemon::start(folder.path(), "yearly", &repo);
    let (begin, before) = (Instant::now(), daemon.process.cpu());
    std::thread::sleep(WATCHED);
    let share = (daemon.process.cpu() - before) / begin.elapsed().as_secs_f64() * 100.0;
    verdict("10,000 cron entries, idle", &format!("{share:.2} % of one core"), "<= 1 %", share <= 1.0);
}

/// How many of the hourly entries are due after `begin` and up to `end`.
fn due_within(begin: jiff::Timestamp, end: jiff::Timestamp) -> usize {
    let seconds = begin.as_second() + 1..=end.as_second();
    let at = |second: i64| (0..ENTRIES).filter(move |entry| i64::from(entry % 3600) == second.rem_euclid(3600)).count();
    seconds.map(at).sum()
}

#[expect(clippy::disallowed_methods, reason = "due times are compared with it")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

pub fn commit(folder: &Path, name: &str, address: &str, entries: u32, cron: impl Fn(u32) -> String) -> PathBuf {
    let repo = folder.join(name);
    let schedules = repo.join("schedules");
    std::fs::create_dir_all(&schedules).unwrap();
    for entry in 0..entries {
        let text = format!(
            "schedule:\n  name: s{entry}\n  start: {{cron: \"{}\", zone: UTC}}\n  missed: skip\n  tasks:\n    \
             - {{id: a, address: \"{address}\", scheduled_time: 0}}\n",
            cron(entry)
        );
        std::fs::write(schedules.join(format!("s{entry}.yaml")), text).unwrap();
    }
    let identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-C", repo.to_str().unwrap()];
    let commands: [&[&str]; 3] = [&["init", "-q", "-b", "main"], &["add", "-A"], &["commit", "-q", "-m", "schedules"]];
    for words in commands {
        assert!(Command::new("git").args(identity).args(words).status().unwrap().success());
    }
    repo
}

pub struct Daemon {
    process: Process,
    state: PathBuf,
}

impl Daemon {
    /// Starts it and waits until the commit is applied.
    pub fn start(folder: &Path, name: &str, repo: &Path) -> Self {
        let state = folder.join(format!("{name}-state"));
        std::fs::create_dir_all(&state).unwrap();
        let config = folder.join(format!("{name}.kdl"));
        let listen = format!("unix:{}", folder.join(format!("{name}.sock")).display());
        let text = format!(
            "repo {repo:?} branch=\"main\"\norchestrator listen={listen:?} policy=\"fifo\" priority=80 lock-memory=#true\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(program())
            .env("SETPOINT_STATE_DIR", &state)
            .args(["daemon", "--config"])
            .arg(config)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { process: Process(child), state };
        let begin = Instant::now();
        while daemon.asked(&["status"]).is_none_or(|status| status["revision"]["applied"].is_null()) {
            assert!(begin.elapsed() < Duration::from_secs(120), "the commit is not applied");
            std::thread::sleep(Duration::from_millis(200));
        }
        // The schedules are taken up after that.
        std::thread::sleep(Duration::from_secs(10));
        daemon
    }

    fn asked(&self, words: &[&str]) -> Option<Value> {
        let out =
            Command::new(program()).env("SETPOINT_STATE_DIR", &self.state).args(words).arg("--json").output().unwrap();
        serde_json::from_slice(&out.stdout).ok()
    }

    /// From the due time of each run in that time to the instant at which its task began, stamped where it runs.
    pub fn late(&self, since: jiff::Timestamp, until: jiff::Timestamp) -> Times {
        let mut late = Times::default();
        let runs = self.asked(&["runs", "--limit", "1000"]).unwrap();
        for run in runs["runs"].as_array().unwrap() {
            let record = self.asked(&["run", "show", run["id"].as_str().unwrap()]).unwrap();
            let run = &record["run"];
            let time = |key: &str| run[key].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let Some(first) = run["tasks"][0]["tries"][0]["started_ns"].as_i64() else { continue };
            let began = time("started_at").unwrap().as_nanosecond() + i128::from(first);
            let due = time("due").unwrap();
            if due <= since || due > until {
                continue;
            }
            let error = began - due.as_nanosecond();
            late.add(Duration::from_nanos(u64::try_from(error).expect("no run begins early")));
        }
        late
    }
}
