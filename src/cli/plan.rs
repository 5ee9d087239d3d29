//! `setpoint plan`

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::moved::body;
use super::session::{Session, Which};
use crate::api::dto;
use crate::manifest;
use crate::model::{CommitId, Desired, Timestamp};
use crate::plan::render::{View, markdown, text};
use crate::plan::{Allow, Plan};
use crate::schedule::Placed;
use crate::schedule::preview::{self, Preview, preview};
use clap::{Args, ValueEnum};
use std::sync::Arc;

/// Show what a commit would change on this host, and change nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint plan                          the last commit of the current repo
  setpoint plan --rev feature            a branch, before it is merged
  setpoint plan --worktree               what you have not committed yet
  setpoint plan --format markdown        for a pull request
  setpoint plan --detailed-exitcode      0 no changes, 2 changes, 3 held by a guard, 4 incomplete, 1 failed")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Read the files in the folder, committed or not
    #[arg(long, conflicts_with = "rev")]
    worktree: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
    /// Encode the result in the exit code
    #[arg(long)]
    detailed_exitcode: bool,
    /// Allow what a guard prevents: `prune` or `retry`, with `:deployment[/service]` to limit it
    #[arg(long, value_name = "GUARD")]
    allow: Vec<Allow>,
}

/// For people at a terminal, or in a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Markdown,
}

pub(super) async fn run(session: &Session, args: &PlanArgs) -> Result<Exit, Failure> {
    let which = if args.worktree { Which::Worktree } else { Which::Commit };
    let files = session.files(&args.repo, which).await?;
    let desired = Arc::new(session.compile(&files)?);
    let (desired, host) = session.observe(&desired).await?;
    let plan = session.plan(&desired, &files.revision, &host, &args.allow)?;
    let view = View::new(&plan);
    host.ledger.store().save_plan(&view.id, &body(&text(&view)), plan.observed_at)?;
    let in_force = match host.ledger.in_force()? {
        None => Arc::default(),
        // Often the same commit, which is not fetched and compiled a second time.
        Some(commit) if commit == files.revision.commit => Arc::clone(&desired),
        Some(commit) => Arc::new(wanted_by(session, args, &commit).await),
    };
    let schedules = preview_of(&in_force, &desired, plan.observed_at);
    match args.format {
        _ if session.printer.json => session
            .printer
            .data(&dto::Planned { plan: dto::Plan::from(&view), schedules: dto::Preview::from(&schedules) })?,
        Format::Text => shown(session, [text(&view), preview::text(&schedules)])?,
        Format::Markdown => shown(session, [markdown(&view), preview::markdown(&schedules)])?,
    }
    Ok(if args.detailed_exitcode { detailed(&plan, &schedules) } else { Exit::Ok })
}

/// What changes in the schedules, all of whose services are on this host.
pub(super) fn preview_of(before: &Desired, after: &Desired, now: Timestamp) -> Preview {
    let placed = [before, after].map(Placed::here);
    let [before, after] = [(before, &placed[0]), (after, &placed[1])]
        .map(|(desired, placed)| preview::Side { schedules: &desired.schedules, placed });
    preview(before, after, now)
}

/// What the commit wants whose schedules the daemon of this host follows; nothing when that commit is gone.
async fn wanted_by(session: &Session, args: &PlanArgs, commit: &CommitId) -> Desired {
    let at = RepoArgs { rev: Some(commit.to_string()), ..args.repo.clone() };
    let files = session.files(&at, Which::Commit).await;
    let why = match files.and_then(|files| Ok(manifest::compile(&files.tree)?)) {
        Ok(desired) => return desired,
        Err(why) => why,
    };
    let short = commit.short();
    session
        .printer
        .note(&format!("note: every schedule is shown as new: those in force are of commit {short}: {}", why.text()));
    Desired::default()
}

/// The parts that have something to say, with a line between them.
pub(super) fn shown(session: &Session, parts: [String; 2]) -> Result<(), Failure> {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    session.printer.out(&parts.join("\n"))
}

/// The most telling of the codes: an incomplete observation first, then changes, then holds.
fn detailed(plan: &Plan, schedules: &Preview) -> Exit {
    if !plan.missing.is_empty() {
        Exit::Incomplete
    } else if !plan.is_empty() || !schedules.is_empty() {
        Exit::Changes
    } else if !plan.held.is_empty() {
        Exit::Held
    } else {
        Exit::Ok
    }
}
