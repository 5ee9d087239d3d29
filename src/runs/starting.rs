//! Sending a start, again and again while its task server is busy.

use super::flights::{Flight, Sent};
use super::link::Link;
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

/// Starts a task within `bound`. Once the flight is unwanted no further try is made; the one under way is answered.
///
/// # Errors
/// Those of the last try.
pub(super) async fn begin(
    link: &Link,
    flight: &Flight,
    start: &PreparedStart,
    bound: Duration,
) -> Result<Ack, CallError> {
    let since = Instant::now();
    let mut pause = PAUSE;
    loop {
        flight.tries(Monotonic::now());
        let answer = link.channel.start(start, bound).await;
        flight.sent.send_replace(match &answer {
            Ok(_) => Sent::Begun,
            Err(CallError::UnknownOutcome { .. }) => Sent::UnderWay,
            Err(_) => Sent::Refused,
        });
        let left = bound.saturating_sub(since.elapsed());
        if !matches!(answer, Err(CallError::Busy { .. })) || left.is_zero() || flight.unwanted.is_cancelled() {
            return answer;
        }
        // Losing either loses nothing: nothing is under way.
        tokio::select! {
            biased;
            () = flight.unwanted.cancelled() => return answer,
            () = sleep(pause.min(left)) => {}
        }
        pause = (2 * pause).min(LONGEST);
        // Its time is up, and it is known that nothing was begun.
        if since.elapsed() >= bound {
            return answer;
        }
    }
}
