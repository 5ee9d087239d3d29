//! What the API may see and ask of a running daemon.

use super::asked::{ApplyAsking, ApplyOrder, ApplyRefused, Carried};
use super::logs::{Logs, LogsOf, logs};
use super::status::Status;
use super::timing::{AskError, Asked, Asking};
use super::trigger::Triggers;
use super::why::{Why, why};
use crate::engine::{Engine, EngineError};
use crate::model::{DeploymentName, InstanceId, RunId, ScheduleName};
use crate::plan::render::View;
use crate::process::clock;
use crate::store::{EventFilter, Ledger, Recorded, RunFilter, RunRecord, RunRow, Store, StoreError, TaskFigures};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A running daemon as its API sees it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) view: watch::Receiver<Option<Arc<View>>>,
    pub(super) triggers: Triggers,
    pub(super) asking: Asking,
    pub(super) applies: ApplyAsking,
}

/// A request that cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// No commit was good yet, so there is no environment.
    #[error("no valid commit was read yet, so nothing is known about deployments")]
    NothingLoaded,
    /// There is no such deployment.
    #[error("there is no deployment `{name}`")]
    NoDeployment {
        /// As asked for.
        name: DeploymentName,
    },
    /// Nothing is known of such an instance.
    #[error("nothing is known of an instance `{instance}`")]
    NoInstance {
        /// As asked for.
        instance: InstanceId,
    },
    /// There is no such instance on the engine.
    #[error("there is no instance `{name}` of environment `{environment}` here")]
    NoContainer {
        /// As asked for.
        name: String,
        /// Where it was looked for.
        environment: String,
    },
    /// There is no such run.
    #[error("there is no run `{id}` on record")]
    NoRun {
        /// As asked for.
        id: RunId,
    },
    /// A run that was asked for does not take place.
    #[error("{0}")]
    Run(AskError),
    /// A plan that was asked for is not carried out.
    #[error("{0}")]
    Apply(ApplyRefused),
    /// The engine failed.
    #[error("the engine does not answer")]
    Engine(#[from] EngineError),
    /// The store failed.
    #[error("the store does not work")]
    Store(#[from] StoreError),
}

impl Handle {
    /// Everything at a glance, with its age.
    pub fn status(&self) -> Status {
        let status = Arc::clone(&self.status.borrow());
        Status::clone(&status).aged(clock::now())
    }

    /// The last plan; absent before the first.
    pub fn plan(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// The events that pass `filter`. When there are none, waits for some for at most `wait`. Cancel-safe.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events(&self, filter: &EventFilter, wait: Duration) -> Result<Vec<Recorded>, StoreError> {
        /// Other processes write events too, and cannot wake this one.
        const OTHERS: Duration = Duration::from_secs(1);
        let until = clock::monotonic() + wait;
        let mut newest = self.store.newest();
        loop {
            newest.mark_unchanged();
            let events = self.store.events(filter)?;
            let left = until.saturating_duration_since(clock::monotonic());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            // Running out of time is no error: it means another look.
            drop(tokio::time::timeout(left.min(OTHERS), newest.changed()).await);
        }
    }

    /// Why an instance is as it is.
    ///
    /// # Errors
    /// When nothing is known of it, or the store cannot be read.
    pub fn why(&self, instance: &InstanceId) -> Result<Why, HandleError> {
        let found = why(&self.ledger()?, instance, clock::now())?;
        found.ok_or_else(|| HandleError::NoInstance { instance: instance.clone() })
    }

    /// Runs a schedule of the commit in force, once, now.
    ///
    /// # Errors
    /// When there is no such schedule, when its `overlap` says that it does not run now, or when the store fails.
    pub async fn run(&self, schedule: ScheduleName) -> Result<Asked, HandleError> {
        self.asking.ask(schedule).await.map_err(|error| match error {
            AskError::Store(error) => HandleError::Store(error),
            other => HandleError::Run(other),
        })
    }

    /// Has a plan carried out, now, and waits until that is through. Cancel-safe: what was asked for goes on.
    ///
    /// # Errors
    /// When it is not the plan that would be carried out, when another apply was asked for before, or when the daemon cannot work.
    pub async fn apply(&self, order: ApplyOrder) -> Result<Carried, HandleError> {
        self.applies.ask(order, || self.triggers.look()).await.map_err(HandleError::Apply)
    }

    /// The runs that pass `filter`, the newest first.
    ///
    /// # Errors
    /// When no commit was good yet, or the store cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, HandleError> {
        Ok(self.ledger()?.runs(filter)?)
    }

    /// How late the tasks of a schedule start and how long they take; empty when nothing of it is on record.
    ///
    /// # Errors
    /// When no commit was good yet, or the store cannot be read.
    pub fn figures(&self, schedule: &ScheduleName) -> Result<Vec<TaskFigures>, HandleError> {
        Ok(self.ledger()?.figures(schedule)?)
    }

    /// A run with its tasks.
    ///
    /// # Errors
    /// When there is none of this id, or the store cannot be read.
    pub fn run_record(&self, id: &RunId) -> Result<RunRecord, HandleError> {
        self.ledger()?.run(id)?.ok_or_else(|| HandleError::NoRun { id: id.clone() })
    }

    /// What instances write.
    ///
    /// # Errors
    /// When there is no such instance, no commit was good yet, or the engine does not answer.
    pub async fn logs(&self, of: &LogsOf) -> Result<Logs, HandleError> {
        let ledger = self.ledger()?;
        if !self.engine.is_agreed() {
            self.engine.agree().await?;
        }
        let missing =
            || HandleError::NoContainer { name: of.name.clone(), environment: ledger.environment().to_owned() };
        logs(&self.engine, &ledger.owner(), of).await?.ok_or_else(missing)
    }

    /// Asks for a fetch and a look, now.
    pub fn poke(&self) {
        self.triggers.poke();
    }

    /// Leaves a deployment alone until it is resumed. Says whether that is new.
    ///
    /// # Errors
    /// When there is no such deployment, or the store cannot be written.
    pub fn suspend(&self, deployment: &DeploymentName) -> Result<bool, HandleError> {
        let changed = self.known(deployment)?.suspend(deployment, clock::now())?;
        self.triggers.look();
        Ok(changed)
    }

    /// Keeps a deployment running again. Says whether it was suspended.
    ///
    /// # Errors
    /// As [`Handle::suspend`].
    pub fn resume(&self, deployment: &DeploymentName) -> Result<bool, HandleError> {
        let changed = self.known(deployment)?.resume(deployment, clock::now())?;
        self.triggers.look();
        Ok(changed)
    }

    fn ledger(&self) -> Result<Ledger, HandleError> {
        let environment = self.status.borrow().environment.clone().ok_or(HandleError::NothingLoaded)?;
        Ok(self.store.ledger(&environment))
    }

    fn known(&self, deployment: &DeploymentName) -> Result<Ledger, HandleError> {
        let ledger = self.ledger()?;
        if self.status.borrow().deployments.iter().any(|known| known.name == *deployment) {
            Ok(ledger)
        } else {
            Err(HandleError::NoDeployment { name: deployment.clone() })
        }
    }
}
