//! A run in the terminal.

use super::args::RunArgs;
use super::picture::picture;
use super::record::Book;
use crate::cli::args::{PolicyArg, address};
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::timeline::{self, Ran, Shown, told};
use crate::model::{RealTime, Schedule};
use crate::process::clock;
use crate::process::error::chain;
use crate::process::shutdown::Signals;
use crate::runs::{self, Conducted, LazyNoticeRouter, Moments, Planned, Recorder, RunError, RunHandle, RunSettings};
use crate::schedule::{Placed, RunVerdict};
use crate::wire::{ListenError, Tls};
use std::sync::Arc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// How the thread of a run ended, and the run with it.
type End = Result<Result<Conducted, RunError>, JoinError>;

/// Runs a schedule here and shows it.
pub(super) async fn run(
    session: &Session,
    args: &RunArgs,
    schedule: &Arc<Schedule>,
    placed: Placed,
) -> Result<Exit, Failure> {
    let conducted = conduct(session, args, schedule, placed).await?;
    for remark in &conducted.remarks {
        session.printer.note(&format!("note: {remark}"));
    }
    let verdict = conducted.record.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict);
    picture(args, schedule, Some(&conducted))?;
    if session.printer.json {
        session.printer.data(&timeline::form(schedule, conducted))?;
    } else {
        timeline::text(session, schedule, &conducted)?;
    }
    Ok(if verdict == RunVerdict::Succeeded { Exit::Ok } else { Exit::Failed })
}

async fn conduct(session: &Session, args: &RunArgs, schedule: &Arc<Schedule>, placed: Placed) -> Result<Ran, Failure> {
    let settings = settings(args)?;
    let listen = args.listen.as_deref().map(address).transpose()?;
    let router = LazyNoticeRouter::new(listen, settings.real_time, settings.output_limit, settings.tls.clone());
    let handle = RunHandle::default();
    let (sender, moments) = runs::moments(4 * schedule.tasks.len() + 64);
    let id = runs::new_id(schedule, clock::now());
    let book = Book::open(session, &args.environment, schedule, &id);
    let run = {
        let (schedule, handle) = (Arc::clone(schedule), handle.clone());
        let (session, book) = (session.clone(), book.clone());
        tokio::task::spawn_blocking(move || {
            let ready = runs::prepare(&schedule, &placed, id.as_str(), &settings, &router, sender)?;
            let planned = Planned::at(clock::now());
            if let Some(book) = &book {
                book.begin(&session, planned.wall());
            }
            ready.conduct(planned, &handle)
        })
    };
    let progress = {
        let (schedule, session, book) = (Arc::clone(schedule), session.clone(), book.clone());
        tokio::task::spawn_blocking(move || follow(&session, &schedule, book, moments))
    };
    let conducted = ended(session, run, &handle).await?;
    let shown = progress.await;
    if let Some(book) = &book {
        let notes = shown.as_ref().map(|(_, notes)| notes.as_slice()).unwrap_or_default();
        settle(session, schedule, book, &conducted, notes);
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

/// How the run is conducted, by the arguments.
fn settings(args: &RunArgs) -> Result<RunSettings, Failure> {
    if args.policy == PolicyArg::Deadline {
        return Err(Failure::Usage("the thread that keeps the time has `fifo` or `rr`, not `deadline`".to_owned()));
    }
    let policy = args.policy.with(args.priority);
    Ok(RunSettings {
        real_time: RealTime { policy, cpu: args.cpu_affinity.and_then(|cpu| u32::try_from(cpu).ok()) },
        lock_memory: args.lock_memory,
        send_ahead: !args.no_send_ahead,
        tls: args.tls.files().as_ref().map(Tls::load).transpose()?,
        ..RunSettings::default()
    })
}

/// Shows and records what happens in the run until its end. Returns what is kept of it, and what is to be said of it.
fn follow(
    session: &Session,
    schedule: &Arc<Schedule>,
    book: Option<Book>,
    mut moments: Moments,
) -> (Shown, Vec<String>) {
    let mut shown = Shown::default();
    let show = |moment: &runs::Moment| {
        if let Some(text) = told(schedule, moment) {
            session.printer.note(&text);
        }
    };
    let kept = book.map(|book| (book.ledger, book.run));
    let notes = Recorder::new(kept, Arc::clone(schedule)).follow(&mut moments, show, |one| shown.add(one));
    (shown, notes)
}

/// The end of the run. A signal cancels it and its end is waited for.
async fn ended(
    session: &Session,
    run: JoinHandle<Result<Conducted, RunError>>,
    handle: &RunHandle,
) -> Result<End, Failure> {
    let (stop, mut asked) = (CancellationToken::new(), false);
    let signals = Signals::catch()?.drive(stop.clone());
    tokio::pin!(run, signals);
    loop {
        // Every arm may be dropped while it waits.
        tokio::select! {
            ended = &mut run => return Ok(ended),
            never = &mut signals => match never {},
            () = stop.cancelled(), if !asked => {
                asked = true;
                session.printer.note("stopping what runs");
                handle.cancel();
            }
        }
    }
}

/// Writes down how the run ended.
fn settle(session: &Session, schedule: &Schedule, book: &Book, conducted: &End, notes: &[String]) {
    let (verdict, notes) = match conducted {
        Ok(Ok(run)) => {
            (run.ended.map_or(RunVerdict::Failed, |(_, verdict)| verdict), [run.remarks.as_slice(), notes].concat())
        }
        Ok(Err(error)) => (RunVerdict::Failed, vec![chain(error)]),
        Err(error) => (RunVerdict::Failed, vec![error.to_string()]),
    };
    book.end(session, schedule, verdict, &notes);
}

fn broke_off(error: &JoinError) -> Failure {
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
