//! `setpoint validate`

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::session::{Files, Session, Which};
use crate::api::dto::{Content, Validation};
use crate::apply::compile;
use crate::manifest::Report;
use crate::model::{Desired, FileTree};
use crate::schedule::feasibility::{feasibility, line};
use crate::source::is_bare;
use clap::Args;
use serde_json::{Value, json};

/// Check the files of a config repo and report every mistake with file, line, column and a fix
///
/// Without --rev it checks the files in the folder, committed or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint validate                     the current folder
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
    match check(session, args).await {
        Err(failure) if session.printer.json && !matches!(failure, Failure::Usage(_)) => {
            let mistakes = match &failure {
                Failure::Invalid(report) => mistakes(report),
                other => vec![json!({ "code": "failed", "message": other.text() })],
            };
            session.printer.data(&Validation { version: 1, valid: false, revision: None, content: None, mistakes })?;
            Ok(Exit::Failed)
        }
        result => result,
    }
}

async fn check(session: &Session, args: &ValidateArgs) -> Result<Exit, Failure> {
    let local = match &args.repo.repo {
        Some(repo) => repo.parse::<crate::source::Address>()?.local().is_some(),
        None => true,
    };
    let which = match (args.staged, &args.repo.rev) {
        (true, _) => Which::Staged,
        // A bare repo has nothing that is not committed.
        (false, None) if local && !is_bare(&session.folder(&args.repo)?) => Which::Worktree,
        _ => Which::Commit,
    };
    let files = session.files(&args.repo, which).await?;
    let desired = match compile(&files.tree) {
        Err(report) if session.printer.json => {
            let (revision, mistakes) = (Some(files.revision.into()), mistakes(&report));
            session.printer.data(&Validation { version: 1, valid: false, revision, content: None, mistakes })?;
            return Ok(Exit::Failed);
        }
        result => result?,
    };
    for finding in desired.schedules.values().flat_map(|schedule| feasibility(schedule, None)) {
        session.printer.note(&format!("note: {}", line(&finding)));
    }
    if nothing(&desired, &files.tree) && !args.staged {
        let place = if args.repo.path.is_empty() { "the folder" } else { "that folder of the repo" };
        return Err(Failure::new(format!(
            "nothing was checked: {place} holds no deployment, builder or settings file"
        ))
        .hint("stand in your config repo, or name it with --repo and its folder with --path"));
    }
    summary(session, &files, &desired)
}

/// The mistakes of a report as programs read them.
fn mistakes(report: &Report) -> Vec<Value> {
    report.to_json()["diagnostics"].as_array().cloned().unwrap_or_default()
}

/// Whether there was nothing to look at.
fn nothing(desired: &Desired, tree: &FileTree) -> bool {
    let settings = ["setpoint.kdl", "setpoint.yaml", "setpoint.yml"].iter().any(|name| tree.get(name).is_some());
    desired.deployments.is_empty() && desired.builds.is_empty() && desired.schedules.is_empty() && !settings
}

fn summary(session: &Session, files: &Files, desired: &Desired) -> Result<Exit, Failure> {
    let services: usize = desired.deployments.values().map(|deployment| deployment.services.len()).sum();
    let images: usize = desired.builds.iter().map(|build| build.images.len()).sum();
    if session.printer.json {
        let content = Content {
            deployments: desired.deployments.len(),
            services,
            images,
            schedules: desired.schedules.len(),
            notices: desired.notices.iter().map(Into::into).collect(),
        };
        let (revision, content) = (Some(files.revision.clone().into()), Some(content));
        session.printer.data(&Validation { version: 1, valid: true, revision, content, mistakes: Vec::new() })?;
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
