//! Sending a start, again and again while its task server is busy.

use super::calls_in_flight::{CallInFlight, StartProgress};
use super::task_server::TaskServer;
use crate::rt::Monotonic;
use crate::wire::{Ack, CallError, PreparedStart};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A task server may be busy with what this run does not know: an existing one says an end before it is ready for the next
/// start, and other runs use it too. A start that it refuses for that is tried again after this pause and then after twice as
/// long each time, for as long as a start may take.
const PAUSE: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(50);

/// Starts a task within `bound`. Once the call is unwanted no further try is made; the one in progress is still answered.
///
/// # Errors
/// Those of the last try.
pub(super) async fn send_start(
    server: &TaskServer,
    call: &CallInFlight,
    start: &PreparedStart,
    bound: Duration,
) -> Result<Ack, CallError> {
    let since = Instant::now();
    let mut pause = PAUSE;
    loop {
        call.tries(Monotonic::now());
        let answer = server.channel.start(start, bound).await;
        call.sent.send_replace(match &answer {
            Ok(_) => StartProgress::Acknowledged,
            Err(CallError::UnknownOutcome { .. }) => StartProgress::Pending,
            Err(_) => StartProgress::Refused,
        });
        let left = bound.saturating_sub(since.elapsed());
        if !matches!(answer, Err(CallError::Busy { .. })) || left.is_zero() || call.unwanted.is_cancelled() {
            return answer;
        }
        // A dropped arm loses nothing: no call is in progress.
        tokio::select! {
            biased;
            () = call.unwanted.cancelled() => return answer,
            () = sleep(pause.min(left)) => {}
        }
        pause = (2 * pause).min(LONGEST);
        // Its time is up, and it is known that nothing was started.
        if since.elapsed() >= bound {
            return answer;
        }
    }
}
