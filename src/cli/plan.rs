//! `setpoint plan`

use super::args::{RepoArgs, parse_allow};
use super::exit::{Exit, Failure};
use super::moved::body;
use super::session::{Session, Which};
use crate::plan::render::{View, markdown, text};
use crate::plan::{Allow, Plan};
use clap::{Args, ValueEnum};

/// Show what a commit would change on this host, and change nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint plan                          the last commit of the repo you stand in
  setpoint plan --rev feature            a branch, before it is merged
  setpoint plan --worktree               what you have not committed yet
  setpoint plan --format markdown        for a pull request
  setpoint plan --detailed-exitcode      0 no changes, 2 changes, 3 held by a guard, 4 incomplete, 1 failed")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Plan what lies in the folder, committed or not
    #[arg(long, conflicts_with = "rev")]
    worktree: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
    /// Say by the exit code what the plan holds
    #[arg(long)]
    detailed_exitcode: bool,
    /// Lift a guard: `prune` or `retry`, `:deployment[/service]` to limit it
    #[arg(long, value_parser = parse_allow, value_name = "GUARD")]
    allow: Vec<Allow>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
}

pub(super) async fn run(session: &Session, args: &PlanArgs) -> Result<Exit, Failure> {
    let which = if args.worktree { Which::Worktree } else { Which::Commit };
    let files = session.files(&args.repo, which).await?;
    let desired = session.compile(&files)?;
    let host = session.look(&desired).await?;
    let plan = session.plan(&desired, &files.revision, &host, &args.allow)?;
    let view = View::new(&plan);
    host.ledger.store().save_plan(&view.id, &body(&text(&view)), plan.observed_at)?;
    match args.format {
        _ if session.printer.json => session.printer.data(&view)?,
        Format::Text => session.printer.out(&text(&view))?,
        Format::Markdown => session.printer.out(&markdown(&view))?,
    }
    Ok(if args.detailed_exitcode { detailed(&plan) } else { Exit::Ok })
}

/// The most telling of the codes: an incomplete look first, then changes, then holds.
fn detailed(plan: &Plan) -> Exit {
    if !plan.missing.is_empty() {
        Exit::Incomplete
    } else if !plan.is_empty() {
        Exit::Changes
    } else if !plan.held.is_empty() {
        Exit::Held
    } else {
        Exit::Ok
    }
}
