//! `setpoint demo`: the whole product on one screen, with the program's own commands, in a folder that is gone afterwards.

mod busybox;
mod clean_up;
mod daemon;
mod example;
mod setup;
mod wait;

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::process::shutdown::Signals;
use clap::Args;
use setup::Demo;
use std::fs;
use tokio_util::sync::CancellationToken;

/// Show how it works: a repo, a plan, a commit that is applied, a killed container that is restarted
///
/// Needs only a Docker Engine. Everything that it creates is removed at the end, also after Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Do not remove the repo, the state and the containers at the end
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<Exit, Failure> {
    let engine = session.engine().await.map_err(|failure| {
        failure.hint("the demo needs a running Docker Engine and the right to use it; nothing was changed")
    })?;
    let mut demo = Demo::new(session, engine)?;
    demo.nothing_in_the_way()?;
    demo.prepare().await?;
    let signals = Signals::catch()?;
    let stop = CancellationToken::new();
    // Dropping it leaves things half done; `clean_up` removes them whatever their state.
    let shown = tokio::select! {
        shown = show(&mut demo) => shown,
        () = stop.cancelled() => Err(Failure::new("interrupted")),
        never = signals.drive(stop.clone()) => match never {},
    };
    if let Err(failure) = &shown {
        session.printer.failure(failure);
        demo.show_daemon_log();
    }
    if args.keep {
        let folder = demo.folder.keep();
        session.printer.line(&format!("\nkept: {}", folder.display()))?;
        return Ok(if shown.is_ok() { Exit::Ok } else { Exit::Failed });
    }
    demo.clean_up().await?;
    Ok(if shown.is_ok() { Exit::Ok } else { Exit::Failed })
}

/// What is shown, in order.
async fn show(demo: &mut Demo<'_>) -> Result<(), Failure> {
    demo.chapter("A config repo: what should run, in files")?;
    demo.commit("First set point")?;
    demo.say(&["validate"])?;
    demo.chapter("The plan: what the commit would change here, before it happens")?;
    demo.say(&["plan"])?;

    demo.chapter("The daemon carries it out, waits for healthy, and keeps it so")?;
    demo.start_daemon()?;
    let first = demo.converged_after(0).await?;
    demo.settled().await?;
    demo.say(&["status"])?;

    demo.chapter("The committed schedules have run, each once for this commit")?;
    demo.ran().await?;
    demo.say(&["runs"])?;

    demo.chapter("A commit that changes one field")?;
    let file = demo.repo.join("deployments/shop.yaml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replacen("memory: 64", "memory: 96", 1))?;
    demo.commit("More memory for the shop's database")?;
    demo.say(&["diff", "HEAD~1"])?;
    demo.converged_after(first).await?;

    demo.chapter("Somebody kills a container behind its back")?;
    demo.drift().await?;
    demo.settled().await?;

    demo.chapter("Why is it as it is?")?;
    demo.say(&["why", "shop/db/1"])?;
    Ok(())
}
