//! Carries out one step on the engine: the function that [`super::execute`] gets as `run`.

use crate::engine::{ActContext, ActError, Engine, Interrupt, News, Outcome};
use crate::model::{ContextFile, Desired, OwnerId};
use crate::plan::{Action, Plan, StepId};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Makes the tar stream of a build context.
pub type Archive<'a> = &'a (dyn Fn(Arc<[ContextFile]>) -> BoxStream<'static, std::io::Result<Bytes>> + Send + Sync);

/// The engine and all that its steps need.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    pub engine: &'a Engine,
    pub plan: &'a Plan,
    /// Owner label of the containers that we manage.
    pub owner: &'a OwnerId,
    /// What the repo wants, for the registries of its deployments.
    pub desired: Option<&'a Desired>,
    /// Where build contexts come from; absent when the plan builds nothing.
    pub archive: Option<Archive<'a>>,
    /// Ends waits for health early.
    pub interrupt: &'a Interrupt,
}

impl Steps<'_> {
    /// Carries out one step of the plan.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn run(self, id: StepId, news: mpsc::Sender<News>) -> Result<Outcome, ActError> {
        let Some(step) = self.plan.steps.get(id) else {
            return Err(ActError::Stale(format!("the plan has no step {id}")));
        };
        let deployment = step.deployment.as_ref().and_then(|name| self.desired?.deployments.get(name));
        let context = match (&step.action, self.archive) {
            (Action::BuildImage(build), Some(archive)) => Some(archive(Arc::clone(&build.files))),
            _ => None,
        };
        let context = ActContext {
            owner: self.owner,
            registries: deployment.map_or(&[], |deployment| deployment.registries.as_slice()),
            context,
            news,
            interrupt: self.interrupt.clone(),
        };
        self.engine.act(step, context).await
    }
}
