//! The options of `setpoint run`.

use crate::cli::args::{EnvironmentArgs, PolicyArg, RepoArgs, TlsArgs};
use crate::cli::plan::Format;
use clap::Args;
use std::path::PathBuf;

/// Run a schedule once, now
///
/// WHAT is the name of a schedule in the config repo, or a schedule file. The schedule's `start` is ignored.
/// If a daemon is running, it runs its active schedule of that name with its own settings, and the command waits for the end. A file,
/// and everything with --foreground, --dry-run, --repo, --rev or a setting of the timekeeper thread, runs in this process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint run schedules/hybrid.yaml                 a file by itself
  setpoint run hybrid                                a schedule of the current repo
  setpoint run hybrid --dry-run                      the planned timeline as a picture; nothing is started
  setpoint run hybrid --policy fifo --priority 80 --lock-memory
  setpoint run show hybrid-20260301-060000-3f2a      an earlier run (`setpoint runs` lists them)
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
    /// Run it in this process even if a daemon is running
    #[arg(long)]
    foreground: bool,
    /// Show the planned timeline and start nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Replay the plan this many times faster than it would run
    #[arg(long, requires = "dry_run", value_name = "N")]
    pub(super) speed: Option<f64>,
    /// Where external task servers report that a task has ended: host:port, tls://host:port or unix:/path [default: port 50050 of
    /// this machine, reachable from it and its containers, if the run has such a task server]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    /// Scheduling policy of the timekeeper thread
    #[arg(long, value_enum, default_value_t = PolicyArg::None, value_name = "POLICY")]
    pub(super) policy: PolicyArg,
    /// Priority of that thread
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=99), value_name = "1-99")]
    pub(super) priority: u8,
    /// The CPU that this thread runs on
    #[arg(long, allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1..=8191), value_name = "CPU")]
    pub(super) cpu_affinity: Option<i32>,
    /// Prevent the memory of the process from being paged out
    #[arg(long)]
    pub(super) lock_memory: bool,
    /// Start every task at its due time over the network, and send none ahead
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
