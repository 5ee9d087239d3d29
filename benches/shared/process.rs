//! The program, and processes of it.
#![allow(dead_code, reason = "not every benchmark needs all of it")]

use std::path::PathBuf;
use std::process::{Child, Command};

/// Clock ticks in a second, as `/proc/PID/stat` counts them on every Linux.
const TICKS: f64 = 100.0;

/// Where the program is: the one that cargo built beside this, unless SETPOINT_BIN names another.
#[expect(clippy::disallowed_methods, reason = "a benchmark is steered by its environment")]
pub fn program() -> PathBuf {
    std::env::var_os("SETPOINT_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_setpoint")), PathBuf::from)
}

/// A process, ended in order when it is dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

impl Process {
    /// Seconds of computing so far.
    pub fn cpu(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS
    }
}
