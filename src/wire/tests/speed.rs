//! How long a start takes, for people: `cargo test --release speed -- --nocapture`.

use crate::model::TaskProtocol;
use crate::wire::start::tests::start;
use crate::wire::testing::{BOUND, acknowledge, addresses, runner, tls};
use crate::wire::{PreparedStart, TaskChannel};
use std::time::{Duration, Instant};

#[test]
fn a_start_over_a_warm_channel() {
    let folder = tempfile::tempdir().unwrap();
    for address in addresses(&folder) {
        // The server has a thread and a runtime of its own, as another process would.
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = std::thread::spawn(move || {
            current_thread().block_on(async {
                let (address, _stop, _) = runner(&address, acknowledge).await;
                tell.send(address).unwrap();
                drop(stopped.await);
            });
        });
        let address = told.recv().unwrap();
        let mut times: Vec<Duration> = current_thread().block_on(async {
            let channel = TaskChannel::new(address.clone(), None, tls());
            let prepared = PreparedStart::new(&start(), TaskProtocol::Json);
            channel.warm(BOUND).await.unwrap();
            let mut times = Vec::new();
            for _ in 0..1000 {
                let before = Instant::now();
                channel.start(&prepared, BOUND).await.unwrap();
                times.push(before.elapsed());
            }
            times
        });
        times.sort_unstable();
        let (first, middle, late) = (times[0], times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{address}: min {first:?}, p50 {middle:?}, p99 {late:?}");
        drop(stop);
        server.join().unwrap();
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
