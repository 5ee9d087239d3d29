//! Reports the ends of tasks to an orchestrator, until it acknowledges them or the time for that is over.

use crate::process::Backoff;
use crate::wire::{CallError, EndNotice, OrchestratorChannel};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many notices may wait.
pub(super) const QUEUE: usize = 256;
/// Bound on one try.
const BOUND: Duration = Duration::from_secs(5);
/// Wait after the first failed try, and the longest one.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// For how long delivery is tried when the runner ends.
const AT_THE_END: Duration = Duration::from_secs(3);

/// A notice that is not acknowledged.
#[derive(Debug)]
struct Pending {
    notice: EndNotice,
    next: Instant,
    until: Instant,
    backoff: Backoff,
}

/// Delivers what comes through the queue, until that is closed and all is acknowledged or given up. A notice may arrive
/// twice: it is sent again when no answer came.
pub(super) async fn deliver(channel: OrchestratorChannel, patience: Duration, mut queue: mpsc::Receiver<EndNotice>) {
    let mut pending: Vec<Pending> = Vec::new();
    let mut open = true;
    while open || !pending.is_empty() {
        let next = pending.iter().map(|pending| pending.next).min();
        // A dropped wait loses nothing: a notice stays in the queue, an instant comes again.
        tokio::select! {
            notice = queue.recv(), if open && pending.len() < QUEUE => {
                let now = Instant::now();
                if let Some(notice) = notice {
                    let backoff = Backoff::new(WAITS.0, WAITS.1);
                    pending.push(Pending { notice, next: now, until: now + patience, backoff });
                } else {
                    open = false;
                    for one in &mut pending {
                        one.until = one.until.min(now + AT_THE_END);
                        one.next = one.next.min(one.until);
                    }
                }
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                send_next(&channel, &mut pending).await;
            }
        }
    }
}

/// Sends the notice that is due next.
async fn send_next(channel: &OrchestratorChannel, pending: &mut Vec<Pending>) {
    let Some(at) = (0..pending.len()).min_by_key(|at| pending.get(*at).map(|pending| pending.next)) else { return };
    let mut one = pending.swap_remove(at);
    let error = match channel.notify(&one.notice, BOUND).await {
        Ok(()) => return,
        Err(error) => error,
    };
    let now = Instant::now();
    let next = now + one.backoff.fail(fastrand::f64());
    if now >= one.until {
        let (task, run) = (&one.notice.task_id, &one.notice.run_id);
        tracing::warn!(task, run, error = %error, "the end of a task was not acknowledged; no further try");
        return;
    }
    one.next = next.min(one.until);
    // An orchestrator that is not reached with one notice is not reached with the others. A refusal is about this one.
    if !matches!(error, CallError::Refused { .. }) {
        for other in pending.iter_mut() {
            other.next = other.next.max(one.next).min(other.until);
        }
    }
    pending.push(one);
}
