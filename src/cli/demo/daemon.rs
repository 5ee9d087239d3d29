//! The daemon of the demo, and the container that it brings back.

use super::setup::{Demo, ENVIRONMENT, PATIENCE};
use crate::cli::exit::Failure;
use crate::engine::Scope;
use crate::model::{Container, OwnerId, Status};
use crate::process::clock;
use crate::store::Store;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

impl Demo<'_> {
    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    pub(super) fn start_daemon(&mut self) -> Result<(), Failure> {
        let config = self.folder.path().join("daemon.kdl");
        fs::write(
            &config,
            format!(
                "repo \"{}\" branch=\"main\"\nstate-dir \"{}\"\norchestrator \"unix:{}\"\n",
                self.repo.display(),
                self.state.display(),
                // The orchestrator of the example has the port that the daemon would have.
                self.folder.path().join("notices.sock").display()
            ),
        )?;
        self.session.printer.line("$ setpoint daemon --config daemon.kdl &")?;
        let log = fs::File::create(self.log_file())?;
        let mut command = self.command(&["daemon", "--config", &config.display().to_string()]);
        self.daemon = Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    pub(super) fn owner(&self) -> Result<OwnerId, Failure> {
        Ok(Store::open(&self.state)?.owner(ENVIRONMENT))
    }

    pub(super) async fn container(&self, instance: &str) -> Result<Option<Container>, Failure> {
        let owner = self.owner()?;
        let observed = self.engine.observe(&Scope { owner: owner.clone(), images: BTreeSet::new() }).await?;
        let is_it = |one: &Container| {
            one.owner.as_ref() == Some(&owner) && one.instance.as_ref().is_some_and(|id| id.to_string() == instance)
        };
        Ok(observed.containers.into_iter().find(is_it))
    }

    /// Kills a container and waits until it runs again.
    pub(super) async fn drift(&mut self) -> Result<(), Failure> {
        let instance = "shop/db/1";
        let container = self.container(instance).await?;
        let container = container.ok_or_else(|| Failure::new(format!("{instance} is not there")))?;
        self.session.printer.line(&format!("$ docker kill {}", container.name))?;
        self.engine.kill(&container.id).await?;
        let killed = clock::monotonic();
        loop {
            let now = self.container(instance).await?;
            let again = now.filter(|now| now.status == Status::Running && now.started_at > container.started_at);
            if again.is_some() {
                let took = killed.elapsed();
                return self.session.printer.line(&format!("  {instance} runs again after {} ms", took.as_millis()));
            }
            if killed.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{instance} did not come back")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
