//! `setpoint diff`

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::plan::shown;
use super::session::{Files, Session, Which};
use crate::manifest;
use crate::model::{Desired, FileTree, Observed, OwnerId};
use crate::plan::render::{View, text};
use crate::plan::{Allow, AllowedGuard, Memory, Plan, PlanInput, plan, pretend};
use crate::process::clock;
use crate::schedule::preview::{self, preview};
use clap::Args;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Compare two revisions of the repo without looking at any host: the files, and what the change would do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint diff main feature      what merging the branch would change where main is applied
  setpoint diff HEAD~1            the last commit
  setpoint diff v1 v2 --json")]
pub(super) struct DiffArgs {
    /// Revision that is applied
    #[arg(value_name = "A")]
    from: String,
    /// Revision that would be applied
    #[arg(value_name = "B", default_value = "HEAD")]
    to: String,
    #[command(flatten)]
    repo: RepoArgs,
}

pub(super) async fn run(session: &Session, args: &DiffArgs) -> Result<Exit, Failure> {
    let at = |rev: &str| RepoArgs { rev: Some(rev.to_owned()), ..args.repo.clone() };
    let from = session.files(&at(&args.from), Which::Commit).await?;
    let to = session.files(&at(&args.to), Which::Commit).await?;
    let (old, new) = (manifest::compile(&from.tree)?, session.compile(&to)?);
    let plan = offline(&old, &new, &from, &to);
    let view = View::new(&plan);
    let files = changed(&from.tree, &to.tree);
    let schedules = preview(&old.schedules, &new.schedules, clock::now());
    if session.printer.json {
        session.printer.data(&serde_json::json!({
            "version": 1, "from": from.revision, "to": to.revision, "files": files, "plan": view,
            "schedules": schedules,
        }))?;
    } else {
        session.printer.out(&files)?;
        shown(session, [text(&view), preview::text(&schedules)])?;
    }
    Ok(Exit::Ok)
}

/// The plan on a host where `from` was applied and nothing else happened.
fn offline(old: &Desired, new: &Desired, from: &Files, to: &Files) -> Plan {
    let owner = OwnerId::new(format!("offline/{}", new.settings.environment));
    let allow = [Allow { guard: AllowedGuard::Prune, scope: None }];
    let (observed, memory) = (Observed::empty(from.revision.time), Memory::default());
    let input = PlanInput {
        desired: old,
        revision: &from.revision,
        observed: &observed,
        owner: &owner,
        memory: &memory,
        allow: &allow,
    };
    let applied = pretend(&plan(&input), &observed, &memory, &owner);
    plan(&PlanInput {
        desired: new,
        revision: &to.revision,
        observed: &applied.observed,
        memory: &applied.memory,
        ..input
    })
}

/// Unified diff of every text file that differs; others are named.
fn changed(from: &FileTree, to: &FileTree) -> String {
    let mut out = String::new();
    let paths: BTreeSet<&String> = from.files.keys().chain(to.files.keys()).collect();
    for path in paths {
        let (old, new) = (from.get(path), to.get(path));
        if old.map(|entry| &entry.oid) == new.map(|entry| &entry.oid) {
            continue;
        }
        let content = |entry: Option<&crate::model::FileEntry>| match entry {
            None => Some(String::new()),
            Some(entry) => String::from_utf8(entry.content.as_deref()?.to_vec()).ok(),
        };
        match (content(old), content(new)) {
            (Some(before), Some(after)) => {
                let name =
                    |there: bool, side: &str| if there { format!("{side}/{path}") } else { "/dev/null".to_owned() };
                let diff = TextDiff::from_lines(&before, &after);
                let mut unified = diff.unified_diff();
                let unified = unified.header(&name(old.is_some(), "a"), &name(new.is_some(), "b")).to_string();
                out.push_str(&unified);
            }
            _ => {
                let _ = writeln!(out, "binary or large file {path} differs");
            }
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
