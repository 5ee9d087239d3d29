//! A folder, task servers in it, and runs of schedules whose results are read as programs read them.

use crate::process::{Process, program};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a task server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A runner of ours whose tasks end at once, with real-time threads and its memory locked.
pub fn runner(folder: &Path, parallel: usize) -> (Process, String) {
    let socket = folder.join("runner.sock");
    let address = format!("unix:{}", socket.display());
    let parallel = parallel.to_string();
    let child = Command::new(program())
        .args(["task", "--name", "sleep", "--address", &address, "--parallel", &parallel])
        .args(["--policy", "fifo", "--priority", "80", "--lock-memory"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    listens(|| std::os::unix::net::UnixStream::connect(&socket).is_ok());
    (process, address)
}

/// Waits until a server answers.
pub fn listens(answers: impl Fn() -> bool) {
    let begin = Instant::now();
    while !answers() {
        assert!(begin.elapsed() < PATIENCE, "a task server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A task of a schedule that ends at once.
pub fn task(number: usize, address: &str, more: &str) -> String {
    format!("    - {{id: t{number}, address: \"{address}\", {more}, parameters: {{us: 0}}}}\n")
}

/// What one task did, in nanoseconds after the start of its run.
#[derive(Clone, Debug)]
pub struct Row {
    /// It could start.
    pub released: u64,
    /// The orchestrator let its request go.
    pub sent: u64,
    /// It began, stamped where it runs; `None` at a task server that does not say.
    pub started: Option<u64>,
    /// The orchestrator had its end notice.
    pub ended: u64,
    /// What it gave.
    pub output: Value,
}

/// A run that succeeded.
pub struct Ran {
    /// Its start, in nanoseconds since 1970.
    pub start: i128,
    /// Its tasks in file order.
    pub rows: Vec<Row>,
}

/// Runs a schedule with real-time threads and reads what came of it.
pub fn run(folder: &Path, schedule: &str, more: &[&str]) -> Ran {
    let file = folder.join("schedule.yaml");
    std::fs::write(&file, schedule).unwrap();
    let listen = format!("unix:{}", folder.join("orchestrator.sock").display());
    let has_address = more.contains(&"--listen");
    let out = Command::new(program())
        .env("SETPOINT_STATE_DIR", folder.join("state"))
        .args(["run", "--foreground", "--json", "--policy", "fifo", "--priority", "80", "--lock-memory"])
        .args(if has_address { Vec::new() } else { vec!["--listen", &listen] })
        .args(more)
        .arg(&file)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}", said.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    for remark in json["remarks"].as_array().unwrap() {
        crate::figures::note("remark", remark.as_str().unwrap());
    }
    let row = |task: &Value| {
        let one = &task["tries"][0];
        let time = |key: &str| one[key].as_u64();
        Row {
            released: time("released_ns").unwrap(),
            sent: time("sent_ns").unwrap(),
            started: time("started_ns"),
            ended: time("ended_ns").unwrap(),
            output: one["output"].clone(),
        }
    };
    let start: jiff::Timestamp = json["started"].as_str().unwrap().parse().unwrap();
    Ran { start: start.as_nanosecond(), rows: json["tasks"].as_array().unwrap().iter().map(row).collect() }
}
