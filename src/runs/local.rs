//! Runs the programs of inline commands: a task runner of our own, for one run, on a socket that only this user can reach.

use super::calls_thread::{CALLS_STACK, ended};
use super::error::RunError;
use crate::model::{RealTime, RtPolicy, Schedule, Target, TaskAddress};
use crate::process::error::chain;
use crate::rt::{self, Prepared, Running};
use crate::task::{CommandLine, Registry, Runner, RunnerError, RunnerSettings};
use std::num::NonZeroUsize;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Stack of a thread that starts a program and waits for it; all of it is touched, and there is one for each program.
const STACK: usize = 256 << 10;

/// A task runner within this process; ends when it is dropped.
pub(super) struct LocalRunner {
    address: TaskAddress,
    close: Option<oneshot::Sender<()>>,
    thread: Option<Running<()>>,
    /// Holds the socket; only we may enter it.
    _folder: tempfile::TempDir,
}

impl LocalRunner {
    /// Starts a runner for the programs of a schedule; `None` when it has none.
    pub(super) fn start(schedule: &Schedule) -> Result<Option<Self>, RunError> {
        // Each task has a program of its own, whatever its parameters say.
        let mut registry = Registry::new().by_id();
        let mut count = 0;
        for task in &schedule.tasks {
            let Target::Command(words) = &task.target else { continue };
            count += 1;
            // An empty command does not compile.
            if let Some(line) = CommandLine::new(words.clone()) {
                let line = line.environment(task.environment.clone());
                registry = registry.command(task.id.as_str(), line);
            }
        }
        let Some(parallel) = NonZeroUsize::new(count) else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("setpoint-").tempdir().map_err(RunError::Runtime)?;
        let address = TaskAddress::Unix(folder.path().join("runner.sock").display().to_string());
        let settings = RunnerSettings {
            parallel,
            max_armed: count.max(16),
            strict: schedule.strict,
            stack: STACK,
            ..RunnerSettings::new(address)
        };
        let (bound_tx, bound_rx) = sync_channel(1);
        let (close, closed) = oneshot::channel();
        let body = move || serve(settings, registry, &bound_tx, closed);
        let real_time = RealTime { policy: RtPolicy::Other, cpu: None };
        let thread = rt::ThreadSettings { name: "sp-runner".to_owned(), real_time, stack: CALLS_STACK };
        let thread = Prepared::new(thread, body).map_err(RunError::Caller)?.start();
        match bound_rx.recv() {
            Ok(Ok(address)) => Ok(Some(Self { address, close: Some(close), thread: Some(thread), _folder: folder })),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RunError::Caller(ended(thread))),
        }
    }

    pub(super) fn address(&self) -> &TaskAddress {
        &self.address
    }
}

impl Drop for LocalRunner {
    fn drop(&mut self) {
        drop(self.close.take());
        drop(self.thread.take());
    }
}

fn serve(
    settings: RunnerSettings,
    registry: Registry,
    bound: &SyncSender<Result<TaskAddress, RunError>>,
    closed: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // When it cannot be sent, nobody waits for it.
        Err(error) => return drop(bound.send(Err(RunError::Runtime(error)))),
    };
    let result: Result<(), RunnerError> = runtime.block_on(async {
        let runner = match Runner::new(settings, registry).bind().await {
            Ok(runner) => runner,
            Err(error) => {
                drop(bound.send(Err(RunError::Runner(error))));
                return Ok(());
            }
        };
        drop(bound.send(Ok(runner.address().clone())));
        runner.serve_until(async { drop(closed.await) }).await
    });
    if let Err(error) = result {
        tracing::error!(error = chain(&error), "the runner of inline commands ended");
    }
}
