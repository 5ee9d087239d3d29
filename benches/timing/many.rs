//! Many tasks at one instant, and one after the other.

use crate::figures::{note, verdict};
use crate::lateness::times;
use crate::rig::{self, Row, run, runner};
use std::time::Duration;

const AT_ONCE: usize = 200;
const IN_A_ROW: usize = 1000;

/// Two hundred tasks that are due at the same instant.
pub fn burst() {
    let folder = tempfile::tempdir().unwrap();
    let (_runner, address) = runner(folder.path(), AT_ONCE);
    let mut text = "schedule:\n  name: burst\n  tasks:\n".to_owned();
    for task in 0..AT_ONCE {
        text += &rig::task(task, &address, "scheduled_time: 500ms");
    }
    // To the start at the runner, which is later than what leaves the orchestrator.
    let spread = |rows: &[Row]| {
        let all: Vec<u64> = rows.iter().map(|row| row.started.unwrap()).collect();
        Duration::from_nanos(all.iter().max().unwrap() - all.iter().min().unwrap())
    };
    let (mut sent, mut armed) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        sent.push(spread(&run(folder.path(), &text, &["--no-send-ahead"]).rows));
        armed.push(spread(&run(folder.path(), &text, &[]).rows));
    }
    let ms = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e3
    };
    let (sent, armed) = (ms(sent), ms(armed));
    let what = format!("{AT_ONCE} tasks at one instant, first to last true start");
    verdict(&what, &format!("{sent:.1} ms"), "<= 5 ms", sent <= 5.0);
    note("the same, sent ahead", &format!("{armed:.1} ms"));
}

/// A thousand tasks, each after the one before it.
pub fn chain() {
    let folder = tempfile::tempdir().unwrap();
    let (_runner, address) = runner(folder.path(), 1);
    let mut text = "schedule:\n  name: chain\n  tasks:\n".to_owned();
    for task in 0..IN_A_ROW {
        let after = task.checked_sub(1).map_or_else(String::new, |before| format!(", depends_on: t{before}"));
        text += &rig::task(task, &address, &format!("mode: sequential{after}"));
    }
    let rows = run(folder.path(), &text, &[]).rows;
    let pairs: Vec<Row> = rows.windows(2).map(|pair| Row { released: pair[0].ended, ..pair[1].clone() }).collect();
    let sent = times(&pairs, |row| row.sent - row.released);
    let started = times(&pairs, |row| row.started.unwrap().saturating_sub(row.released));
    note("dependent let go after its predecessor's end notice", &sent.micros());
    note("dependent's true start after its predecessor's end notice", &started.micros());
    let p99 = started.quantile(0.99).as_secs_f64() * 1e6;
    verdict("dependent start after the end notice, p99", &format!("{p99:.0} µs"), "<= 500 µs", p99 <= 500.0);
}
