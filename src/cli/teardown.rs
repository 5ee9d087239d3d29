//! `setpoint stop`, `start` and `cleanup`: whole deployments, from what is on the host alone.

use super::apply::{carry_out, lock};
use super::args::{EnvironmentArgs, parse_deployment};
use super::exit::{Exit, Failure};
use super::session::{Host, Session};
use crate::apply::{HostState, check};
use crate::engine::Scope;
use crate::model::{CommitId, DeploymentName, Desired, Observed, Revision, Settings};
use crate::plan::render::{View, text};
use crate::plan::{Plan, Teardown, teardown};
use crate::process::clock;
use clap::Args;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stop deployments, dependants first; the containers are kept, and a daemon does not start them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint stop shop          stop it until `setpoint start shop`
  setpoint stop --yes         all deployments of this environment")]
pub(super) struct StopArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Start deployments that were stopped by hand, dependencies first
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Remove deployments from this host: containers, dependants first, then networks; images and volumes are kept
///
/// A daemon does not recreate a removed deployment until `setpoint start` or `setpoint apply`; to remove it permanently, delete it from the repo.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint cleanup shop
  setpoint cleanup --environment prod --yes")]
pub(super) struct CleanupArgs {
    #[command(flatten)]
    which: WhichArgs,
}

#[derive(Debug, Args)]
struct WhichArgs {
    /// Deployments [default: all of the environment]
    #[arg(value_name = "DEPLOYMENT", value_parser = parse_deployment)]
    deployments: Vec<DeploymentName>,
    #[command(flatten)]
    environment: EnvironmentArgs,
    /// Do not ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(super) async fn stop(session: &Session, args: &StopArgs) -> Result<Exit, Failure> {
    run(session, &args.which, Teardown::Stop, "setpoint stop").await
}

pub(super) async fn start(session: &Session, args: &StartArgs) -> Result<Exit, Failure> {
    run(session, &args.which, Teardown::Start, "setpoint start").await
}

pub(super) async fn cleanup(session: &Session, args: &CleanupArgs) -> Result<Exit, Failure> {
    run(session, &args.which, Teardown::Remove, "setpoint cleanup").await
}

async fn run(session: &Session, args: &WhichArgs, what: Teardown, name: &str) -> Result<Exit, Failure> {
    let mut host = observed(session, args).await?;
    let ledger = host.ledger.clone();
    let known = deployments(&host.state.observed, &host);
    let chosen: BTreeSet<DeploymentName> = args.deployments.iter().cloned().collect();
    if let Some(unknown) =
        chosen.iter().find(|name| !known.contains(*name) && !host.state.memory.suspended.contains(*name))
    {
        let names: Vec<&str> = known.iter().map(DeploymentName::as_str).collect();
        return Err(Failure::new(format!(
            "there is no deployment `{unknown}` of environment `{}` here",
            ledger.environment()
        ))
        .hint(if names.is_empty() {
            "there is none at all; `--environment` names another".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        }));
    }
    let shown = planned(&host, what, &chosen)?;
    if !session.printer.json && !shown.steps.is_empty() {
        session.printer.out(&text(&View::new(&shown)))?;
    }
    let asked = !shown.steps.is_empty() && !args.yes;
    if asked && !session.printer.confirm("\nGo ahead?")? {
        session.printer.note("nothing was changed");
        return Ok(Exit::Failed);
    }
    // A person may take their time: nobody is kept from the host meanwhile, and what they approve is what is done.
    let lock = lock(session, name).await?;
    host = observed(session, args).await?;
    let plan = planned(&host, what, &chosen)?;
    if asked && plan.id != shown.id {
        let failure = Failure::new("the host changed while you were asked, and nothing was done");
        return Err(failure.hint("run the command again"));
    }
    let affected =
        if chosen.is_empty() { known.union(&host.state.memory.suspended).cloned().collect() } else { chosen };
    // A daemon must not repair meanwhile what is being stopped, so that is written first; and it must not start anything before
    // the order of the start below is through, so that is written last. What was removed comes back with the next apply of a
    // person, or with `setpoint start`.
    if what != Teardown::Start {
        suspend(&host, &affected, true)?;
    }
    let exit = carry_out(session, &plan, None, &host, &ledger).await?;
    if what == Teardown::Start {
        suspend(&host, &affected, false)?;
        for removed in
            affected.iter().filter(|name| host.state.memory.suspended.contains(*name) && !known.contains(*name))
        {
            session
                .printer
                .note(&format!("{removed} was removed; a daemon creates it again, or `setpoint apply` does"));
        }
    }
    drop(lock);
    Ok(exit)
}

/// Observes the host.
async fn observed(session: &Session, args: &WhichArgs) -> Result<Host, Failure> {
    let engine = session.engine().await?;
    let ledger = session.ledger(&args.environment)?;
    let observed = engine.observe(&Scope { owner: ledger.owner(), images: BTreeSet::new() }).await?;
    let (_, state) = HostState::new(&Arc::default(), observed, &ledger)?;
    Ok(Host { engine, ledger, state, removed: BTreeSet::new() })
}

/// Deployments that have containers of ours.
fn deployments(observed: &Observed, host: &Host) -> BTreeSet<DeploymentName> {
    let owner = host.ledger.owner();
    let ours = observed.containers.iter().filter(|one| one.owner.as_ref() == Some(&owner));
    ours.filter_map(|one| Some(one.instance.as_ref()?.service.deployment.clone())).collect()
}

fn planned(host: &Host, what: Teardown, chosen: &BTreeSet<DeploymentName>) -> Result<Plan, Failure> {
    let settings = Settings { environment: host.ledger.environment().to_owned(), ..Settings::default() };
    let desired = Desired { settings, ..Desired::default() };
    let revision = Revision {
        commit: CommitId::new(""),
        reference: String::new(),
        summary: "asked for on the command line".to_owned(),
        author: String::new(),
        time: clock::now(),
    };
    let owner = host.ledger.owner();
    let input = host.state.input(&desired, &revision, &owner, &[]);
    let plan = teardown(&input, what, chosen);
    check(&plan, &input)?;
    Ok(plan)
}

fn suspend(host: &Host, deployments: &BTreeSet<DeploymentName>, suspended: bool) -> Result<(), Failure> {
    let now = clock::now();
    for deployment in deployments {
        if suspended {
            host.ledger.suspend(deployment, now)?;
        } else {
            host.ledger.resume(deployment, now)?;
        }
    }
    Ok(())
}
