//! The program against the real engine, each figure beside the bare calls that it is held against, in the same run.
//!
//! `cargo bench --bench engine`, or only some of it: `-- size first noop daemon`. Needs Docker, git, docker-compose (for
//! `noop`) and busybox-static. All that it makes is named `spbench-…` and removed again. Figures and reach stand in
//! `benches/README.md`.
#![expect(unreachable_pub, reason = "the modules of one benchmark share their items")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "the figures are printed")]

mod bare;
mod daemon;
#[path = "../shared/figures.rs"]
mod figures;
mod first;
mod noop;
#[path = "../shared/process.rs"]
mod process;
mod rig;

use figures::verdict;
use process::program;
use rig::Rig;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if is_asked("size") {
        let size = std::fs::metadata(program()).unwrap().len() as f64 / f64::from(1 << 20);
        verdict("program, as built", &format!("{size:.1} MiB"), "<= 28 MiB", size <= 28.0);
    }
    runtime.block_on(async {
        if is_asked("first") {
            first::run(&Rig::new().await).await;
        }
        if is_asked("noop") || is_asked("daemon") {
            let rig = Rig::new().await;
            let fleet = noop::Fleet::up(&rig).await;
            let ours = if is_asked("noop") { Some(noop::ours(&fleet).await) } else { None };
            if is_asked("daemon") {
                daemon::run(&fleet).await;
            }
            rig.clear().await;
            if let Some(ours) = ours {
                noop::compose(&rig, &ours).await;
            }
        }
    });
}
