//! Stopping an attempt, and nothing else at its task server.

use super::flights::{Flight, Sent};
use super::link::Link;
use super::shared::Shared;
use crate::process::supervise::chain;
use crate::schedule::{Attempt, Input};
use crate::wire::{AttemptKey, CallError, Disarmed};
use std::time::Duration;
use tokio::time::timeout;

/// What the answer to a request to stop may take beyond the grace itself.
const MARGIN: Duration = Duration::from_millis(300);
/// The answer to a start that is under way is waited for this long: whether there is anything to be stopped depends on it.
const ANSWER: Duration = Duration::from_millis(100);
/// Bound on the answer to a request to take a task back.
pub(super) const DISARM_BOUND: Duration = Duration::from_secs(2);

/// Asks an attempt to stop. One that was only ever refused is nowhere: an existing task server would stop what it runs for
/// somebody else. One that is only armed is taken back.
pub(super) async fn stop(
    shared: &Shared,
    link: &Link,
    flight: Option<Flight>,
    attempt: Attempt,
    key: &AttemptKey,
    grace: Duration,
) {
    if let Some(flight) = flight {
        flight.unwanted.cancel();
        let mut sent = flight.sent.subscribe();
        let answered = timeout(ANSWER, sent.wait_for(|sent| *sent != Sent::UnderWay)).await;
        if answered.is_err() {
            // Dropped, it is not sent, or it was sent and the request to stop follows it.
            flight.withdrawn.cancel();
        }
        match flight.has_come() {
            Sent::Refused => return shared.over(attempt, Input::Stopped(attempt)),
            Sent::Armed => match link.channel.disarm(key, DISARM_BOUND.min(grace.saturating_add(MARGIN))).await {
                Ok(Disarmed::Disarmed | Disarmed::NotArmed) => return shared.over(attempt, Input::Stopped(attempt)),
                Ok(Disarmed::Started) | Err(_) => {}
            },
            Sent::UnderWay | Sent::Begun => {}
        }
    }
    match link.channel.stop(key, grace, grace.saturating_add(MARGIN)).await {
        // Refused: it says that nothing of that name runs there.
        Ok(_) | Err(CallError::Refused { .. }) => shared.over(attempt, Input::Stopped(attempt)),
        // The timeline has a bound for what comes next.
        Err(error) => shared.details().message(attempt, &chain(&error)),
    }
}
