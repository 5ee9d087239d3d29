//! Builds with the engine's classic builder, from a context that is streamed.

use super::registry::refuse;
use crate::engine::docker::cause::is_gone;
use crate::engine::docker::{Docker, labels};
use crate::engine::{BuildContext, EngineError, News};
use crate::model::{ImageBuild, OwnerId, Registry};
use bollard::auth::DockerCredentials;
use bollard::body_try_stream;
use bollard::query_parameters::BuildImageOptions;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// The engine answers only after it has read the whole context.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Lines of the failing step that are kept.
const LINES: usize = 40;

impl Docker {
    /// Builds an image and gives it its two tags. An image that already exists under its content-addressed tag is not built
    /// again.
    ///
    /// # Errors
    /// When a step of the Dockerfile fails, with what that step said; when a base image cannot be pulled; when there is
    /// no context.
    pub async fn build(
        &self,
        build: &ImageBuild,
        owner: &OwnerId,
        context: Option<BuildContext>,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        let reference = build.reference();
        match self.api.inspect_image(&reference).await {
            Ok(_) => {
                let _ = news.try_send(News::Line(format!("{reference} is already built")));
                return self.tag(&reference, &build.friendly()).await;
            }
            Err(error) if is_gone(&error) => {}
            Err(source) => {
                return Err(EngineError::Inspect { what: format!("image {reference}"), source: source.into() });
            }
        }
        let Some(context) = context else { return Err(EngineError::BuildContext { reference }) };
        let logins = self.logins(registries).await?;
        let api = self.patient(PATIENCE);
        let mut stream = api.build_image(options(build, owner), Some(logins), Some(body_try_stream(context)));
        let mut step: Vec<String> = Vec::new();
        while let Some(message) = stream.next().await {
            let message = match message.and_then(|message| refuse(message.error_detail.clone()).map(|()| message)) {
                Ok(message) => message,
                Err(source) => return Err(EngineError::Build { reference, output: step, source: source.into() }),
            };
            for line in message.stream.iter().flat_map(|text| text.lines()).map(str::trim_end) {
                keep(&mut step, line);
                if !line.is_empty() {
                    let _ = news.try_send(News::Line(line.to_owned()));
                }
            }
        }
        self.tag(&reference, &build.friendly()).await
    }

    /// A Dockerfile may start from any of the deployment's registries.
    async fn logins(&self, registries: &[Registry]) -> Result<HashMap<String, DockerCredentials>, EngineError> {
        let mut logins = HashMap::new();
        for registry in registries {
            let image = format!("{}/any", registry.address.trim_end_matches('/'));
            if let Some(login) = self.login(&image, registries).await? {
                logins.insert(registry.address.clone(), login);
            }
        }
        Ok(logins)
    }
}

/// The latest lines of the current step.
fn keep(step: &mut Vec<String>, line: &str) {
    if line.starts_with("Step ") {
        step.clear();
    }
    // The builder's own messages are between the lines of the program.
    if line.is_empty() || line.starts_with(" ---> ") || line.starts_with("Removing intermediate container") {
        return;
    }
    if step.len() == LINES {
        step.remove(0);
    }
    step.push(line.to_owned());
}

fn options(build: &ImageBuild, owner: &OwnerId) -> BuildImageOptions {
    let labels = [(labels::IMAGE_OWNER, owner.to_string()), (labels::IMAGE_DIGEST, build.digest.clone())];
    BuildImageOptions {
        dockerfile: dockerfile(build).to_owned(),
        t: Some(build.reference()),
        nocache: build.no_cache,
        rm: true,
        forcerm: true,
        buildargs: (!build.args.is_empty()).then(|| build.args.clone().into_iter().collect()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        target: build.target.clone().unwrap_or_default(),
        ..Default::default()
    }
}

/// The path of the Dockerfile in the tar stream: below the context, or its own path if it is outside of the context.
fn dockerfile(build: &ImageBuild) -> &str {
    let folder = build.context.trim_start_matches("./").trim_end_matches('/');
    let path = build.dockerfile.trim_start_matches("./");
    if folder.is_empty() || folder == "." {
        return path;
    }
    path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}
