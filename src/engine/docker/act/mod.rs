//! Carries out one step: checks its guard, does it, waits for its gate.

mod configs;
mod create;
mod network;
mod remove;
mod replace;
mod types;
mod update;
mod volume;

pub use types::{ActContext, ActError, Interrupt, Interruption, Made, News, Outcome};

use super::Docker;
use super::gate::GateError;
use crate::model::{Container, ContainerId, OwnerId};
use crate::plan::{Action, Gate, Guard, Milestone, Step};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// A step under way: the engine and what the step is carried out with.
struct Work<'a> {
    docker: &'a Docker,
    owner: &'a OwnerId,
    news: mpsc::Sender<News>,
    interrupt: Interrupt,
    /// What the engine remarked so far.
    warnings: Mutex<Vec<String>>,
}

impl Docker {
    /// Carries out one step. Done again after an interruption it ends in the same state.
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
            // What is not on record is compared with the wish instead; the step itself went well.
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

    /// Checks the guard; whether there is nothing left to do, because what was to go is gone.
    async fn is_done_already(&self, action: &Action, guard: &Guard) -> Result<bool, ActError> {
        match guard {
            Guard::Nothing => Ok(false),
            // Creation finds out by itself, without a gap in between, and knows its own former try.
            Guard::NameFree(_) if matches!(action, Action::CreateInstance(_)) => Ok(false),
            Guard::NameFree(name) => match self.docker.find(name).await? {
                None => Ok(false),
                Some(holder) => Err(self.taken(name, &holder)),
            },
            Guard::Ours { container, owner } => match self.docker.find(container.as_str()).await? {
                Some(found) if found.owner.as_ref() == Some(owner) => Ok(false),
                Some(found) => Err(ActError::Stale(format!("container {} is not ours", found.name))),
                None if matches!(action, Action::RemoveInstance { .. } | Action::DiscardLeftover { .. }) => Ok(true),
                None => Err(gone(container)),
            },
        }
    }

    /// A container of ours that must be there.
    async fn ours(&self, container: &ContainerId) -> Result<Container, ActError> {
        match self.docker.find(container.as_str()).await? {
            Some(found) if found.owner.as_ref() == Some(self.owner) => Ok(found),
            Some(found) => Err(ActError::Stale(format!("container {} is not ours", found.name))),
            None => Err(gone(container)),
        }
    }

    /// The name that a plan counted on stands for something else.
    fn taken(&self, name: &str, holder: &Container) -> ActError {
        let whose = match (&holder.owner, &holder.instance) {
            (Some(owner), Some(instance)) if owner == self.owner => format!("of our instance {instance}"),
            (Some(owner), _) => format!("owned by {owner}"),
            (None, _) => "that is not ours".to_owned(),
        };
        ActError::Stale(format!(
            "the name {name} belongs to container {} {whose}, {}",
            holder.id.short(),
            holder.status
        ))
    }

    /// Waits for a gate; what is waited for is news.
    async fn pass(&self, id: &ContainerId, gate: &Gate, fresh: bool) -> Result<Option<String>, GateError> {
        let say = |text: String| self.line(text);
        self.docker.pass(id, gate, fresh, &self.interrupt, &say).await
    }

    /// Milestones are never dropped; a receiver that is gone needs none.
    async fn reached(&self, milestone: Milestone) {
        let _ = self.news.send(News::Reached(milestone)).await;
    }

    /// Keeps what the engine remarked for the step's outcome.
    fn warned(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }

    /// A line for people; dropped when nobody keeps up.
    fn line(&self, text: impl Into<String>) {
        let _ = self.news.try_send(News::Line(text.into()));
    }
}

fn gone(container: &ContainerId) -> ActError {
    ActError::Stale(format!("container {} is gone", container.short()))
}
