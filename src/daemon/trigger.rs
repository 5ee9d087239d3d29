//! Hints to look again. They coalesce: many of them during one reconcile lead to one more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Hands hints to those who look; cheap to clone. A hint carries no state.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    look: Notify,
    fetch: Notify,
    afresh: AtomicBool,
}

impl Triggers {
    /// Something may have changed on the engine or in the store.
    pub fn look(&self) {
        self.inner.look.notify_one();
    }

    /// Somebody asks: fetch now, look now, and try again now what waits after a failure.
    pub fn poke(&self) {
        self.inner.afresh.store(true, Ordering::Relaxed);
        self.inner.fetch.notify_one();
        self.inner.look.notify_one();
    }

    /// Waits for a hint to look. Cancel-safe: a hint that came is kept.
    pub async fn wait_look(&self) {
        self.inner.look.notified().await;
    }

    /// Waits for a hint to fetch. Cancel-safe: a hint that came is kept.
    pub async fn wait_fetch(&self) {
        self.inner.fetch.notified().await;
    }

    /// Whether somebody asked since the last time.
    pub fn take_afresh(&self) -> bool {
        self.inner.afresh.swap(false, Ordering::Relaxed)
    }
}
