//! What the tests of the program use besides it: a daemon, git, the engine's plain client.

use crate::engine::client;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

static PORT: AtomicU16 = AtomicU16::new(0);

/// A daemon; its drop kills it.
pub struct Daemon {
    pub(super) child: Child,
    pub(super) log: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; its exit code.
    pub fn stop(self) -> Option<i32> {
        self.stop_by("TERM")
    }

    pub fn stop_by(mut self, name: &str) -> Option<i32> {
        signal(&self.child, name);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < Duration::from_secs(45), "the daemon does not stop\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends a process of ours a signal.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

pub fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if done() {
            return true;
        }
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The text of a JSON value; empty when it is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "gc.auto=0"]);
    let output = command.args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The plain client, as a person at the host uses it.
pub fn docker(args: &[&str]) -> String {
    let output = client().args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What the engine says about a container; null when there is none.
pub fn inspect(container: &str) -> Value {
    let output = client().args(["container", "inspect", container]).output().unwrap();
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all[0].clone()
}

/// A host port that nobody uses, outside of the range from which the kernel chooses by itself.
pub fn port() -> u16 {
    let base = 20000 + u16::try_from(std::process::id() % 40).unwrap() * 250;
    (0..250)
        .map(|_| base + PORT.fetch_add(1, Ordering::Relaxed) % 250)
        .find(|port| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .unwrap()
}
