//! Pull, push and tags.

use super::progress::Progress;
use super::reference;
use crate::engine::docker::Docker;
use crate::engine::docker::cause::is_gone;
use crate::engine::{EngineError, News};
use crate::model::Registry;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as Cause;
use bollard::models::ErrorDetail;
use bollard::query_parameters::{CreateImageOptions, PushImageOptions, RemoveImageOptions, TagImageOptions};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;

/// The engine answers only after the registry has answered.
const PATIENCE: Duration = Duration::from_secs(600);

impl Docker {
    /// Pulls an image from its registry and adds the tag `also_tag`.
    ///
    /// # Errors
    /// When the login is not known, the registry refuses or the transfer breaks.
    pub async fn pull(
        &self,
        reference: &str,
        also_tag: Option<&str>,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        let failed = |source: bollard::errors::Error| EngineError::Pull {
            reference: reference.to_owned(),
            source: source.into(),
        };
        let login = self.login(reference, registries).await?;
        let (repository, tag) = reference::split(reference);
        let options = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            tag: tag.map(str::to_owned),
            ..Default::default()
        };
        let mut progress = Progress::new(news);
        let mut stream = self.patient(PATIENCE).create_image(Some(options), None, login).boxed();
        while let Some(message) = stream.next().await {
            let message = message.map_err(failed)?;
            refuse(message.error_detail).map_err(failed)?;
            progress.tell(message.id.as_deref(), message.status.as_deref(), message.progress_detail.as_ref());
        }
        match also_tag {
            Some(tag) => self.tag(reference, tag).await,
            None => Ok(()),
        }
    }

    /// Pushes an image to its registry.
    ///
    /// # Errors
    /// When the login is not known, the registry refuses or the transfer breaks.
    pub async fn push(
        &self,
        reference: &str,
        registries: &[Registry],
        news: &mpsc::Sender<News>,
    ) -> Result<(), EngineError> {
        let failed = |source: bollard::errors::Error| EngineError::Push {
            reference: reference.to_owned(),
            source: source.into(),
        };
        // The engine requires a login, but accepts an empty one.
        let login = self.login(reference, registries).await?.unwrap_or_else(DockerCredentials::default);
        let (repository, tag) = reference::split(reference);
        let options = PushImageOptions { tag: tag.map(str::to_owned), platform: None };
        let mut progress = Progress::new(news);
        let mut stream = self.patient(PATIENCE).push_image(repository, Some(options), Some(login)).boxed();
        while let Some(message) = stream.next().await {
            let message = message.map_err(failed)?;
            refuse(message.error_detail).map_err(failed)?;
            progress.tell(None, message.status.as_deref(), message.progress_detail.as_ref());
        }
        Ok(())
    }

    /// Adds a name to an image.
    ///
    /// # Errors
    /// When there is no such image or the name is none.
    pub async fn tag(&self, reference: &str, tag: &str) -> Result<(), EngineError> {
        let (repository, name) = reference::split(tag);
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: name.map(str::to_owned) };
        let tagged = self.api.tag_image(reference, Some(options)).await;
        let (reference, tag) = (reference.to_owned(), tag.to_owned());
        tagged.map_err(|source| EngineError::Tag { reference, tag, source: source.into() })
    }

    /// Removes a name of an image; the image is removed with its last name, unless a container uses it.
    ///
    /// # Errors
    /// When a container uses the last name. A name that is not there is fine.
    pub async fn remove_tag(&self, reference: &str) -> Result<(), EngineError> {
        match self.api.remove_image(reference, None::<RemoveImageOptions>, None).await {
            Err(source) if !is_gone(&source) => {
                Err(EngineError::RemoveTag { reference: reference.to_owned(), source: source.into() })
            }
            _ => Ok(()),
        }
    }
}

/// The engine answers 200 before it starts; errors are reported in the stream.
pub(super) fn refuse(detail: Option<ErrorDetail>) -> Result<(), Cause> {
    match detail {
        Some(detail) => Err(Cause::DockerStreamError { error: detail.message.unwrap_or_default() }),
        None => Ok(()),
    }
}
