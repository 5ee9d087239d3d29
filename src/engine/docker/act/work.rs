//! The common parts of every step: it checks the guard, waits for the gate, and reports progress.

use crate::engine::docker::Docker;
use crate::engine::docker::gate::GateError;
use crate::engine::{ActError, Interrupt, News};
use crate::model::{Container, ContainerId, OwnerId};
use crate::plan::{Action, Gate, Guard, Milestone};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// A step in progress: the engine and the input of the step.
pub(super) struct Work<'a> {
    pub(super) docker: &'a Docker,
    pub(super) owner: &'a OwnerId,
    pub(super) news: mpsc::Sender<News>,
    pub(super) interrupt: Interrupt,
    /// Warnings of the engine so far.
    pub(super) warnings: Mutex<Vec<String>>,
}

impl Work<'_> {
    /// Checks the guard; returns whether nothing is left to do, because the object to remove no longer exists.
    pub(super) async fn is_done_already(&self, action: &Action, guard: &Guard) -> Result<bool, ActError> {
        match guard {
            Guard::Nothing => Ok(false),
            // Creation checks this itself, without a gap in between, and recognises its own earlier attempt.
            Guard::NameFree(_) if matches!(action, Action::CreateInstance(_)) => Ok(false),
            Guard::NameFree(name) => match self.docker.find(name).await? {
                None => Ok(false),
                Some(holder) => Err(self.taken(name, &holder)),
            },
            Guard::Ours { container, owner } => match self.docker.find(container.as_str()).await? {
                Some(found) if found.owner.as_ref() == Some(owner) => Ok(false),
                Some(found) => {
                    Err(ActError::Stale(format!("container {} is not managed by this environment", found.name)))
                }
                None if matches!(action, Action::RemoveInstance { .. } | Action::DiscardLeftover { .. }) => Ok(true),
                None => Err(gone(container)),
            },
        }
    }

    /// Finds a container of ours that must exist.
    pub(super) async fn ours(&self, container: &ContainerId) -> Result<Container, ActError> {
        match self.docker.find(container.as_str()).await? {
            Some(found) if found.owner.as_ref() == Some(self.owner) => Ok(found),
            Some(found) => Err(ActError::Stale(format!("container {} is not managed by this environment", found.name))),
            None => Err(gone(container)),
        }
    }

    /// The error if a name that the plan needs is in use.
    pub(super) fn taken(&self, name: &str, holder: &Container) -> ActError {
        let whose = match (&holder.owner, &holder.instance) {
            (Some(owner), Some(instance)) if owner == self.owner => format!("instance {instance}"),
            (Some(owner), _) => format!("owner {owner}"),
            (None, _) => "not managed by setpoint".to_owned(),
        };
        ActError::Stale(format!(
            "the name {name} is used by container {} ({whose}, {})",
            holder.id.short(),
            holder.status
        ))
    }

    /// Waits for a gate, and reports what it waits for.
    pub(super) async fn pass(&self, id: &ContainerId, gate: &Gate, fresh: bool) -> Result<Option<String>, GateError> {
        let say = |text: String| self.line(text);
        self.docker.pass(id, gate, fresh, &self.interrupt, &say).await
    }

    /// Milestones are never dropped, unless the receiver no longer exists.
    pub(super) async fn reached(&self, milestone: Milestone) {
        let _ = self.news.send(News::Reached(milestone)).await;
    }

    /// Keeps the engine's warnings for the step's outcome.
    pub(super) fn warned(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }

    /// Reports a line for people; it is dropped if the receiver is too slow.
    pub(super) fn line(&self, text: impl Into<String>) {
        let _ = self.news.try_send(News::Line(text.into()));
    }
}

pub(super) fn gone(container: &ContainerId) -> ActError {
    ActError::Stale(format!("container {} no longer exists", container.short()))
}
