//! A new container in the place of an old one. The old one is kept until the new one passed its gate, and every failure
//! before that puts it back.
//!
//! ```text
//!  start first:  make NAME.next ─ start ─ gate ─ OLD → NAME.prev ─ NEW → NAME ─ stop and remove OLD
//!  stop first:   make NAME.next ─ OLD → NAME.prev ─ stop OLD ─ NEW → NAME ─ start ─ gate ─ remove OLD
//! ```

use super::work::Work;
use crate::engine::docker::gate::GateError;
use crate::engine::{ActError, Outcome};
use crate::model::{ContainerId, NEXT, PREV, Status};
use crate::plan::{Gate, Launch, Milestone};
use std::time::Duration;

/// The options of a replacement.
#[derive(Clone, Copy)]
pub(super) struct Order {
    /// The old one stops before the new one starts.
    pub stop_first: bool,
    /// How long the old one may take to stop.
    pub grace: Duration,
    /// Whether a failed new container is removed for the old one; otherwise it replaces the old one although it failed.
    pub rollback: bool,
}

/// The old container as it was found.
struct Old<'a> {
    id: &'a ContainerId,
    /// Its own name, which it gets back.
    name: String,
    ran: bool,
}

/// The names of a replacement.
struct Names {
    main: String,
    next: String,
    prev: String,
}

impl Work<'_> {
    pub(super) async fn replace_instance(
        &self,
        old: &ContainerId,
        launch: &Launch,
        order: Order,
    ) -> Result<Outcome, ActError> {
        let found = self.ours(old).await?;
        let main = launch.name.clone();
        let names = Names { next: format!("{main}{NEXT}"), prev: format!("{main}{PREV}"), main };
        // Renamed by an earlier attempt that was interrupted, and perhaps stopped by it as well.
        let found_name = found.name;
        let was_aside = found_name == names.prev;
        let is_job = matches!(launch.gate, Gate::Completed { .. });
        let runs = matches!(found.status, Status::Running | Status::Paused | Status::Restarting);
        let has_own_name = !was_aside && found_name != names.next;
        let name = if has_own_name { found_name.clone() } else { names.main.clone() };
        let old = Old { id: old, name, ran: runs || was_aside && !is_job };
        if let Some(holder) = self.docker.find(&names.main).await?
            && holder.id != *old.id
        {
            let new = self.adopt(launch, &names.main, holder)?;
            return self.finish(&old, &new, launch, &names, order).await;
        }
        if found_name == names.next {
            // That name is about to become free.
            self.rename(old.id, &names.next, &names.main).await?;
        }
        self.discard_named(&names.next, Some(old.id)).await?;
        self.discard_named(&names.prev, Some(old.id)).await?;
        let new = self.make(launch, &names.next).await?;
        if order.stop_first {
            self.stop_first(&old, &new, launch, &names, order).await
        } else {
            self.start_first(&old, &new, launch, &names, order).await
        }
    }

    async fn start_first(
        &self,
        old: &Old<'_>,
        new: &ContainerId,
        launch: &Launch,
        names: &Names,
        order: Order,
    ) -> Result<Outcome, ActError> {
        if let Err(error) = self.start(new, &names.next).await {
            let _ = self.remove(new, &names.next).await;
            return Err(error.into());
        }
        self.reached(Milestone::Started).await;
        let passed = self.pass(new, &launch.gate, true).await;
        match &passed {
            Ok(_) => {}
            Err(GateError::Failed(_)) if !order.rollback => {}
            // The old container was not changed: it is enough to remove the new one.
            Err(_) => {
                let removed = self.remove(new, &names.next).await.map_err(ActError::from);
                return passed.map(|_| Outcome::default()).map_err(|error| put_back_error(error, removed));
            }
        }
        if let Err(error) = self.swap_names(old, new, names).await {
            let _ = self.remove(new, &names.next).await;
            return Err(error);
        }
        self.retire(old, names, order).await?;
        // Without a roll-back the new container is kept in any case, and only the result says whether it is healthy.
        Ok(Outcome { container: Some(new.clone()), evidence: passed?, ..Outcome::default() })
    }

    /// Stops and removes the old container, after the new one is in service.
    async fn retire(&self, old: &Old<'_>, names: &Names, order: Order) -> Result<(), ActError> {
        self.stop(old.id, &names.prev, order.grace).await?;
        Ok(self.remove(old.id, &names.prev).await?)
    }

    async fn stop_first(
        &self,
        old: &Old<'_>,
        new: &ContainerId,
        launch: &Launch,
        names: &Names,
        order: Order,
    ) -> Result<Outcome, ActError> {
        let switched = async {
            self.rename(old.id, &old.name, &names.prev).await?;
            self.stop(old.id, &names.prev, order.grace).await?;
            self.rename(new, &names.next, &names.main).await
        };
        if let Err(error) = switched.await {
            self.put_back(old, new, names).await?;
            return Err(error);
        }
        self.finish(old, new, launch, names, order).await
    }

    /// The new container has its name: what remains is its start, its gate, and the removal of the old one.
    async fn finish(
        &self,
        old: &Old<'_>,
        new: &ContainerId,
        launch: &Launch,
        names: &Names,
        order: Order,
    ) -> Result<Outcome, ActError> {
        if let Err(error) = self.start(new, &names.main).await {
            self.put_back(old, new, names).await?;
            return Err(error.into());
        }
        self.reached(Milestone::Started).await;
        let passed = self.pass(new, &launch.gate, true).await;
        match passed {
            Err(error) if order.rollback || !matches!(error, GateError::Failed(_)) => {
                Err(put_back_error(error, self.put_back(old, new, names).await))
            }
            passed => {
                self.retire(old, names, order).await?;
                Ok(Outcome { container: Some(new.clone()), evidence: passed?, ..Outcome::default() })
            }
        }
    }

    async fn swap_names(&self, old: &Old<'_>, new: &ContainerId, names: &Names) -> Result<(), ActError> {
        self.rename(old.id, &old.name, &names.prev).await?;
        if let Err(error) = self.rename(new, &names.next, &names.main).await {
            self.rename(old.id, &names.prev, &old.name).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Removes the new container, renames the old one back and starts it again. Each part is tried even if the one before failed;
    /// returns the first error.
    async fn put_back(&self, old: &Old<'_>, new: &ContainerId, names: &Names) -> Result<(), ActError> {
        self.line(format!("putting {} back", old.name));
        let mut first = self.remove(new, &names.main).await.map_err(ActError::from);
        if first.is_err() {
            // A container that cannot be removed must at least not keep the name.
            let _ = self.rename(new, &names.main, &names.next).await;
        }
        first = first.and(self.rename(old.id, &names.prev, &old.name).await);
        if old.ran {
            first = first.and(self.start(old.id, &old.name).await.map_err(ActError::from));
        }
        first
    }
}

/// The error of a replacement that did not pass its gate; it says so if the old container could not be put back.
fn put_back_error(error: GateError, put_back: Result<(), ActError>) -> ActError {
    match (error, put_back) {
        (GateError::Failed(report), Ok(())) => ActError::Gate { report, rolled_back: true },
        (GateError::Failed(mut report), Err(failed)) => {
            let cause = std::error::Error::source(&failed).map(|cause| format!(": {cause}")).unwrap_or_default();
            report.verdict.push_str(&format!("; the old container could not be put back: {failed}{cause}"));
            ActError::Gate { report, rolled_back: false }
        }
        (GateError::Interrupted(why), Ok(())) => ActError::Interrupted(why),
        (GateError::Engine(error), Ok(())) => ActError::Engine(error),
        (_, Err(failed)) => failed,
    }
}
