//! What the tests of this module share: servers on loopback that do as they are told.

use super::*;
use crate::model::TaskAddress;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) const BOUND: Duration = Duration::from_secs(5);
pub(super) const SHORT: Duration = Duration::from_millis(200);

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
    tokio::spawn(work).abort_handle()
}

/// An address of each kind; the folder holds the socket.
pub(super) fn addresses(folder: &tempfile::TempDir) -> [TaskAddress; 2] {
    [TaskAddress::Tcp("127.0.0.1".to_owned(), 0), unix(folder)]
}

pub(super) fn unix(folder: &tempfile::TempDir) -> TaskAddress {
    TaskAddress::Unix(folder.path().join("task.sock").display().to_string())
}

/// A task runner that lets `answer` answer; ends when the returned stop is dropped.
pub(super) async fn runner<F>(
    address: &TaskAddress,
    mut answer: F,
) -> (TaskAddress, tokio::sync::oneshot::Sender<()>, tokio::sync::oneshot::Receiver<()>)
where
    F: FnMut(TaskCall) + Send + 'static,
{
    let listener = Listener::bind(address).await.unwrap();
    let address = listener.address().clone();
    let (calls, mut queue) = mpsc::channel(8);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ended, end) = tokio::sync::oneshot::channel();
    spawn(async move {
        while let Some(call) = queue.recv().await {
            answer(call);
        }
    });
    spawn(async move {
        let shutdown = async { drop(stopped.await) };
        Tasks { calls, max_request: 1 << 20 }.serve(listener, SHORT, shutdown).await.unwrap();
        let _ = ended.send(());
    });
    (address, stop, end)
}

/// Answers a start with an acknowledgement.
pub(super) fn acknowledge(call: TaskCall) {
    if let TaskCall::Start(_, reply) = call {
        drop(reply.send(Ok(Duration::from_micros(42))));
    }
}

/// An orchestrator with room for `room` notices, and what it took.
pub(super) async fn orchestrator(address: &TaskAddress, room: usize) -> (TaskAddress, mpsc::Receiver<EndNotice>) {
    let listener = Listener::bind(address).await.unwrap();
    let address = listener.address().clone();
    let (taken, notices) = mpsc::channel(room);
    let asked = Arc::new(AtomicUsize::new(0));
    let served = Orchestrator {
        notice: move |notice| {
            taken.try_send(notice).map_err(|fault| match fault {
                mpsc::error::TrySendError::Full(_) => NotTaken::Full,
                mpsc::error::TrySendError::Closed(_) => NotTaken::Stopping,
            })
        },
        health: move || {
            let asked = asked.fetch_add(1, Ordering::Relaxed);
            Health { running: asked == 0, time: Duration::from_micros(7) }
        },
        max_notice: 1 << 16,
    };
    spawn(async move { served.serve(listener, SHORT, std::future::pending()).await.unwrap() });
    (address, notices)
}
