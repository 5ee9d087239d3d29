//! A socket in front of the engine that can be closed: what clients see while the engine is being restarted.

use std::path::PathBuf;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

pub struct Relay {
    folder: tempfile::TempDir,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    pub async fn start() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(folder: tempfile::TempDir) -> Self {
        let path = folder.path().join("docker.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        let stop = CancellationToken::new();
        let task = spawn(serve(listener, stop.clone()));
        Self { folder, stop, task }
    }

    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Breaks every connection and takes no new one.
    pub async fn stop(&self) {
        self.stop.cancel();
        while !self.task.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub async fn again(self) -> Self {
        self.stop().await;
        Self::at(self.folder)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(work)
}

async fn serve(listener: UnixListener, stop: CancellationToken) {
    loop {
        let mut client = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            () = stop.cancelled() => return,
        };
        let stop = stop.clone();
        spawn(async move {
            let mut engine = UnixStream::connect("/var/run/docker.sock").await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut engine) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
