//! Which schedule is run, and whether it can hold its times.

use super::args::RunArgs;
use crate::cli::exit::Failure;
use crate::cli::session::{Session, Which};
use crate::manifest;
use crate::model::{FeasibilityPolicy, FileEntry, FileKind, FileTree, Schedule, ScheduleName};
use crate::schedule::Placed;
use crate::schedule::feasibility::{Proof, feasibility, line};
use std::path::Path;
use std::sync::Arc;

/// The schedule that is meant, and where its task servers are.
pub(super) async fn schedule(session: &Session, args: &RunArgs) -> Result<(Schedule, Placed), Failure> {
    if args.is_file() && args.repo.repo.is_none() && args.repo.rev.is_none() {
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
pub(super) fn is_infeasible(session: &Session, schedule: &Schedule) -> bool {
    let cpus = std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok());
    let findings = feasibility(schedule, cpus);
    for finding in &findings {
        session.printer.note(&format!("note: {}", line(finding)));
    }
    schedule.feasibility == FeasibilityPolicy::Error
        && findings.iter().any(|finding| finding.kind.proof() == Proof::Certain)
}
