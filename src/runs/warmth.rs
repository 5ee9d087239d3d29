//! Keeps the connections of a run ready: what broke or was forgotten on the way is noticed, and connected again with its
//! name looked up anew, before a task is due.
//!
//! Existing task servers take pings of HTTP/2 on an idle connection for abuse, so that they are asked a small question.

use super::shared::{Link, Shared};
use crate::model::{Release, Task};
use crate::rt::Monotonic;
use futures_util::future::join_all;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How often an idle connection is used; what forgets connections does so after minutes.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long before the next instant of one of its tasks a server is looked at. What hangs is given up before the instant,
/// and there is time to connect again.
const AHEAD: Duration = Duration::from_secs(3);
/// Bound on each look.
const BOUND: Duration = Duration::from_secs(1);
/// Nothing is looked at more often than this.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps all connections ready, for as long as it is polled.
pub(super) async fn keep_warm(shared: Arc<Shared>, links: &[Arc<Link>], link_of: &[usize]) -> Infallible {
    let shared = &shared;
    let each = links.iter().enumerate().map(|(at, link)| async move {
        let tasks = || shared.schedule.tasks.iter().zip(link_of).filter(|(_, of)| **of == at).map(|(task, _)| task);
        let mut last = Duration::ZERO;
        loop {
            let now = Monotonic::now().since(shared.begin.start);
            let next = next(last, now, tasks());
            tokio::time::sleep(next.saturating_sub(now)).await;
            last = Monotonic::now().since(shared.begin.start);
            // Twice when it fails: the first one finds out that the connection is of no use, the second makes a new one.
            if link.channel.warm(BOUND).await.is_err() {
                let _ = link.channel.warm(BOUND).await;
            }
        }
    });
    join_all(each).await;
    // There are no connections.
    std::future::pending().await
}

/// When a server is looked at next, in the time of the run: ahead of the next instant of its tasks, and now and then.
fn next<'t>(last: Duration, now: Duration, tasks: impl Iterator<Item = &'t Task>) -> Duration {
    let earliest = last + PAUSE;
    let due = tasks.filter_map(|task| upcoming(&task.release, now.max(earliest) + AHEAD)).min();
    let due = due.map(|due| due.saturating_sub(AHEAD));
    due.map_or(last + INTERVAL, |due| due.min(last + INTERVAL)).max(earliest)
}

/// The first instant of a task at this time or later.
fn upcoming(release: &Release, from: Duration) -> Option<Duration> {
    let Release::Timed { at, repeat } = release else { return None };
    if *at >= from {
        return Some(*at);
    }
    let repeat = repeat.filter(|repeat| !repeat.period.is_zero())?;
    let occurrence = from.saturating_sub(*at).as_nanos().div_ceil(repeat.period.as_nanos());
    let occurrence = u32::try_from(occurrence).ok().filter(|occurrence| *occurrence < repeat.count)?;
    release.due(occurrence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repeat;

    const S: Duration = Duration::from_secs(1);

    fn timed(at: u32, repeat: Option<(u32, u32)>) -> Release {
        Release::Timed { at: S * at, repeat: repeat.map(|(period, count)| Repeat { period: S * period, count }) }
    }

    #[test]
    fn the_next_instant_of_a_task_is_found_without_counting_up_to_it() {
        assert_eq!(upcoming(&timed(60, None), S * 10), Some(S * 60));
        assert_eq!(upcoming(&timed(60, None), S * 61), None);
        assert_eq!(upcoming(&timed(1, Some((10, 1_000))), S * 22), Some(S * 31));
        assert_eq!(upcoming(&timed(1, Some((10, 1_000))), S * 31), Some(S * 31));
        assert_eq!(upcoming(&timed(1, Some((10, 3))), S * 22), None, "the third was the last one");
        assert_eq!(upcoming(&Release::Sequential, S), None);
    }
}
