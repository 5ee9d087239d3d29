//! Keeps the connections of a run ready: one that broke, or that a router on the way has dropped, is noticed and made again,
//! with its name resolved again, before a task is due.
//!
//! Existing task servers take HTTP/2 pings on an idle connection for abuse, so they are sent a small call instead.

use super::run_context::RunContext;
use super::task_server::TaskServer;
use crate::model::{Release, Task};
use crate::rt::Monotonic;
use crate::wire::TaskChannel;
use futures_util::future::join_all;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How often an idle connection is used; firewalls and routers drop idle connections after minutes.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long before the next instant of one of its tasks a server is checked. A check that hangs is given up before the instant,
/// and there is time to connect again.
const AHEAD: Duration = Duration::from_secs(3);
/// Bound on each check.
const BOUND: Duration = Duration::from_secs(1);
/// No server is checked more often than this.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps all connections ready, for as long as it is polled.
pub(super) async fn keep_warm(
    shared: Arc<RunContext>,
    task_servers: &[Arc<TaskServer>],
    server_of: &[usize],
) -> Infallible {
    let shared = &shared;
    let each = task_servers.iter().enumerate().map(|(at, server)| {
        let of =
            move || shared.schedule.tasks.iter().zip(server_of).filter(move |(_, of)| **of == at).map(|(task, _)| task);
        keep(&server.channel, shared.start_time.monotonic, of)
    });
    join_all(each).await;
    // There are no connections.
    std::future::pending().await
}

/// Keeps one connection ready.
async fn keep<'t, T: Iterator<Item = &'t Task>>(
    channel: &TaskChannel,
    begin: Monotonic,
    tasks: impl Fn() -> T,
) -> Infallible {
    let mut last = Duration::ZERO;
    loop {
        let now = Monotonic::now().since(begin);
        let next = next(last, now, tasks().map(|task| &task.release));
        tokio::time::sleep(next.saturating_sub(now)).await;
        last = Monotonic::now().since(begin);
        // Twice when it fails: the first one finds out that the connection is of no use, the second makes a new one.
        if channel.warm(BOUND).await.is_err() {
            let _ = channel.warm(BOUND).await;
        }
    }
}

/// When a server is checked next, in the time of the run: ahead of the next instant of its tasks, and now and then.
fn next<'t>(last: Duration, now: Duration, releases: impl Iterator<Item = &'t Release>) -> Duration {
    let earliest = last + PAUSE;
    let due = releases.filter_map(|release| upcoming(release, now.max(earliest) + AHEAD)).min();
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
    use crate::model::{FileEntry, FileKind, FileTree, Repeat, TaskAddress};

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

    #[test]
    fn a_server_is_checked_ahead_of_its_tasks_now_and_then_and_never_in_a_rush() {
        let checked = |last: u32, now: u32, releases: &[Release]| next(S * last, S * now, releases.iter());
        assert_eq!(checked(0, 0, &[]), INTERVAL);
        assert_eq!(checked(0, 0, &[timed(3600, None)]), INTERVAL, "an hour is long for a connection");
        assert_eq!(checked(3580, 3580, &[timed(3600, None)]), S * 3597, "and once more before its instant");
        assert_eq!(checked(3597, 3597, &[timed(3600, None)]), S * 3597 + INTERVAL);
        let often = [timed(0, Some((1, 10_000)))];
        assert!(checked(100, 100, &often) >= S * 100 + PAUSE, "what is due all the time is not checked all the time");
        assert!(checked(100, 200, &often) <= S * 200, "one that took long is not made up for");
    }

    #[tokio::test]
    async fn a_connection_that_broke_is_made_anew_before_the_instant() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = TaskAddress::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let channel = TaskChannel::new(address, None, None);
        let (instant, begin) = (Duration::from_secs(4), Monotonic::now());
        let release = Release::Timed { at: instant, repeat: None };
        let task = Task { release, ..task() };
        let warm = keep(&channel, begin, || std::iter::once(&task));
        let connected = async {
            // Closed immediately, as by a server that has been restarted in between; then left open.
            drop(listener.accept().await.unwrap());
            listener.accept().await.unwrap()
        };
        tokio::select! {
            never = warm => match never {},
            _open = connected => assert!(Monotonic::now() < begin + instant, "after the instant"),
        }
    }

    fn task() -> Task {
        let text = "schedule:\n  tasks: [{id: a, address: \"h:1\", scheduled_time: 0}]\n";
        let content: Arc<[u8]> = text.as_bytes().into();
        let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
        let mut tree = FileTree::default();
        tree.files.insert("schedules/s.yaml".to_owned(), entry);
        crate::manifest::compile(&tree).unwrap().schedules.into_values().next().unwrap().tasks.remove(0)
    }
}
