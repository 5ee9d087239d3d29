//! What the loop works with, and what it remembers.

use super::trouble::Trouble;
use crate::apply::load::{Loaded, Loader};
use crate::apply::pace::Pace;
use crate::apply::probes::Target;
use crate::daemon::asked::ApplyRequest;
use crate::daemon::follow::Head;
use crate::daemon::show::update;
use crate::daemon::status::Status;
use crate::daemon::trigger::Triggers;
use crate::daemon::unusable::Unusable;
use crate::engine::Engine;
use crate::model::{CommitId, ContainerId, Health, OwnerId};
use crate::plan::render::View;
use crate::plan::{PlanId, Subject};
use crate::process::{Backoff, StateFolder};
use crate::store::RevisionOutcome;
use std::collections::BTreeMap;
use std::mem::Discriminant;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What the loop works with.
pub(in crate::daemon) struct Reconciler {
    /// The engine.
    pub(in crate::daemon) engine: Engine,
    /// Reads commits.
    pub(in crate::daemon) loader: Loader,
    /// Folder of the lock.
    pub(in crate::daemon) state_dir: PathBuf,
    /// The same folder, held.
    pub(in crate::daemon) folder: Arc<StateFolder>,
    /// Time between two looks although nothing happened.
    pub(in crate::daemon) resync: Duration,
    /// Hints to look.
    pub(in crate::daemon) triggers: Triggers,
    /// Applies that people ask for.
    pub(in crate::daemon) requests: mpsc::Receiver<ApplyRequest>,
    /// Where the repo is.
    pub(in crate::daemon) head: watch::Receiver<Head>,
    /// Whose containers are followed.
    pub(in crate::daemon) owner: watch::Sender<Option<OwnerId>>,
    /// What is probed.
    pub(in crate::daemon) targets: watch::Sender<Arc<Vec<Target>>>,
    /// The commit that the host is as; its schedules are in force.
    pub(in crate::daemon) applied: watch::Sender<Option<Loaded>>,
    /// What probes say.
    pub(in crate::daemon) healths: watch::Receiver<Arc<BTreeMap<ContainerId, Health>>>,
    /// The read model.
    pub(in crate::daemon) status: watch::Sender<Arc<Status>>,
    /// The last plan as programs read it.
    pub(in crate::daemon) view: watch::Sender<Option<Arc<View>>>,
    /// When to end.
    pub(in crate::daemon) stop: CancellationToken,
    /// What it learned; begins empty.
    pub(in crate::daemon) state: State,
}

/// What the loop remembers from one reconcile to the next.
#[derive(Default)]
pub(in crate::daemon) struct State {
    pub(in crate::daemon) current: Option<Loaded>,
    /// The apply that was asked for and is not answered; of one look.
    pub(in crate::daemon) asked: Option<ApplyRequest>,
    /// The newest commit when it cannot be used, so that it is not read again with each look.
    pub(in crate::daemon) unusable: Option<Unusable>,
    pub(in crate::daemon) pace: Pace,
    /// What is written about the current commit.
    pub(in crate::daemon) outcome: Option<RevisionOutcome>,
    /// What was last logged of a host on which nothing is left to be done: the commit, and what was held.
    pub(in crate::daemon) logged: Option<(CommitId, Vec<String>)>,
    /// Drift that was recorded, by subject.
    pub(in crate::daemon) told: BTreeMap<Subject, Vec<String>>,
    pub(in crate::daemon) refused: Option<PlanId>,
    /// The commit for which values found in place are on record.
    pub(in crate::daemon) recorded: Option<CommitId>,
    pub(in crate::daemon) trouble: Option<Backoff>,
    /// The kinds of trouble that were logged since it last worked.
    pub(in crate::daemon) told_trouble: Vec<Discriminant<Trouble>>,
    /// The commit that was logged as new.
    pub(in crate::daemon) announced: Option<CommitId>,
    /// Whether another process applied at the last look.
    pub(in crate::daemon) locked: bool,
    pub(in crate::daemon) pruned: Option<Instant>,
}

impl Reconciler {
    /// Changes the read model; readers are woken only when it is another one.
    pub(in crate::daemon) fn publish(&self, change: impl FnOnce(&mut Status)) {
        update(&self.status, change);
    }
}
