//! `setpoint build`, `push` and `pull`: images without touching containers.

use super::args::RepoArgs;
use super::exit::{Exit, Failure};
use super::session::{Files, Session, Which};
use crate::engine::{Engine, EngineError, News};
use crate::model::{BuildFile, Desired, Image, ImageBuild, OwnerId, Registry};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Images built or moved at once when a builder file asks for it.
const PARALLEL: usize = 4;

/// Build the images of services and builder files from a commit
///
/// An image whose context has not changed is not built again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint build                 every image the repo builds
  setpoint build shop/api        the image of one service
  setpoint build --push          also push the images of builder files, even if their settings do not request it")]
pub(super) struct BuildArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Services (`deployment/service`) or image names of builder files [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Push images of builder files even if their settings do not request it
    #[arg(long)]
    push: bool,
}

/// Push the images of builder files to their registry
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Image names of builder files [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

/// Pull the images of services from their registries
#[derive(Debug, Args)]
pub(super) struct PullArgs {
    #[command(flatten)]
    repo: RepoArgs,
    /// Services (`deployment/service`) [default: all]
    #[arg(value_name = "SERVICE")]
    images: Vec<String>,
}

/// One image and what is to be done with it.
struct Work<'a> {
    name: String,
    what: What<'a>,
    registries: Vec<Registry>,
}

enum What<'a> {
    Build { build: &'a ImageBuild, push: Option<&'a str>, forget: bool },
    Push { build: &'a ImageBuild, reference: &'a str, forget: bool },
    Pull { reference: &'a str, also_tag: Option<&'a str> },
}

pub(super) async fn build(session: &Session, args: &BuildArgs) -> Result<Exit, Failure> {
    let files = session.files(&args.repo, Which::Commit).await?;
    let desired = session.compile(&files)?;
    let mut work = Vec::new();
    let mut seen = BTreeMap::new();
    for deployment in desired.deployments.values() {
        for service in &deployment.services {
            if let Image::Build(build) = &service.image
                && seen.insert(build.reference(), ()).is_none()
            {
                let what = What::Build { build, push: None, forget: false };
                let name = format!("{}/{}", deployment.name, service.id);
                work.push(Work { name, what, registries: deployment.registries.clone() });
            }
        }
    }
    for file in &desired.builds {
        for image in &file.images {
            let push = image.push_reference.as_deref().filter(|_| args.push || file.settings.push_after_build);
            let forget = file.settings.cleanup_after_push;
            let what = What::Build { build: &image.build, push, forget };
            work.push(Work { name: image.build.friendly(), what, registries: file.registry.iter().cloned().collect() });
        }
    }
    let parallel = desired.builds.iter().any(|file| file.settings.parallel);
    carry_out(session, &files, &desired, chosen(work, &args.images)?, if parallel { PARALLEL } else { 1 }).await
}

pub(super) async fn push(session: &Session, args: &PushArgs) -> Result<Exit, Failure> {
    let files = session.files(&args.repo, Which::Commit).await?;
    let desired = session.compile(&files)?;
    let work = desired.builds.iter().flat_map(pushes).collect();
    carry_out(session, &files, &desired, chosen(work, &args.images)?, 1).await
}

fn pushes(file: &BuildFile) -> impl Iterator<Item = Work<'_>> {
    file.images.iter().filter_map(|image| {
        let reference = image.push_reference.as_deref()?;
        let forget = file.settings.cleanup_after_push;
        let what = What::Push { build: &image.build, reference, forget };
        Some(Work { name: image.build.friendly(), what, registries: file.registry.iter().cloned().collect() })
    })
}

pub(super) async fn pull(session: &Session, args: &PullArgs) -> Result<Exit, Failure> {
    let files = session.files(&args.repo, Which::Commit).await?;
    let desired = session.compile(&files)?;
    let mut work = Vec::new();
    for deployment in desired.deployments.values() {
        for service in &deployment.services {
            if let Image::Pull { reference, also_tag, .. } = &service.image {
                let what = What::Pull { reference, also_tag: also_tag.as_deref() };
                let name = format!("{}/{}", deployment.name, service.id);
                work.push(Work { name, what, registries: deployment.registries.clone() });
            }
        }
    }
    carry_out(session, &files, &desired, chosen(work, &args.images)?, PARALLEL).await
}

/// The work that the arguments name; a name that is none is a mistake, with those there are.
fn chosen<'a>(work: Vec<Work<'a>>, names: &[String]) -> Result<Vec<Work<'a>>, Failure> {
    let matches = |work: &Work<'_>, name: &str| work.name == name || work.name.split(':').next() == Some(name);
    if let Some(unknown) = names.iter().find(|name| !work.iter().any(|work| matches(work, name))) {
        let known: Vec<&str> = work.iter().map(|work| work.name.as_str()).collect();
        return Err(Failure::new(format!("there is no image `{unknown}` to work on"))
            .hint(format!("there are: {}", known.join(", "))));
    }
    Ok(work.into_iter().filter(|work| names.is_empty() || names.iter().any(|name| matches(work, name))).collect())
}

async fn carry_out(
    session: &Session,
    files: &Files,
    desired: &Desired,
    work: Vec<Work<'_>>,
    parallel: usize,
) -> Result<Exit, Failure> {
    let engine = session.engine().await?;
    let owner = session.store()?.owner(&desired.settings.environment);
    let results: Vec<(String, Result<String, EngineError>)> = stream::iter(work)
        .map(|work| {
            let (engine, owner) = (&engine, &owner);
            async move {
                let result = one(session, engine, owner, files, &work).await;
                (work.name, result)
            }
        })
        .buffered(parallel)
        .collect()
        .await;
    let mut failed = 0;
    let mut rows = Vec::new();
    for (name, result) in results {
        let (ok, text) = match result {
            Ok(text) => (true, text),
            Err(error) => (false, format!("FAILED: {}", crate::process::error::chain(&error))),
        };
        failed += usize::from(!ok);
        if session.printer.json {
            rows.push(serde_json::json!({ "image": name, "ok": ok, "detail": text }));
        } else {
            session.printer.line(&format!("{name}: {text}"))?;
        }
    }
    if session.printer.json {
        session.printer.data(&serde_json::json!({ "version": 1, "images": rows }))?;
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

async fn one(
    session: &Session,
    engine: &Engine,
    owner: &OwnerId,
    files: &Files,
    work: &Work<'_>,
) -> Result<String, EngineError> {
    let (news, mut lines) = mpsc::channel(64);
    let action = async {
        // Owned here, so that the channel ends with the action.
        let news = news;
        match &work.what {
            What::Build { build, push, forget } => {
                let context = files.blobs.archive(build.files.clone());
                engine.build(build, owner, Some(context), &work.registries, &news).await?;
                match push {
                    Some(reference) => send(engine, build, reference, *forget, &work.registries, &news).await,
                    None => Ok(format!("built as {}", build.reference())),
                }
            }
            What::Push { build, reference, forget } => {
                send(engine, build, reference, *forget, &work.registries, &news).await
            }
            What::Pull { reference, also_tag } => {
                engine.pull(reference, *also_tag, &work.registries, &news).await?;
                Ok(format!("pulled {reference}"))
            }
        }
    };
    let show = async {
        while let Some(item) = lines.recv().await {
            if let News::Line(line) = item {
                session.printer.note(&format!("{}: {line}", work.name));
            }
        }
    };
    let (result, ()) = tokio::join!(action, show);
    result
}

/// Tags an image for its registry, sends it, and forgets the local name again where the file asks for it.
async fn send(
    engine: &Engine,
    build: &ImageBuild,
    reference: &str,
    forget: bool,
    registries: &[Registry],
    news: &mpsc::Sender<News>,
) -> Result<String, EngineError> {
    engine.tag(&build.reference(), reference).await?;
    engine.push(reference, registries, news).await?;
    if forget {
        engine.remove_tag(reference).await?;
    }
    Ok(format!("pushed {reference}"))
}
