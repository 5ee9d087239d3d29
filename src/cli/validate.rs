//! `setpoint validate`

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::session::{Session, Which, feasible};
use crate::manifest;
use crate::schedule::feasibility::{feasibility, line};
use clap::Args;
use serde_json::json;

/// Check the files of a config repo: every mistake at once, with file, line, column and remedy
///
/// Without --rev it checks what lies in the folder, committed or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint validate                     the folder you stand in
  setpoint validate --staged            what `git commit` would commit (for a pre-commit hook)
  setpoint validate --rev origin/main   a commit
  setpoint validate --repo ssh://git@git.example.org/infra.git --rev main --json")]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Check the staged files
    #[arg(long, conflicts_with = "rev")]
    staged: bool,
}

pub(super) async fn run(session: &Session, args: &ValidateArgs) -> Result<Exit, Failure> {
    let local = match &args.repo.repo {
        Some(repo) => repo.parse::<crate::source::Address>()?.local().is_some(),
        None => true,
    };
    let which = match (args.staged, &args.repo.rev) {
        (true, _) => Which::Staged,
        (false, None) if local => Which::Worktree,
        _ => Which::Commit,
    };
    let files = session.files(&args.repo, which).await?;
    let desired = match manifest::compile(&files.tree) {
        Err(report) if session.printer.json => {
            let mistakes = &report.to_json()["diagnostics"];
            session.printer.data(&json!({
                "version": 1, "valid": false, "revision": files.revision, "mistakes": mistakes,
            }))?;
            return Ok(Exit::Failed);
        }
        result => result?,
    };
    feasible(&desired)?;
    for finding in desired.schedules.values().flat_map(|schedule| feasibility(schedule, None)) {
        session.printer.note(&format!("note: {}", line(&finding)));
    }
    let services: usize = desired.deployments.values().map(|deployment| deployment.services.len()).sum();
    let images: usize = desired.builds.iter().map(|build| build.images.len()).sum();
    if session.printer.json {
        session.printer.data(&json!({
            "version": 1,
            "valid": true,
            "revision": files.revision,
            "deployments": desired.deployments.len(),
            "services": services,
            "images": images,
            "schedules": desired.schedules.len(),
            "notices": desired.notices,
            "mistakes": [],
        }))?;
        return Ok(Exit::Ok);
    }
    session.printer.notices(&desired.notices);
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let mut parts = vec![count(desired.deployments.len(), "deployment"), count(services, "service")];
    parts.extend((!desired.schedules.is_empty()).then(|| count(desired.schedules.len(), "schedule")));
    parts.extend((images > 0).then(|| format!("{} of builder files", count(images, "image"))));
    session.printer.line(&format!("valid: {}", parts.join(", ")))?;
    Ok(Exit::Ok)
}
