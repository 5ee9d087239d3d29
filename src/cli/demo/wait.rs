//! Waiting for what the daemon does.

use super::setup::{Demo, ENVIRONMENT, PATIENCE};
use crate::api::Client;
use crate::api::dto::{self, Health, InstanceStatus};
use crate::cli::events::words;
use crate::cli::exit::Failure;
use crate::event::Fact;
use crate::process::error::chain;
use crate::process::{clock, config};
use crate::store::{EventFilter, RunFilter, RunState, Store};
use std::time::Duration;

/// How often the demo looks while it waits.
const LOOK: Duration = Duration::from_millis(50);

impl Demo<'_> {
    /// Waits until the daemon has looked again and found nothing to do.
    pub(super) async fn settled(&self) -> Result<(), Failure> {
        let client = Client::new(&config::socket_path(&self.state));
        let begun = clock::monotonic();
        while begun.elapsed() < PATIENCE {
            let status = client.status().await.map_err(|error| Failure::new(chain(&error)))?;
            let healthy = |one: &InstanceStatus| matches!(one.health, Health::Healthy | Health::Unchecked);
            let quiet = status.applying.is_none() && status.sync == Some(dto::Sync::InSync);
            if quiet && !status.instances.is_empty() && status.instances.iter().all(healthy) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the daemon found no rest within {} s", PATIENCE.as_secs())))
    }

    /// Waits until the runs that the first commit started have ended.
    pub(super) async fn ran(&self) -> Result<(), Failure> {
        let ledger = Store::open(&self.state)?.ledger(ENVIRONMENT);
        let begun = clock::monotonic();
        while begun.elapsed() < PATIENCE {
            let runs = ledger.runs(&RunFilter::default())?;
            if !runs.is_empty() && runs.iter().all(|run| run.state != RunState::Running) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the schedules did not run within {} s", PATIENCE.as_secs())))
    }

    /// Follows the record until a plan was carried out. Returns the number of that event.
    pub(super) async fn converged_after(&mut self, after: i64) -> Result<i64, Failure> {
        let store = Store::open(&self.state)?;
        let begun = clock::monotonic();
        let mut filter = EventFilter { after: Some(after), ..EventFilter::default() };
        while begun.elapsed() < PATIENCE {
            for recorded in store.events(&filter)? {
                filter.after = Some(recorded.id);
                let fact = &recorded.event.fact;
                if !matches!(fact, Fact::StepStarted { .. } | Fact::InstanceChanged { .. } | Fact::DaemonStarted { .. })
                {
                    self.session.printer.line(&format!("  {}", words(&fact.clone().into()).0))?;
                }
                match fact {
                    Fact::ApplyFinished { failed: 0, skipped: 0, .. } => return Ok(recorded.id),
                    Fact::ApplyFinished { .. } | Fact::RevisionRejected { .. } | Fact::PlanRefused { .. } => {
                        return Err(Failure::new("the host could not be brought to what the commit asks for"));
                    }
                    _ => {}
                }
            }
            if let Some(daemon) = &mut self.daemon
                && let Some(status) = daemon.try_wait()?
            {
                return Err(Failure::new(format!("the daemon ended by itself ({status})")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the host did not converge within {} s", PATIENCE.as_secs())))
    }
}
