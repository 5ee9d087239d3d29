//! Stopping an attempt, and nothing else at its task server.

use super::calls_in_flight::{CallInFlight, StartProgress};
use super::run_context::RunContext;
use super::task_server::TaskServer;
use crate::process::error::chain;
use crate::schedule::{Attempt, Input};
use crate::wire::{AttemptKey, CallError, Disarmed};
use std::time::Duration;
use tokio::time::timeout;

/// What the answer to a request to stop may take beyond the grace itself.
const MARGIN: Duration = Duration::from_millis(300);
/// How long to wait for the answer to a start in progress: whether there is anything to stop depends on it.
const ANSWER: Duration = Duration::from_millis(100);
/// Bound on the answer to a request to withdraw a task.
pub(super) const DISARM_BOUND: Duration = Duration::from_secs(2);

/// Asks an attempt to stop. One that was only ever refused runs nowhere: an existing task server would stop what it runs for
/// another orchestrator. One that is only armed is withdrawn.
pub(super) async fn stop(
    shared: &RunContext,
    server: &TaskServer,
    call: Option<CallInFlight>,
    attempt: Attempt,
    key: &AttemptKey,
    grace: Duration,
) {
    if let Some(call) = call {
        call.unwanted.cancel();
        let mut sent = call.sent.subscribe();
        let answered = timeout(ANSWER, sent.wait_for(|sent| *sent != StartProgress::Pending)).await;
        if answered.is_err() {
            // Dropped, it is not sent, or it was sent and the request to stop follows it.
            call.withdrawn.cancel();
        }
        match call.progress() {
            StartProgress::Refused => return shared.over(attempt, Input::Stopped(attempt)),
            StartProgress::Armed => {
                match server.channel.disarm(key, DISARM_BOUND.min(grace.saturating_add(MARGIN))).await {
                    Ok(Disarmed::Disarmed | Disarmed::NotArmed) => {
                        return shared.over(attempt, Input::Stopped(attempt));
                    }
                    Ok(Disarmed::Started) | Err(_) => {}
                }
            }
            StartProgress::Pending | StartProgress::Acknowledged => {}
        }
    }
    match server.channel.stop(key, grace, grace.saturating_add(MARGIN)).await {
        // Refused: it says that nothing of that name runs there.
        Ok(_) | Err(CallError::Refused { .. }) => shared.over(attempt, Input::Stopped(attempt)),
        // The timeline has a bound for what comes next.
        Err(error) => shared.details().message(attempt, &chain(&error)),
    }
}
