//! A host that is as it should be is left in peace.

use crate::rig::{applied, kinds, rig, sleeper, until};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_happens_when_nothing_happens() {
    let Some(rig) = rig() else { return };
    let services: Vec<String> = (0..5).map(|number| sleeper(&format!("s{number}"), "")).collect();
    let first = rig.commit("first", &services);
    rig.with(async |handle| {
        until(handle, "the first commit", |status| applied(status, &first)).await;
        // Events of the last steps may still lead to a look.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let count = kinds(handle).await.len();
        // Other tests use the same engine, and its events on networks and images do not say whose they are. A daemon that
        // spins never has two quiet seconds; one that is only woken by others has them.
        let mut quiet = false;
        for _ in 0..15 {
            let looked = handle.status().reconciled_at;
            tokio::time::sleep(Duration::from_secs(2)).await;
            quiet = handle.status().reconciled_at == looked;
            if quiet {
                break;
            }
        }
        assert!(quiet, "it looks again and again without a reason");
        assert_eq!(kinds(handle).await.len(), count, "an event without a cause");
        let looked = handle.status().reconciled_at;
        handle.poke();
        until(handle, "a look after a poke", |status| status.reconciled_at != looked).await;
        assert_eq!(kinds(handle).await.len(), count, "looking is not an event");
    })
    .await;
}
