//! The command line: one file for each command, `printer` is the only one that prints, `exit` the only one that turns
//! a failure into words and an exit code.

mod answers;
mod apply;
mod apply_asked;
mod apply_report;
mod args;
mod command;
mod daemon;
mod demo;
mod diff;
mod docs;
mod doctor;
mod events;
mod exit;
mod images;
mod logs;
mod moved;
mod plan;
mod printer;
mod progress;
mod run;
mod run_words;
mod runs;
mod schema;
mod session;
mod status;
mod task;
mod teardown;
mod timeline;
mod validate;
mod why;

use crate::process::telemetry::{self, LogFormat};
use crate::process::{limits, orphans};
use clap::Parser;
use command::{Cli, Command, dispatch};
use exit::{Exit, Failure, USAGE};
use printer::Printer;
use session::Session;
use std::process::ExitCode;
use std::time::Duration;

/// How long background work may take to end after the command did.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let printer = Printer::new(&cli.global);
    let session = Session { global: cli.global, printer: printer.clone() };
    limits::raise_open_files();
    orphans::watch();
    match run(&session, &cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { USAGE } else { 1 })
        }
    }
}

fn run(session: &Session, command: &Command) -> Result<Exit, Failure> {
    // The daemon sets its own logs up, from its settings.
    if !matches!(command, Command::Daemon(_)) {
        telemetry::init(session.global.log.as_deref().unwrap_or("warn"), LogFormat::Text)
            .map_err(|error| Failure::Usage(error.to_string()))?;
    }
    // It has a runtime of its own, on this thread.
    if let Command::Task(args) = command {
        return task::run(session, args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(dispatch(session, command));
    runtime.shutdown_timeout(LAST_WORK);
    result
}
