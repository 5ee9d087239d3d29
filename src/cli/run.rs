//! `setpoint run`

use super::args::{EnvironmentArgs, RepoArgs, TlsArgs};
use super::exit::{Exit, Failure};
use super::plan::Format;
use super::run_record::Book;
use super::session::{Session, Which};
use super::timeline::{self, Ran, Shown, WIDTH, name, rows, told};
use crate::manifest;
use crate::model::{FileEntry, FileKind, FileTree, RealTime, RtPolicy, Schedule, ScheduleName, Target, TaskAddress};
use crate::process::clock;
use crate::process::shutdown::Signals;
use crate::process::supervise::chain;
use crate::runs::{self, Exchanges, Hand, Planned, Recorder, RunError};
use crate::schedule::feasibility::{Proof, feasibility, line};
use crate::schedule::{Placed, Record, RunVerdict, chart, expected, gantt, short_time};
use crate::wire::{ListenError, Tls};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
pub(super) struct RunArgs {
    /// Name of a schedule, a file, or `show` before the id of a run
    what: String,
    /// The run to show
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    pub(super) repo: RepoArgs,
    #[command(flatten)]
    pub(super) environment: EnvironmentArgs,
    /// Run it here, although a daemon runs
    #[arg(long)]
    foreground: bool,
    /// Show what it plans and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Play the plan, this many times as fast as it would run
    #[arg(long, requires = "dry_run", value_name = "N")]
    speed: Option<f64>,
    /// Where existing task servers tell that a task has ended: host:port, tls://host:port or unix:/path. Without, port 50050 of
    /// this machine as it and its containers reach it, and only if the run has such a task server
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Scheduling policy of the thread that keeps the time
    #[arg(long, value_enum, default_value_t = PolicyArg::None, value_name = "POLICY")]
    policy: PolicyArg,
    /// Its priority
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=99), value_name = "1-99")]
    priority: u8,
    /// The CPU that it runs on
    #[arg(long, allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1..=8191), value_name = "CPU")]
    cpu_affinity: Option<i32>,
    /// Keep the memory of the process from being paged out
    #[arg(long)]
    lock_memory: bool,
    /// Start every task at its instant, also at runners that could take it ahead
    #[arg(long)]
    no_send_ahead: bool,
    /// Write the picture of the run to a file
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// How `run show` prints a run
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    pub(super) format: Format,
}

/// Scheduling policies that a thread of ours can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PolicyArg {
    /// The default of the machine
    None,
    /// Runs until it waits
    Fifo,
    /// Like it, in turns among equals
    Rr,
    /// A runtime within a deadline in each period, which are said with the start of a task
    Deadline,
}

impl PolicyArg {
    /// The policy at a priority.
    pub(super) fn with(self, priority: u8) -> RtPolicy {
        match self {
            Self::None | Self::Deadline => RtPolicy::Other,
            Self::Fifo => RtPolicy::Fifo { priority },
            Self::Rr => RtPolicy::RoundRobin { priority },
        }
    }
}

impl RunArgs {
    /// Whether a daemon may run it: nothing is asked for that only a run here can have.
    fn may_be_asked(&self) -> bool {
        let real_time = self.policy != PolicyArg::None || self.cpu_affinity.is_some() || self.lock_memory;
        let here = self.foreground || self.dry_run || self.no_send_ahead || self.listen.is_some();
        let other = self.repo.repo.is_some() || self.repo.rev.is_some() || is_file(&self.what);
        !(real_time || here || other)
    }
}

fn is_file(what: &str) -> bool {
    [".yaml", ".yml", ".kdl"].iter().any(|ending| what.ends_with(ending))
}

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<Exit, Failure> {
    match (args.what.as_str(), &args.id) {
        ("show", Some(id)) => return super::runs::show(session, args, id).await,
        ("show", None) => return Err(Failure::Usage("`run show` wants the id of a run".to_owned())),
        (_, Some(id)) => return Err(Failure::Usage(format!("`{id}` is one argument too many"))),
        (_, None) => {}
    }
    if args.may_be_asked()
        && let Some(exit) = super::run_asked::run(session, args, &args.what).await?
    {
        return Ok(exit);
    }
    let (schedule, placed) = schedule(session, args).await?;
    let schedule = Arc::new(schedule);
    let infeasible = findings(session, &schedule);
    if args.dry_run {
        plan(session, args, &schedule, &placed)?;
        return Ok(if infeasible { Exit::Failed } else { Exit::Ok });
    }
    if infeasible {
        return Err(Failure::new(format!(
            "`{}` cannot hold its times, and its `feasibility` is `error`",
            schedule.name
        ))
        .hint("change the times, or write `feasibility: warn`"));
    }
    let conducted = conduct(session, args, &schedule, placed).await?;
    for remark in &conducted.remarks {
        session.printer.note(&format!("note: {remark}"));
    }
    let verdict = conducted.record.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
    picture(args, &schedule, Some(&conducted))?;
    if session.printer.json {
        session.printer.data(&timeline::json(&schedule, &conducted))?;
    } else {
        timeline::text(session, &schedule, &conducted)?;
    }
    Ok(if verdict == RunVerdict::Succeeded { Exit::Ok } else { Exit::Failed })
}

/// The schedule that is meant, and where its task servers are.
async fn schedule(session: &Session, args: &RunArgs) -> Result<(Schedule, Placed), Failure> {
    if is_file(&args.what) && args.repo.repo.is_none() && args.repo.rev.is_none() {
        let content: Arc<[u8]> = std::fs::read(&args.what)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", args.what)))?
            .into();
        let size = content.len() as u64;
        let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size, content: Some(content) };
        let mut tree = FileTree::default();
        let name = Path::new(&args.what).file_name().unwrap_or_default().to_string_lossy();
        tree.files.insert(name.into_owned(), entry);
        let desired = manifest::compile(&tree)?;
        session.printer.notices(&desired.notices);
        let placed = Placed::here(&desired);
        let schedule = desired.schedules.into_values().next().ok_or_else(|| {
            Failure::new(format!("{} holds no schedule", args.what)).hint("a schedule has the root key `schedule`")
        })?;
        return Ok((schedule, placed));
    }
    let local = match &args.repo.repo {
        Some(repo) => repo.parse::<crate::source::Address>()?.local().is_some(),
        None => true,
    };
    let which = if local && args.repo.rev.is_none() { Which::Worktree } else { Which::Commit };
    let files = session.files(&args.repo, which).await?;
    let mut desired = session.compile(&files)?;
    let found = desired.schedules.keys().find(|name| {
        name.as_str() == args.what
            || desired.schedules.get(*name).is_some_and(|one| &*one.at.file == args.what.as_str())
    });
    let found = found.cloned();
    let placed = Placed::here(&desired);
    let schedule = found.and_then(|name| desired.schedules.remove(&name)).ok_or_else(|| {
        let names: Vec<&str> = desired.schedules.keys().map(ScheduleName::as_str).collect();
        let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        Failure::new(format!("this repo has no schedule `{}`; {known}", args.what))
    })?;
    Ok((schedule, placed))
}

/// Says what the schedule cannot hold; whether it is to be refused for that.
fn findings(session: &Session, schedule: &Schedule) -> bool {
    let cpus = std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok());
    let findings = feasibility(schedule, cpus);
    for finding in &findings {
        session.printer.note(&format!("note: {}", line(finding)));
    }
    schedule.feasibility == crate::model::FeasibilityPolicy::Error
        && findings.iter().any(|finding| finding.kind.proof() == Proof::Certain)
}

/// What a schedule plans.
fn plan(session: &Session, args: &RunArgs, schedule: &Schedule, placed: &Placed) -> Result<(), Failure> {
    picture(args, schedule, None)?;
    let record = expected(schedule);
    if let Some(speed) = args.speed.filter(|speed| speed.is_finite() && *speed > 0.0) {
        play(session, schedule, &record, speed);
    }
    if session.printer.json {
        return session.printer.data(&json!({
            "version": 1, "schedule": with_addresses(schedule, placed), "tasks": rows(schedule, &record, &BTreeMap::new()),
        }));
    }
    session.printer.out(&gantt::text(&chart(schedule, None, "planned"), WIDTH))
}

/// A schedule as programs read it: with the address of each service that a task runs at.
fn with_addresses(schedule: &Schedule, placed: &Placed) -> Value {
    let mut value = json!(schedule);
    for (at, task) in schedule.tasks.iter().enumerate() {
        if let (Target::Service(_), Some(address)) = (&task.target, placed.address(&task.target)) {
            value["tasks"][at]["target"]["service"]["address"] = json!(address);
        }
    }
    value
}

/// Plays a record in its own time, `speed` times as fast.
fn play(session: &Session, schedule: &Schedule, record: &Record, speed: f64) {
    let mut events: Vec<(Duration, String)> = Vec::new();
    for row in record.rows() {
        let name = name(schedule, row);
        for one in &row.tries {
            events.push((one.sent, format!("{name} starts")));
            events.extend(one.ended.map(|ended| (ended, format!("{name} ends"))));
        }
    }
    events.sort();
    let mut last = Duration::ZERO;
    for (at, text) in events {
        let pause = Duration::try_from_secs_f64(at.saturating_sub(last).as_secs_f64() / speed);
        std::thread::sleep(pause.unwrap_or(Duration::MAX));
        last = at;
        session.printer.note(&format!("{:>12}  {text}", short_time(at)));
    }
}

async fn conduct(session: &Session, args: &RunArgs, schedule: &Arc<Schedule>, placed: Placed) -> Result<Ran, Failure> {
    if args.policy == PolicyArg::Deadline {
        return Err(Failure::Usage("the thread that keeps the time has `fifo` or `rr`, not `deadline`".to_owned()));
    }
    let policy = args.policy.with(args.priority);
    let settings = runs::Settings {
        real_time: RealTime { policy, cpu: args.cpu_affinity.and_then(|cpu| u32::try_from(cpu).ok()) },
        lock_memory: args.lock_memory,
        send_ahead: !args.no_send_ahead,
        tls: args.tls.files().as_ref().map(Tls::load).transpose()?,
        ..runs::Settings::default()
    };
    let listen = args.listen.as_deref().map(address).transpose()?;
    let exchanges = Exchanges::new(listen, settings.real_time, settings.output_limit, settings.tls.clone());
    let hand = Hand::default();
    let (onlooker, mut moments) = runs::moments(4 * schedule.tasks.len() + 64);
    let id = runs::new_id(schedule, clock::now());
    let book = Book::open(session, &args.environment, schedule, &id);
    let run = {
        let (schedule, hand) = (Arc::clone(schedule), hand.clone());
        let (session, book) = (session.clone(), book.clone());
        tokio::task::spawn_blocking(move || {
            let ready = runs::prepare(&schedule, &placed, &id, &settings, &exchanges, onlooker)?;
            let planned = Planned::at(clock::now());
            if let Some(book) = &book {
                book.begin(&session, planned.wall());
            }
            ready.conduct(planned, &hand)
        })
    };
    let progress = {
        let (schedule, session, kept) = (Arc::clone(schedule), session.clone(), book.clone());
        tokio::task::spawn_blocking(move || {
            let mut shown = Shown::default();
            let show = |moment: &runs::Moment| {
                if let Some(text) = told(&schedule, moment) {
                    session.printer.note(&text);
                }
            };
            let kept = kept.map(|book| (book.ledger, book.run));
            let notes = Recorder::new(kept, Arc::clone(&schedule)).follow(&mut moments, show, |one| shown.add(one));
            (shown, notes)
        })
    };
    let (stop, mut asked) = (CancellationToken::new(), false);
    let signals = Signals::catch()?.drive(stop.clone());
    tokio::pin!(run, signals);
    let conducted = loop {
        // Every arm may be dropped while it waits.
        tokio::select! {
            ended = &mut run => break ended,
            never = &mut signals => match never {},
            () = stop.cancelled(), if !asked => {
                asked = true;
                session.printer.note("stopping what runs");
                hand.cancel();
            }
        }
    };
    let shown = progress.await;
    if let Some(book) = &book {
        let (verdict, notes) = match &conducted {
            Ok(Ok(run)) => {
                let notes = shown.as_ref().map(|(_, notes)| notes.as_slice()).unwrap_or_default();
                (run.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict), [&run.remarks, notes].concat())
            }
            Ok(Err(error)) => (RunVerdict::Failed, vec![chain(error)]),
            Err(error) => (RunVerdict::Failed, vec![error.to_string()]),
        };
        book.end(session, schedule, verdict, &notes);
    }
    match conducted {
        Ok(Ok(run)) => {
            let (Shown { mut record, details, left_out }, _) = shown.map_err(|error| broke_off(&error))?;
            record.ended = run.ended;
            Ok(Ran { id: run.id, started: run.started, record, details, remarks: run.remarks, left_out })
        }
        Ok(Err(error)) => Err(refused(&error, args)),
        Err(error) => Err(broke_off(&error)),
    }
}

fn broke_off(error: &tokio::task::JoinError) -> Failure {
    Failure::new(format!("the run broke off: {error}"))
}

fn refused(error: &RunError, args: &RunArgs) -> Failure {
    let failure = Failure::new(chain(error));
    match error {
        RunError::Listen(ListenError::NoTls { .. }) => failure,
        RunError::Listen(_) => failure.hint(format!(
            "is an orchestrator running already? `--listen` takes another address than {}, which task servers must know",
            args.listen.as_deref().unwrap_or("port 50050")
        )),
        _ => failure,
    }
}

/// The address of a task server or orchestrator.
pub(super) fn address(text: &str) -> Result<TaskAddress, Failure> {
    manifest::raw::units::TaskAddressText::try_from(text.to_owned())
        .map(|address| address.0)
        .map_err(|error| Failure::Usage(error.to_string()))
}

fn picture(args: &RunArgs, schedule: &Schedule, run: Option<&Ran>) -> Result<(), Failure> {
    let Some(path) = &args.svg else { return Ok(()) };
    let subtitle = run.map_or_else(|| "planned".to_owned(), |run| format!("run {}, started {}", run.id, run.started));
    let svg = gantt::svg(&chart(schedule, run.map(|run| (&run.record, end(run))), &subtitle));
    write(path, &svg)
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

fn end(run: &Ran) -> Duration {
    run.record.ended.map_or(Duration::ZERO, |(at, _)| at)
}
