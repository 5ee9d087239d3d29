//! The command line: one file for each command, `printer` is the only one that prints, `exit` the only one that turns
//! a failure into words and an exit code.

mod apply;
mod apply_asked;
mod args;
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
mod run_asked;
mod run_record;
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
use args::{Cli, Command};
use clap::Parser;
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

async fn dispatch(session: &Session, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Validate(args) => validate::run(session, args).await,
        Command::Plan(args) => plan::run(session, args).await,
        Command::Diff(args) => diff::run(session, args).await,
        Command::Apply(args) => apply::run(session, args).await,
        Command::Build(args) => images::build(session, args).await,
        Command::Push(args) => images::push(session, args).await,
        Command::Pull(args) => images::pull(session, args).await,
        Command::Run(args) => run::run(session, args).await,
        Command::Runs(args) => runs::list(session, args),
        Command::Task(args) => task::run(session, args),
        Command::Status(args) => status::run(session, args).await,
        Command::Logs(args) => logs::run(session, args).await,
        Command::Events(args) => events::run(session, args).await,
        Command::Why(args) => why::run(session, args),
        Command::Stop(args) => teardown::stop(session, args).await,
        Command::Start(args) => teardown::start(session, args).await,
        Command::Cleanup(args) => teardown::cleanup(session, args).await,
        Command::Daemon(args) => daemon::run(session, args).await,
        Command::Poke(args) => daemon::poke(session, args).await,
        Command::Schema(args) => schema::run(session, args),
        Command::Doctor(args) => doctor::run(session, args).await,
        Command::Demo(args) => demo::run(session, args).await,
        Command::Completions(args) => docs::completions(session, args),
        Command::Man(args) => docs::man(session, args),
    }
}
