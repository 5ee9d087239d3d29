//! The options of `setpoint run`.

use crate::cli::args::{EnvironmentArgs, PolicyArg, RepoArgs, TlsArgs};
use crate::cli::plan::Format;
use clap::Args;
use std::path::PathBuf;

/// Run a schedule once, now
///
/// WHAT is the name of a schedule of the config repo, or a schedule file by itself. The schedule's `start` is not looked at.
/// A running daemon is asked for a run of its schedule in force, with its own settings, and the end is waited for. A file, and
/// everything with --foreground, --dry-run, --repo, --rev or a setting of the thread that keeps the time, runs here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint run schedules/hybrid.yaml                 a file by itself
  setpoint run hybrid                                a schedule of the repo you stand in
  setpoint run hybrid --dry-run                      what it plans, as a picture; nothing is started
  setpoint run hybrid --policy fifo --priority 80 --lock-memory
  setpoint run show hybrid-20260301-060000-3f2a      a run that took place (`setpoint runs` lists them)
  setpoint run show hybrid-20260301-060000-3f2a --format markdown
  setpoint run hybrid --json | jq '.tasks[] | select(.verdict != \"succeeded\")'

Exit code 1 when a task failed. Ctrl-C or SIGTERM stops what runs and starts nothing more; a second one ends the program.")]
pub(in crate::cli) struct RunArgs {
    /// Name of a schedule, a file, or `show` before the id of a run
    pub(super) what: String,
    /// The run to show
    #[arg(value_name = "ID")]
    pub(super) id: Option<String>,
    #[command(flatten)]
    pub(super) repo: RepoArgs,
    #[command(flatten)]
    pub(super) environment: EnvironmentArgs,
    /// Run it here, although a daemon runs
    #[arg(long)]
    foreground: bool,
    /// Show what it plans and start nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Play the plan, this many times as fast as it would run
    #[arg(long, requires = "dry_run", value_name = "N")]
    pub(super) speed: Option<f64>,
    /// Where existing task servers tell that a task has ended: host:port, tls://host:port or unix:/path. Without, port 50050 of
    /// this machine as it and its containers reach it, and only if the run has such a task server
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    /// Scheduling policy of the thread that keeps the time
    #[arg(long, value_enum, default_value_t = PolicyArg::None, value_name = "POLICY")]
    pub(super) policy: PolicyArg,
    /// Its priority
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=99), value_name = "1-99")]
    pub(super) priority: u8,
    /// The CPU that it runs on
    #[arg(long, allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1..=8191), value_name = "CPU")]
    pub(super) cpu_affinity: Option<i32>,
    /// Keep the memory of the process from being paged out
    #[arg(long)]
    pub(super) lock_memory: bool,
    /// Start every task at its instant, also at runners that could take it ahead
    #[arg(long)]
    pub(super) no_send_ahead: bool,
    /// Write the picture of the run to a file
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// How `run show` prints a run
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    pub(super) format: Format,
}

impl RunArgs {
    /// Whether a daemon may run it: nothing is asked for that only a run here can have.
    pub(super) fn may_be_asked(&self) -> bool {
        let real_time = self.policy != PolicyArg::None || self.cpu_affinity.is_some() || self.lock_memory;
        let here = self.foreground || self.dry_run || self.no_send_ahead || self.listen.is_some();
        let other = self.repo.repo.is_some() || self.repo.rev.is_some() || self.is_file();
        !(real_time || here || other)
    }

    /// Whether a file is named, and not a schedule of the repo.
    pub(super) fn is_file(&self) -> bool {
        [".yaml", ".yml", ".kdl"].iter().any(|ending| self.what.ends_with(ending))
    }
}
