//! The timed orchestrator against the clock, with `cyclictest` beside it in the same run.
//!
//! `cargo bench --bench timing`, or only some of it: `-- lateness wrapper burst chain cron history hour`; `hour` needs nothing. The others need root (or `rtprio` and
//! `memlock`) and Debian's `rt-tests`; `wrapper` also `g++ pkg-config libgrpc++-dev protobuf-compiler-grpc`; `cron` also
//! git and Docker. Figures and reach stand in `benches/README.md`.
#![expect(unreachable_pub, reason = "the modules of one benchmark share their items")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "the figures are printed")]

mod cron;
mod cyclictest;
#[path = "../shared/figures.rs"]
mod figures;
mod history;
mod hour;
mod lateness;
mod many;
#[path = "../shared/process.rs"]
mod process;
mod rig;
mod wrapper;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [(&str, fn()); 7] = [
        ("lateness", lateness::run),
        ("wrapper", wrapper::run),
        ("burst", many::burst),
        ("chain", many::chain),
        ("cron", cron::run),
        ("history", history::run),
        ("hour", hour::run),
    ];
    for (name, part) in parts {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            part();
        }
    }
}
