//! Runs that somebody asks for.

use super::desk::Desk;
use crate::model::{RunId, ScheduleName, Timestamp};
use crate::runs::new_id;
use crate::store::{DueKey, FireOutcome, StoreError};
use tokio::sync::{mpsc, oneshot};

/// So many requests may wait to be looked at.
const WAITING: usize = 16;

/// A run that was asked for and takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it is fired for: `manual:<id>`. Its run has the same.
    pub due: DueKey,
    /// Its id; `None` while it waits for an earlier run to end.
    pub run: Option<RunId>,
}

/// A run that was asked for does not take place.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The schedules of no commit are in force.
    #[error("no commit has been applied yet, so no schedule is active")]
    NothingInForce,
    /// There is no such schedule.
    #[error("the active commit has no schedule `{0}`")]
    NoSchedule(ScheduleName),
    /// As its `overlap` says, or because very many run.
    #[error("`{0}` is not run now, because earlier runs have not ended")]
    UnderWay(ScheduleName),
    /// The daemon is about to end.
    #[error("the daemon is shutting down")]
    Ending,
    /// The store failed.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
}

/// A request and where its answer goes.
#[derive(Debug)]
pub(in crate::daemon) struct Request {
    pub(super) schedule: ScheduleName,
    pub(super) reply: oneshot::Sender<Result<Asked, AskError>>,
}

/// Where requests are made. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Asking(mpsc::Sender<Request>);

/// Both ends.
pub(in crate::daemon) fn requests() -> (Asking, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Asking(sender), receiver)
}

impl Asking {
    /// Asks for a run of a schedule, now. Cancel-safe: a request that was made is met all the same.
    ///
    /// # Errors
    /// When it does not take place.
    pub(in crate::daemon) async fn ask(&self, schedule: ScheduleName) -> Result<Asked, AskError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { schedule, reply }).await.map_err(|_| AskError::Ending)?;
        answer.await.map_err(|_| AskError::Ending)?
    }
}

impl Desk {
    /// Somebody asks for a run. It goes the way of every run whose time has come, and is in the ledger whatever becomes of
    /// it.
    pub(super) fn ask(&mut self, name: &ScheduleName, now: Timestamp) -> Result<Asked, AskError> {
        let loaded = self.current.clone().ok_or(AskError::NothingInForce)?;
        let none = || AskError::NoSchedule(name.clone());
        let schedule = loaded.desired.schedules.get(name).ok_or_else(none)?;
        let due = DueKey::Manual(new_id(schedule, now));
        self.admitted(&loaded, schedule, &due, now)?;
        match loaded.ledger.fire_of(name, &due)? {
            Some(fire) if fire.outcome != FireOutcome::Skipped => Ok(Asked { due, run: fire.run }),
            _ => Err(AskError::UnderWay(name.clone())),
        }
    }
}
