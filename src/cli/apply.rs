//! `setpoint apply`, and carrying out any plan from the command line.

use super::apply_asked;
use super::apply_report::{ending, report};
use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::moved::{body, moved};
use super::progress::Display;
use super::session::{Files, Host, Session, Which};
use crate::api::dto::Outcome;
use crate::apply::record_in_place;
use crate::apply::steps::{Archive, Steps};
use crate::apply::{Applied, Job, execute};
use crate::engine::Interrupt;
use crate::model::Desired;
use crate::plan::render::{View, text};
use crate::plan::{Allow, Plan};
use crate::process::clock;
use crate::process::shutdown::Signals;
use crate::store::{ApplyLock, Ledger, RevisionOutcome};
use clap::Args;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long another apply on this host is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Apply a commit to this host and wait until everything is healthy
///
/// Shows the plan and asks first. If a daemon follows the same commit, the daemon carries out the plan. Otherwise this command
/// does, and Ctrl-C completes the current step and starts no other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint apply                            the last commit of the current repo, after asking
  setpoint apply --yes --rev v1.5           a tag, without asking
  setpoint apply --plan-id 7c1e42ab90d1     exactly the plan that was reviewed, or nothing
  setpoint apply --allow prune:shop/cache   exceed the prune budget for one service
  setpoint apply --allow retry:shop/api     try again what did not become healthy")]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Do not ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
    /// Carry out only the plan with this id; if anything has changed since, change nothing and report the differences
    #[arg(long, value_name = "ID")]
    plan_id: Option<String>,
    /// Allow what a guard prevents: `prune` or `retry`, with `:deployment[/service]` to limit it
    #[arg(long, value_name = "GUARD")]
    allow: Vec<Allow>,
    /// Take over the environment from another repo: this one is a fork of it, or the same repo at a new address
    #[arg(long)]
    adopt: bool,
}

pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<Exit, Failure> {
    let files = session.files(&args.repo, Which::Commit).await?;
    let desired = Arc::new(session.compile(&files)?);
    let daemon = apply_asked::daemon(session, &files.revision).await;
    let mut lock = Some(lock(session, "setpoint apply").await?);
    let (mut desired, mut host) = session.observe(&desired).await?;
    let mut plan = session.plan(&desired, &files.revision, &host, &args.allow)?;
    let view = View::new(&plan);
    if let Some(id) = &args.plan_id
        && !plan.id.is(id)
    {
        return Err(moved(host.ledger.store().plan(id)?.as_deref(), id, &view));
    }
    if !session.printer.json {
        session.printer.out(&text(&view))?;
    }
    // The id of a plan that was read is its approval.
    if !plan.steps.is_empty() && !args.yes && args.plan_id.is_none() {
        // A person may take their time: nobody is kept from the host meanwhile, and what they approve is what is done.
        drop(lock.take());
        if !session.printer.confirm("\nApply this plan?")? {
            session.printer.note("nothing was changed");
            return Ok(Exit::Failed);
        }
    }
    // A daemon leaves alone what was removed by hand, and does not take an environment over: both is done here.
    let by_daemon = !plan.steps.is_empty() && host.removed.is_empty() && !args.adopt;
    if let Some(daemon) = daemon.filter(|_| by_daemon) {
        drop(lock.take());
        if let Some(exit) = apply_asked::run(session, &daemon, &plan, &args.allow).await? {
            return Ok(exit);
        }
    }
    let lock = match lock {
        Some(lock) => lock,
        None => {
            let lock = self::lock(session, "setpoint apply").await?;
            (desired, host) = session.observe(&desired).await?;
            let now = session.plan(&desired, &files.revision, &host, &args.allow)?;
            if now.id != plan.id {
                let after = View::new(&now);
                if !args.yes || args.plan_id.is_some() {
                    return Err(moved(Some(&body(&text(&view))), &plan.id.to_string(), &after));
                }
                if !session.printer.json {
                    session.printer.out(&text(&after))?;
                }
            }
            plan = now;
            lock
        }
    };
    let ledger =
        host.ledger.store().claim_environment(&desired.settings.environment, &files.repo, args.adopt, clock::now())?;
    for deployment in &host.removed {
        ledger.resume(deployment, clock::now())?;
    }
    record_in_place(&ledger, &host.state.input(&desired, &files.revision, &ledger.owner(), &args.allow))?;
    if plan.steps.is_empty() {
        if session.printer.json {
            session.printer.data(&Outcome::new(&plan, &Applied::default()))?;
        }
        record_revision(&ledger, &plan, &Applied::default())?;
        return Ok(ending(&plan, &Applied::default()));
    }
    let exit = carry_out(session, &plan, Some((&desired, &files)), &host, &ledger).await;
    drop(lock);
    exit
}

/// Notes what became of the commit, as the daemon does.
fn record_revision(ledger: &Ledger, plan: &Plan, applied: &Applied) -> Result<(), Failure> {
    let outcome = match (applied.failed + applied.skipped, plan.held.iter().any(|held| held.why.is_of_commit())) {
        (0, false) => RevisionOutcome::Applied,
        (0, true) => RevisionOutcome::Held,
        _ => RevisionOutcome::Failed,
    };
    let note = format!("{} done, {} failed, {} skipped", applied.done, applied.failed, applied.skipped);
    Ok(ledger.revision(&plan.revision, outcome, Some(&plan.id), Some(&note), clock::now())?)
}

/// Takes the right to change the host.
pub(super) async fn lock(session: &Session, what: &str) -> Result<ApplyLock, Failure> {
    // The store makes the folder that the lock lies in.
    session.store()?;
    Ok(ApplyLock::acquire(&session.state_dir(), what, LOCK_WAIT).await?)
}

/// Carries a plan out with progress on standard error, and prints what became of it.
pub(super) async fn carry_out(
    session: &Session,
    plan: &Plan,
    wanted: Option<(&Desired, &Files)>,
    host: &Host,
    ledger: &Ledger,
) -> Result<Exit, Failure> {
    let signals = Signals::catch()?;
    let stop = CancellationToken::new();
    let job = Job {
        plan,
        desired: wanted.map(|(desired, _)| desired),
        observed: &host.state.observed,
        ledger,
        kept: BTreeMap::new(),
        interrupt: Interrupt { stop: stop.clone(), ..Interrupt::default() },
    };
    let owner = ledger.owner();
    let archive = wanted.map(|(_, files)| |context| files.blobs.archive(context));
    let steps = Steps {
        engine: &host.engine,
        plan,
        owner: &owner,
        desired: job.desired,
        archive: archive.as_ref().map(|archive| archive as Archive<'_>),
        interrupt: &job.interrupt,
    };
    let display = RefCell::new(Display::new(plan));
    let work = execute(&job, |id, news| steps.run(id, news), |progress| display.borrow_mut().show(&progress));
    // Dropping `drive` loses nothing: it only waits for signals. `work` is never dropped before its end.
    let applied = tokio::select! {
        applied = work => applied,
        never = signals.drive_with(stop.clone(), |_| display.borrow().stopping()) => match never {},
    };
    let applied = applied.map_err(|error| Failure::new(crate::process::error::chain(&error)))?;
    if wanted.is_some() {
        record_revision(ledger, plan, &applied)?;
    }
    report(session, plan, &applied)?;
    Ok(ending(plan, &applied))
}
