//! The commands and what each of them runs.

use super::args::Global;
use super::exit::{Exit, Failure};
use super::session::Session;
use super::{
    apply, daemon, demo, diff, docs, doctor, events, images, logs, plan, run, runs, schema, status, task, teardown,
    validate, why,
};
use clap::{CommandFactory as _, Parser, Subcommand};

/// GitOps for Docker hosts: commit what should run, review the plan, and keep the host in that state.
#[derive(Debug, Parser)]
#[command(name = "setpoint", version, propagate_version = true, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  setpoint demo                                show how it works, from a commit to a repaired container
  setpoint validate                            report every mistake in the files of the current repo
  setpoint plan                                show what the last commit would change on this host
  setpoint apply --yes                         apply the last commit
  setpoint daemon --config /etc/setpoint/daemon.kdl
  setpoint why shop/api/1                      show the commit, file and line that an instance comes from

Exit codes: 0 success, 1 failed, 64 usage error; `plan --detailed-exitcode` adds 2 changes, 3 held, 4 incomplete.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Validate(validate::ValidateArgs),
    Plan(plan::PlanArgs),
    Diff(diff::DiffArgs),
    #[command(alias = "deploy")]
    Apply(apply::ApplyArgs),
    Build(images::BuildArgs),
    Push(images::PushArgs),
    Pull(images::PullArgs),
    Run(run::RunArgs),
    Runs(runs::RunsArgs),
    Task(task::TaskArgs),
    Status(status::StatusArgs),
    Logs(logs::LogsArgs),
    Events(events::EventsArgs),
    Why(why::WhyArgs),
    Stop(teardown::StopArgs),
    Start(teardown::StartArgs),
    Cleanup(teardown::CleanupArgs),
    Daemon(daemon::DaemonArgs),
    Poke(daemon::PokeArgs),
    Schema(schema::SchemaArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Completions(docs::CompletionsArgs),
    Man(docs::ManArgs),
}

/// Runs a command.
pub(super) async fn dispatch(session: &Session, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Validate(args) => validate::run(session, args).await,
        Command::Plan(args) => plan::run(session, args).await,
        Command::Diff(args) => diff::run(session, args).await,
        Command::Apply(args) => apply::run(session, args).await,
        Command::Build(args) => images::build(session, args).await,
        Command::Push(args) => images::push(session, args).await,
        Command::Pull(args) => images::pull(session, args).await,
        Command::Run(args) => run::run(session, args).await,
        Command::Runs(args) => runs::list(session, args).await,
        Command::Task(args) => task::run(session, args),
        Command::Status(args) => status::run(session, args).await,
        Command::Logs(args) => logs::run(session, args).await,
        Command::Events(args) => events::run(session, args).await,
        Command::Why(args) => why::run(session, args).await,
        Command::Stop(args) => teardown::stop(session, args).await,
        Command::Start(args) => teardown::start(session, args).await,
        Command::Cleanup(args) => teardown::cleanup(session, args).await,
        Command::Daemon(args) => daemon::run(session, args).await,
        Command::Poke(args) => daemon::poke(session, args).await,
        Command::Schema(args) => schema::run(session, args),
        Command::Doctor(args) => doctor::run(session, args).await,
        Command::Demo(args) => demo::run(session, args).await,
        Command::Completions(args) => docs::completions(session, args, &mut Cli::command()),
        Command::Man(args) => docs::man(session, args, Cli::command()),
    }
}
