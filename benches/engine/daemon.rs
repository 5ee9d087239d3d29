//! The daemon with a hundred instances: what it takes while nothing happens, and how soon a killed container runs again.

use crate::bare;
use crate::figures::{Times, note, verdict};
use crate::noop::Fleet;
use crate::process::Process;
use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, KillContainerOptions};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long it is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(60);
const KILLS: usize = 20;
/// No repair takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that follows the fleet.
struct Daemon(Process);

impl Daemon {
    fn start(fleet: &Fleet<'_>) -> Self {
        let config = fleet.rig.path("daemon.kdl");
        std::fs::write(&config, format!("repo {:?} branch=\"main\"\n", fleet.rig.repo())).unwrap();
        let mut command = fleet.rig.setpoint(&["daemon", "--config"]);
        Self(Process(command.arg(config).spawn().unwrap()))
    }

    /// One line of a file of `/proc`, in KiB.
    fn memory(&self, file: &str, key: &str) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.0.0.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("the daemon runs");
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
        kib / 1024.0
    }

    fn note_memory(&self, when: &str) {
        let (rss, pss) = (self.memory("status", "VmRSS:"), self.memory("smaps_rollup", "Pss:"));
        let (peak, data) = (self.memory("status", "VmHWM:"), self.memory("status", "RssAnon:"));
        let text = format!("RSS {rss:.1} MiB (of it anonymous {data:.1}), PSS {pss:.1} MiB, peak {peak:.1} MiB");
        note(&format!("daemon, {when}"), &text);
    }
}

pub async fn run(fleet: &Fleet<'_>) {
    let api = bare::api();
    let daemon = Daemon::start(fleet);
    // The first fetch, look and plan are over long before.
    tokio::time::sleep(Duration::from_secs(10)).await;
    daemon.note_memory("10 s after its start");
    idle(&daemon, &api).await;
    killed(fleet, &api).await;
    daemon.note_memory("after the kills");
}

async fn idle(daemon: &Daemon, api: &Docker) {
    let (begin, before) = (Instant::now(), daemon.0.cpu());
    let others = heard(api).await;
    let share = (daemon.0.cpu() - before) / begin.elapsed().as_secs_f64() * 100.0;
    let rss = daemon.memory("status", "VmRSS:");
    note("events on networks, volumes and images of others meanwhile, each batch of which leads to a look", &others);
    verdict("daemon with 100 instances, memory", &format!("RSS {rss:.1} MiB"), "<= 25 MiB", rss <= 25.0);
    verdict("daemon with 100 instances, idle", &format!("{share:.2} % of one core"), "<= 0.5 %", share <= 0.5);
}

/// Waits while nothing happens, and counts the events meanwhile that the daemon cannot tell from its own.
async fn heard(api: &Docker) -> String {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let filters = HashMap::from([
        ("type".to_owned(), words(&["network", "volume", "image"])),
        ("event".to_owned(), words(&["connect", "disconnect", "destroy", "tag", "untag", "delete"])),
    ]);
    let options = EventsOptions { filters: Some(filters), ..Default::default() };
    let mut events = api.events(Some(options)).fuse();
    let end = tokio::time::sleep(IDLE);
    let mut end = std::pin::pin!(end);
    let mut count = 0;
    loop {
        // Both arms are cancel-safe.
        tokio::select! {
            () = &mut end => return count.to_string(),
            Some(_) = events.next() => count += 1,
        }
    }
}

async fn killed(fleet: &Fleet<'_>, api: &Docker) {
    let ids = fleet.ids().await;
    let bare = bare::create(api, "spbench-bare-start", "spbench-fleet-net").await;
    api.start_container(&bare, None).await.unwrap();
    let (mut again, mut start) = (Times::default(), Times::default());
    for id in ids.iter().take(KILLS) {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let begin = now();
        kill(api, id).await;
        let (died, started) = died_and_started(api, id, begin).await;
        again.add(between(died, started));

        tokio::time::sleep(Duration::from_millis(500)).await;
        kill(api, &bare).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begin = now();
        api.start_container(&bare, None).await.unwrap();
        let started = event(api, &bare, "start", begin).await;
        start.add(between(begin, started));
    }
    note("from the engine's event that a killed container died to the one that it was started", &again.text());
    note("from the call to start a stopped one of the same kind to that event", &start.text());
    for (name, share) in [("median", 0.5), ("p90", 0.9)] {
        let over = again.quantile(share).as_secs_f64() * 1e3 - start.quantile(share).as_secs_f64() * 1e3;
        verdict(
            &format!("a killed container runs again, {name} over the engine's"),
            &format!("{over:.0} ms"),
            "<= 300 ms",
            over <= 300.0,
        );
    }
}

async fn kill(api: &Docker, id: &str) {
    api.kill_container(id, None::<KillContainerOptions>).await.unwrap();
}

async fn died_and_started(api: &Docker, id: &str, since: i64) -> (i64, i64) {
    let died = event(api, id, "die", since).await;
    (died, event(api, id, "start", died).await)
}

/// When the container did this for the first time since then; by the engine's clock, in nanoseconds.
async fn event(api: &Docker, id: &str, action: &str, since: i64) -> i64 {
    // The engine takes whole seconds, and says again what happened since.
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), vec![action.to_owned()]),
        ("container".to_owned(), vec![id.to_owned()]),
    ]);
    let since_text = Some((since / 1_000_000_000).to_string());
    let mut events = api.events(Some(EventsOptions { since: since_text, until: None, filters: Some(filters) }));
    let found = async {
        while let Some(message) = events.next().await {
            let EventMessage { time_nano: Some(at), .. } = message.unwrap() else { continue };
            if at >= since {
                return at;
            }
        }
        panic!("the engine's events ended");
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {action} of {id}"))
}

fn between(from: i64, to: i64) -> Duration {
    Duration::from_nanos(u64::try_from(to - from).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of the engine's events")]
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}
