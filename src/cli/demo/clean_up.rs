//! The end of the demo.

use super::setup::Demo;
use crate::cli::exit::Failure;
use crate::process::error::chain;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Stdio;

impl Demo<'_> {
    pub(super) fn show_daemon_log(&self) {
        if let Ok(log) = fs::read_to_string(self.log_file()) {
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
            self.session.printer.note(&format!("the daemon's last words:\n  {}", last.join("\n  ")));
        }
    }

    /// Ends the daemon and removes containers, networks, volumes and images of the demo.
    pub(super) async fn clean_up(mut self) -> Result<(), Failure> {
        self.chapter("Cleaning up")?;
        if let Some(mut daemon) = self.daemon.take() {
            if let Some(pid) = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            daemon.wait()?;
        }
        let cleaned = self.command(&["cleanup", "--yes"]).stdout(Stdio::null()).status()?;
        // What carries the demo's label is the demo's, and nothing else is: a name says nothing.
        let left = self.engine.remove_all_of(&self.owner()?).await?;
        let left: Vec<String> = left.iter().map(|error| chain(error)).collect();
        for problem in &left {
            self.session.printer.note(&format!("left behind: {problem}"));
        }
        if cleaned.success() && left.is_empty() {
            self.session.printer.line("containers, networks, volumes, images and the repo are gone")?;
        }
        Ok(())
    }
}
