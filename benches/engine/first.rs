//! A first apply of fifty containers against the bare calls.

use crate::bare;
use crate::figures::{Times, note, verdict};
use crate::rig::Rig;
use std::time::{Duration, Instant};

const CONTAINERS: usize = 50;
const TIMES: usize = 3;

pub async fn run(rig: &Rig) {
    for (kind, strategy, at_once, reach) in
        [("parallel", "type: parallel, max_parallel: 8", 8, 1.15), ("sequential", "type: sequential", 1, 1.1)]
    {
        rig.commit("spbench-first", CONTAINERS, strategy);
        let (mut bare, mut ours) = (Times::default(), Times::default());
        for turn in 0..TIMES {
            // By turns, so that what else the machine does falls on both.
            for is_bare in [turn % 2 == 0, turn % 2 != 0] {
                let begin = Instant::now();
                if is_bare {
                    bare::bring_up(&rig.api, "spbench-bare", CONTAINERS, at_once).await;
                    bare.add(begin.elapsed());
                } else {
                    rig.on_repo(&["apply", "--yes"]);
                    ours.add(begin.elapsed());
                }
                rig.clear().await;
                rig.forget();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        note(&format!("{CONTAINERS} containers, {kind}, bare create + start, {at_once} at once"), &bare.text());
        note(&format!("{CONTAINERS} containers, {kind}, `setpoint apply --yes` as a process"), &ours.text());
        let ratio = ours.median() / bare.median();
        verdict(&format!("first apply, {kind}"), &format!("{ratio:.3} x"), &format!("<= {reach} x"), ratio <= reach);
    }
}
