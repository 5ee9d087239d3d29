//! What the tests of this module share: servers on loopback with scripted answers.

use super::*;
use crate::model::TaskAddress;
use base64::Engine as _;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) const BOUND: Duration = Duration::from_secs(5);
pub(super) const SHORT: Duration = Duration::from_millis(200);

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
    tokio::spawn(work).abort_handle()
}

/// An address of each kind; the folder holds the socket.
pub(super) fn addresses(folder: &tempfile::TempDir) -> [TaskAddress; 3] {
    [TaskAddress::Tcp("127.0.0.1".to_owned(), 0), unix(folder), TaskAddress::Tls("127.0.0.1".to_owned(), 0)]
}

/// Certificates that all tests share which do not care. Their files are gone, which changes nothing.
pub(super) fn tls() -> Option<Tls> {
    static SHARED: LazyLock<Tls> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        Tls::load(&Authority::new().issue(folder.path(), |_| {})).unwrap()
    });
    Some(SHARED.clone())
}

/// A CA.
pub(super) struct Authority(rcgen::Issuer<'static, rcgen::KeyPair>, String);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, fastrand::u64(..).to_string());
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
        Self(rcgen::Issuer::new(params, key), pem)
    }

    /// Writes a certificate for 127.0.0.1 with its key and this CA, each file put in place in one go.
    pub(super) fn issue(&self, folder: &Path, change: impl FnOnce(&mut rcgen::CertificateParams)) -> TlsFiles {
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = pem("CERTIFICATE", params.signed_by(&key, &self.0).unwrap().der());
        TlsFiles {
            cert: put(folder, "cert.pem", &cert),
            key: put(folder, "key.pem", &pem("PRIVATE KEY", &key.serialize_der())),
            ca: put(folder, "ca.pem", &self.1),
        }
    }
}

/// Writes a file for this user only, under another name first.
pub(super) fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (fresh, path) = (folder.join("fresh"), folder.join(name));
    std::fs::write(&fresh, text).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(fresh, &path).unwrap();
    path
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// An error with all its sources.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(super) fn unix(folder: &tempfile::TempDir) -> TaskAddress {
    TaskAddress::Unix(folder.path().join("task.sock").display().to_string())
}

/// A task runner that lets `answer` answer; ends when the returned stop is dropped.
pub(super) async fn runner<F>(
    address: &TaskAddress,
    answer: F,
) -> (TaskAddress, tokio::sync::oneshot::Sender<()>, tokio::sync::oneshot::Receiver<()>)
where
    F: FnMut(TaskCall) + Send + 'static,
{
    runner_with(address, tls(), answer).await
}

/// The same with certificates of its own.
pub(super) async fn runner_with<F>(
    address: &TaskAddress,
    tls: Option<Tls>,
    mut answer: F,
) -> (TaskAddress, tokio::sync::oneshot::Sender<()>, tokio::sync::oneshot::Receiver<()>)
where
    F: FnMut(TaskCall) + Send + 'static,
{
    let listener = Listener::bind(address, tls.as_ref()).await.unwrap();
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
    let listener = Listener::bind(address, tls().as_ref()).await.unwrap();
    let address = listener.address().clone();
    let (taken, notices) = mpsc::channel(room);
    let asked = Arc::new(AtomicUsize::new(0));
    let served = NoticeServer {
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
