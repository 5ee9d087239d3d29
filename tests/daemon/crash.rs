//! The daemon is killed at random points of an apply. Each time the next one converges, with nothing twice and nothing
//! left behind.

use crate::rig::{Rig, applied, daemon, docker, rig, sleeper, until};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SERVICES: usize = 20;

/// How often the daemon is killed; more with `SETPOINT_TEST_KILLS`.
fn kills() -> usize {
    std::env::var("SETPOINT_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// The process that is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by `a_killed_daemon_converges_after_a_restart` in a process of its own"]
async fn runs_until_it_is_killed() {
    let (Ok(work), Ok(state)) = (std::env::var("SETPOINT_TEST_WORK"), std::env::var("SETPOINT_TEST_STATE")) else {
        return;
    };
    let daemon = daemon(Path::new(&work), state.into()).await;
    let run = daemon.run(
        CancellationToken::new(),
        [|_, stop: CancellationToken| async move {
            stop.cancelled().await;
            Ok(())
        }],
    );
    run.await.unwrap();
}

/// A daemon in a process of its own; killed when it is dropped.
pub struct Victim(Child);

impl Victim {
    pub fn start(rig: &Rig) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::runs_until_it_is_killed", "--ignored"])
            .env("SETPOINT_TEST_WORK", rig.work())
            .env("SETPOINT_TEST_STATE", rig.state())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Names of all containers of this rig, running or not.
fn names(rig: &Rig) -> BTreeSet<String> {
    let names = docker(&["ps", "-a", "--filter", &format!("name={}", rig.name), "--format", "{{.Names}} {{.State}}"]);
    names.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_converges_after_a_restart() {
    let Some(rig) = rig() else { return };
    let seed = std::env::var("SETPOINT_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let mut random = fastrand::Rng::with_seed(seed);
    let expected: BTreeSet<String> =
        (0..SERVICES).map(|number| format!("{} running", rig.container(&format!("s{number}")))).collect();
    for round in 0..kills() {
        // Each round replaces all of them; every third service depends on its neighbour.
        let services: Vec<String> = (0..SERVICES)
            .map(|number| {
                let needs = if number % 3 == 2 { format!("depends_on: [s{}], ", number - 1) } else { String::new() };
                sleeper(&format!("s{number}"), &format!("{needs}env: {{ROUND: \"{round}\"}}"))
            })
            .collect();
        let commit = rig.commit(&format!("round {round}"), &services);
        let victim = Victim::start(&rig);
        let wait = Duration::from_millis(random.u64(50..4000));
        tokio::time::sleep(wait).await;
        drop(victim);
        let left = names(&rig);
        rig.with(async |handle| {
            let took = until(handle, &format!("round {round} after {wait:?}"), |status| applied(status, &commit)).await;
            eprintln!("round {round}: killed after {wait:?} with {} containers, converged in {took:?}", left.len());
        })
        .await;
        assert_eq!(names(&rig), expected, "round {round}, killed after {wait:?} with {left:?}");
        let stale = docker(&["ps", "-aq", "--filter", &format!("name={}", rig.name), "--filter", "status=exited"]);
        assert_eq!(stale, "");
    }
}
