//! Telling an orchestrator the ends of tasks, until it acknowledges them or patience ends.

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
/// For how long it is tried at the end of the runner.
const AT_THE_END: Duration = Duration::from_secs(3);

/// A notice that is not acknowledged.
#[derive(Debug)]
struct Pending {
    notice: EndNotice,
    next: Instant,
    until: Instant,
    backoff: Backoff,
}

/// Tells what comes through the queue, until that is closed and all is told or given up. A notice may arrive twice: it
/// is told again when no answer came.
pub(super) async fn tell(channel: OrchestratorChannel, patience: Duration, mut queue: mpsc::Receiver<EndNotice>) {
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
                try_one(&channel, &mut pending).await;
            }
        }
    }
}

/// Tells the one whose time has come.
async fn try_one(channel: &OrchestratorChannel, pending: &mut Vec<Pending>) {
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
    // Where nobody is reached with one, nobody is reached with the others. A refusal is about this one.
    if !matches!(error, CallError::Refused { .. }) {
        for other in pending.iter_mut() {
            other.next = other.next.max(one.next).min(other.until);
        }
    }
    pending.push(one);
}
