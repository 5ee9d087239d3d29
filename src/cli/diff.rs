//! `setpoint diff`

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::plan::{preview_of, shown};
use super::session::{Session, Which};
use crate::api::dto;
use crate::apply::difference;
use crate::manifest;
use crate::model::{FileTree, masked_lines};
use crate::plan::render::{View, text};
use crate::process::clock;
use crate::schedule::preview;
use clap::Args;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Compare two revisions of the repo without reading any host: the files, and what the change would do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint diff main feature      what merging the branch would change on a host to which main has been applied
  setpoint diff HEAD~1            the last commit
  setpoint diff v1 v2 --json")]
pub(super) struct DiffArgs {
    /// Revision that has been applied
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
    let plan = difference((&old, &from.revision), (&new, &to.revision));
    let view = View::new(&plan);
    let secret: BTreeSet<&String> = old.env_files.union(&new.env_files).collect();
    let files = changed(&from.tree, &to.tree, &secret);
    let schedules = preview_of(&old, &new, clock::now());
    if session.printer.json {
        session.printer.data(&dto::Difference {
            version: 1,
            from: from.revision.into(),
            to: to.revision.into(),
            files,
            plan: dto::Plan::from(&view),
            schedules: dto::Preview::from(&schedules),
        })?;
    } else {
        session.printer.out(&files)?;
        shown(session, [text(&view), preview::text(&schedules)])?;
    }
    Ok(Exit::Ok)
}

/// Unified diff of every text file that differs, without the secrets in it; others are named. `secret` are files of which no value
/// is shown.
fn changed(from: &FileTree, to: &FileTree, secret: &BTreeSet<&String>) -> String {
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
                let _ = write!(out, "--- {}\n+++ {}\n", name(old.is_some(), "a"), name(new.is_some(), "b"));
                out.push_str(&hunks(&before, &after, secret.contains(path)));
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

/// The hunks of a unified diff. The lines themselves are compared, so that a change of a secret is a change, and shown masked.
fn hunks(before: &str, after: &str, secret: bool) -> String {
    let mut out = String::new();
    let shown = (masked_lines(before, secret), masked_lines(after, secret));
    for hunk in TextDiff::from_lines(before, after).unified_diff().iter_hunks() {
        let _ = writeln!(out, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let line = match (change.old_index(), change.new_index()) {
                (_, Some(index)) => shown.1.get(index),
                (Some(index), None) => shown.0.get(index),
                (None, None) => None,
            };
            let _ = writeln!(out, "{}{}", change.tag(), line.map_or("", String::as_str));
            if change.missing_newline() {
                let _ = writeln!(out, "\\ No newline at end of file");
            }
        }
    }
    out
}
