//! `setpoint task`

use super::args::{PolicyArg, TlsArgs, address};
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::model::RealTime;
use crate::process::config;
use crate::process::error::chain;
use crate::rt;
use crate::task::{CommandLine, Registry, Runner, RunnerSettings};
use clap::Args;
use std::num::NonZeroUsize;

/// Serve tasks of the timed orchestrator: a program, or one of the built-in functions
///
/// The built-in functions are `sleep`, `busy`, `sha256`, `md5` and `echo`. A program gets the task's parameters as JSON on standard
/// input and in its environment (TASK_PARAMETERS, TASK_PARAM_<NAME>). Its standard output is the task's
/// output: JSON if it is valid JSON, else text. Exit code 0 is success; to stop it, its process group gets SIGTERM. Of this
/// process's own environment it gets PATH, HOME, LANG and TZ, and the variables of --env.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint task --name task_1 --address 0.0.0.0:50051 --orchestrator orchestrator:50050 -- /usr/bin/measure --fast
  setpoint task --name echo --name sleep --address unix:/run/tasks.sock
  setpoint task --name loop --address 0.0.0.0:50051 --policy fifo --priority 80 --cpu-affinity 2 --lock-memory -- ./loop

A task server of one name runs every task that comes. One of several runs the name that the parameter `task_type` has, else
the name that is the task's id.")]
pub(super) struct TaskArgs {
    /// Kind of task that is served; several may be given
    #[arg(long, required = true, value_name = "NAME")]
    name: Vec<String>,
    /// Address to listen on: host:port, tls://host:port or unix:/path
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// Address to which the end of a task is reported
    #[arg(long, value_name = "ADDRESS")]
    orchestrator: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Scheduling policy of tasks that request none
    #[arg(long, value_enum, default_value_t = PolicyArg::None, value_name = "POLICY")]
    policy: PolicyArg,
    /// Priority of these tasks
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=99), value_name = "1-99")]
    priority: u8,
    /// The CPU that these tasks run on
    #[arg(long, allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1..=8191), value_name = "CPU")]
    cpu_affinity: Option<i32>,
    /// Prevent the memory of the process from being paged out
    #[arg(long)]
    lock_memory: bool,
    /// Refuse a task whose policy, CPU or memory lock is not possible
    #[arg(long)]
    strict: bool,
    /// Variable for the program: NAME=VALUE, or NAME to pass on the value in this environment; several may be given
    #[arg(long, value_name = "NAME[=VALUE]", requires = "program")]
    env: Vec<String>,
    /// Number of tasks that can run at the same time
    #[arg(long, default_value = "1", value_name = "N")]
    parallel: NonZeroUsize,
    /// The program and its arguments; `{{name}}` in an argument is the parameter of that name
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

pub(super) fn run(session: &Session, args: &TaskArgs) -> Result<Exit, Failure> {
    let mut registry = Registry::builtin();
    if let Some(line) = CommandLine::new(args.program.clone()) {
        let [name] = args.name.as_slice() else {
            return Err(Failure::Usage("a program is one kind of work: give one `--name`".to_owned()));
        };
        let variables = args.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>, _>>()?;
        registry = registry.command(name.as_str(), line.environment(variables));
    }
    if args.policy == PolicyArg::Deadline {
        session.printer.note(
            "note: tasks have `deadline` when their start says a runtime, a deadline and a period; others run without",
        );
    }
    let policy = args.policy.with(args.priority);
    let settings = RunnerSettings {
        names: args.name.clone(),
        orchestrator: args.orchestrator.as_deref().map(address).transpose()?,
        tls: args.tls.files(),
        real_time: RealTime { policy, cpu: args.cpu_affinity.and_then(|cpu| u32::try_from(cpu).ok()) },
        lock_memory: args.lock_memory,
        strict: args.strict,
        parallel: args.parallel,
        ..RunnerSettings::new(address(&args.address)?)
    };
    // Before the runtime is made: its thread must be able to interrupt a task that never waits.
    for refused in rt::apply(settings.serving()).refusals() {
        session.printer.note(&format!("note: {}", chain(refused)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let runner = Runner::new(settings, registry).bind().await.map_err(|error| Failure::new(chain(&error)))?;
        session.printer.note(&format!("tasks are served at {}", runner.address()));
        let signals = crate::process::shutdown::Signals::catch()?;
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let served = runner.serve_until(async move { stopped.cancelled().await });
        // Dropping `drive` loses nothing: it only waits for signals. `served` is never dropped before its end.
        tokio::select! {
            end = served => end.map_err(|error| Failure::new(chain(&error))),
            never = signals.drive(stop.clone()) => match never {},
        }
    })?;
    Ok(Exit::Ok)
}

/// A variable for the program.
fn variable(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => {
            let here = config::env(text);
            (text, here.ok_or_else(|| Failure::Usage(format!("--env {text}: it is not set here; write {text}=VALUE")))?)
        }
    };
    if name.is_empty() {
        return Err(Failure::Usage(format!("--env {text}: a variable has a name")));
    }
    Ok((name.to_owned(), value))
}
