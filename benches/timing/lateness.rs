//! How late timed tasks are let go by the orchestrator, and begin at our own runner when they were sent ahead.

use crate::cyclictest::Cyclictest;
use crate::figures::{Times, note, verdict};
use crate::rig::{self, Row, run as run_schedule, runner};
use std::time::Duration;

pub const TASKS: usize = 1000;
pub const GAP: Duration = Duration::from_millis(10);
/// One round is one look at a machine on which others may work as well.
const ROUNDS: usize = 5;

/// A thousand tasks over ten seconds.
pub fn schedule(address: &str) -> String {
    let mut text = "schedule:\n  name: timed\n  tasks:\n".to_owned();
    for task in 0..TASKS {
        // Not at once: the first ones are sent ahead as well.
        let time = (GAP * (task as u32 + 50)).as_micros();
        text += &rig::task(task, address, &format!("scheduled_time_us: {time}"));
    }
    text
}

pub fn times(rows: &[Row], of: impl Fn(&Row) -> u64) -> Times {
    let mut times = Times::default();
    rows.iter().for_each(|row| times.add(Duration::from_nanos(of(row))));
    times
}

pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let (_runner, address) = runner(folder.path(), 4);
    let schedule = schedule(&address);
    let started = |row: &Row| row.started.unwrap() - row.released;
    let (mut released, mut armed) = (Vec::new(), Vec::new());
    // What the machine does without us, before and after: beside us it has a neighbour of its own priority.
    let alone = || Cyclictest::start(TASKS, GAP).join().micros();
    note("cyclictest alone, before", &alone());
    for _ in 0..ROUNDS {
        let peer = Cyclictest::start(TASKS, GAP);
        let rows = run_schedule(folder.path(), &schedule, &["--no-send-ahead"]).rows;
        let (ours, peer) = (times(&rows, |row| row.sent - row.released), peer.join());
        note("let go by the orchestrator", &ours.micros());
        note("cyclictest beside it", &peer.micros());
        note("true start at our runner, not sent ahead", &times(&rows, started).micros());
        released.push((ours, peer));

        let peer = Cyclictest::start(TASKS, GAP);
        let rows = run_schedule(folder.path(), &schedule, &[]).rows;
        let (ours, peer) = (times(&rows, started), peer.join());
        note("true start at our runner, sent ahead", &ours.micros());
        note("cyclictest beside it", &peer.micros());
        armed.push((ours, peer));
    }
    note("cyclictest alone, after", &alone());
    for share in [0.5, 0.99] {
        compare("let go by the orchestrator", &released, share, 1.5);
    }
    compare("true start, sent ahead", &armed, 0.99, 2.0);
}

/// The median of the rounds' ratios.
fn compare(what: &str, rounds: &[(Times, Times)], share: f64, reach: f64) {
    let at = |times: &Times| times.quantile(share).as_secs_f64() * 1e6;
    let mut ratios: Vec<f64> = rounds.iter().map(|(ours, peer)| at(ours) / at(peer).max(1.0)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let what = format!("{what}, p{:.0} / cyclictest", share * 100.0);
    verdict(&what, &format!("{median:.2} × (rounds {})", all.join(" ")), &format!("<= {reach} ×"), median <= reach);
}
