//! Carries out one step: checks its guard, makes the engine calls, waits for its gate.

mod configs;
mod create;
mod network;
mod remove;
mod replace;
mod update;
mod volume;
mod work;

use super::Docker;
use crate::engine::{ActContext, ActError, Made, Outcome};
use crate::plan::{Action, Milestone, Step};
use std::sync::{Mutex, PoisonError};
use work::Work;

impl Docker {
    /// Carries out one step. Repeated after an interruption, it ends in the same state.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn act(&self, step: &Step, context: ActContext<'_>) -> Result<Outcome, ActError> {
        let ActContext { owner, registries, context, news, interrupt } = context;
        let work = Work { docker: self, owner, news, interrupt, warnings: Mutex::default() };
        let mut outcome = if work.is_done_already(&step.action, &step.guard).await? {
            Outcome::default()
        } else {
            match &step.action {
                Action::PullImage { reference, also_tag } => {
                    self.pull(reference, also_tag.as_deref(), registries, &work.news).await?;
                    Outcome::default()
                }
                Action::BuildImage(build) => {
                    self.build(build, owner, context, registries, &work.news).await?;
                    Outcome::default()
                }
                action => work.carry_out(action).await?,
            }
        };
        if outcome.made.is_none()
            && let Some(container) = &outcome.container
        {
            // Without a record the report is compared with the request instead; the step itself succeeded.
            outcome.made = self.find(container.as_str()).await.ok().flatten().map(Box::new).map(Made::Container);
        }
        work.reached(Milestone::Done).await;
        outcome.warnings.append(&mut work.warnings.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(outcome)
    }
}

impl Work<'_> {
    async fn carry_out(&self, action: &Action) -> Result<Outcome, ActError> {
        match action {
            Action::PullImage { .. } | Action::BuildImage(_) => Ok(Outcome::default()),
            Action::CreateNetwork { network, deployment } => self.create_network(network, deployment).await,
            Action::RecreateNetwork { network, deployment, old, attached } => {
                self.recreate_network(network, deployment, old, attached).await
            }
            Action::RemoveNetwork { name, id } => self.remove_network(name, id).await,
            Action::CreateVolume { volume, deployment } => self.create_volume(volume, deployment).await,
            Action::RecreateVolume { volume, deployment, users } => {
                self.recreate_volume(volume, deployment, users).await
            }
            Action::CreateInstance(launch) => self.create_instance(launch).await,
            Action::ReplaceInstance { old, launch, stop_first, grace, rollback } => {
                let order = replace::Order { stop_first: *stop_first, grace: *grace, rollback: *rollback };
                self.replace_instance(old, launch, order).await
            }
            Action::UpdateInstance { container, updates, gate } => self.update_instance(container, updates, gate).await,
            Action::StopInstance { container, grace } => self.stop_instance(container, *grace).await,
            Action::RemoveInstance { container, grace } => self.remove_instance(container, *grace).await,
            Action::DiscardLeftover { container } => self.discard_leftover(container).await,
            Action::RestoreInstance { container, name } => self.restore_instance(container, name).await,
            Action::AwaitInstance { container, gate } => self.await_instance(container, gate).await,
        }
    }
}
