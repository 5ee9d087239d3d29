//! A socket in front of the engine that can be closed, that can become an engine of a newer version, or that cuts the stream of
//! events: what clients see while an engine is restarted, upgraded or broken.
#![allow(dead_code, reason = "two test binaries use it, each a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// How long a stream of events lives when it is cut.
const CUT: Duration = Duration::from_millis(300);

pub struct Relay {
    engine: PathBuf,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    ways: Arc<Ways>,
}

/// How it differs from the engine behind it.
#[derive(Default)]
struct Ways {
    /// Speaks version 1.44 of the API only.
    modern: AtomicBool,
    /// Ends each stream of events soon.
    cuts: AtomicBool,
    /// Streams of events that were opened.
    streams: AtomicU32,
    /// Starts no container, as an engine that is being shut down.
    closing: AtomicBool,
    /// Containers that were to be started meanwhile.
    starts: AtomicU32,
}

impl Relay {
    pub async fn start() -> Self {
        Self::of(Path::new("/var/run/docker.sock")).await
    }

    /// In front of the engine with this socket.
    pub async fn of(engine: &Path) -> Self {
        Self::at(engine.to_owned(), tempfile::tempdir().unwrap(), Arc::default())
    }

    fn at(engine: PathBuf, folder: tempfile::TempDir, ways: Arc<Ways>) -> Self {
        let path = folder.path().join("docker.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        let stop = CancellationToken::new();
        let task = spawn(serve(listener, engine.clone(), stop.clone(), Arc::clone(&ways)));
        Self { engine, folder, stop, task, ways }
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
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn again(self) -> Self {
        self.stop().await;
        Self::at(self.engine, self.folder, self.ways)
    }

    /// From now on it refuses versions below 1.44, on open connections too.
    pub fn upgrade(&self) {
        self.ways.modern.store(true, Ordering::Relaxed);
    }

    /// From now on no stream of events lives long.
    pub fn cut_events(&self) {
        self.ways.cuts.store(true, Ordering::Relaxed);
    }

    /// From now on it starts no container, and says so with an error of the server; or it does again.
    pub fn close(&self, closing: bool) {
        self.ways.closing.store(closing, Ordering::Relaxed);
    }

    /// How often a start was refused.
    pub fn refused_starts(&self) -> u32 {
        self.ways.starts.load(Ordering::Relaxed)
    }

    /// How many streams of events were opened.
    pub fn streams(&self) -> u32 {
        self.ways.streams.load(Ordering::Relaxed)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(work)
}

async fn serve(listener: UnixListener, engine: PathBuf, stop: CancellationToken, ways: Arc<Ways>) {
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            () = stop.cancelled() => return,
        };
        let (engine, stop, ways) = (engine.clone(), stop.clone(), Arc::clone(&ways));
        spawn(async move {
            tokio::select! {
                _ = pass(client, &engine, &ways) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Passes one connection on. A request begins where a read begins: clients wait for an answer before the next.
async fn pass(mut client: UnixStream, engine: &Path, ways: &Ways) -> std::io::Result<()> {
    let mut engine = UnixStream::connect(engine).await?;
    let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut end = None;
    loop {
        let cut = async {
            match end {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &mut request[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if call(bytes).is_some_and(|(_, path)| path.contains("/events")) {
                    ways.streams.fetch_add(1, Ordering::Relaxed);
                    if ways.cuts.load(Ordering::Relaxed) {
                        end = Some(tokio::time::Instant::now() + CUT);
                    }
                }
                if ways.closing.load(Ordering::Relaxed) && is_start(bytes) {
                    ways.starts.fetch_add(1, Ordering::Relaxed);
                    client.write_all(CLOSING.as_bytes()).await?;
                    continue;
                }
                match ways.modern.load(Ordering::Relaxed).then(|| modern(bytes)).flatten() {
                    Some(own) => client.write_all(own.as_bytes()).await?,
                    None => engine.write_all(bytes).await?,
                }
            }
            read = engine.read(&mut answer) => {
                let bytes = &answer[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
            () = cut => return Ok(()),
        }
    }
}

/// What an engine answers that is being shut down.
const CLOSING: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 74\r\n\r\n\
    {\"message\":\"failed to update store: open : no such file or directory ...\"}";

fn is_start(bytes: &[u8]) -> bool {
    call(bytes).is_some_and(|(method, path)| {
        let path = path.split('?').next().unwrap_or_default();
        method == "POST" && path.contains("/containers/") && path.ends_with("/start")
    })
}

/// Method and path of the request that begins here.
pub fn call(bytes: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(bytes.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    let method = words.next()?;
    matches!(method, "GET" | "POST" | "PUT" | "DELETE" | "HEAD").then(|| Some((method, words.next()?))).flatten()
}

/// What an engine of version 1.44 says by itself. Other requests are passed on as the engine behind it knows them.
pub fn modern(bytes: &mut [u8]) -> Option<String> {
    let path = call(bytes)?.1.to_owned();
    let said = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    if path == "/version" {
        return Some(said("200 OK", r#"{"Version":"29.0.0","ApiVersion":"1.44","MinAPIVersion":"1.44"}"#));
    }
    let version = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')?.0.parse::<u32>().ok());
    if let Some(version) = version.filter(|version| *version < 44) {
        let message = format!(
            "client version 1.{version} is too old. Minimum supported API version is 1.44, please upgrade your client"
        );
        return Some(said("400 Bad Request", &format!(r#"{{"message":"{message}"}}"#)));
    }
    let at = bytes.windows(7).position(|window| window == b"/v1.44/")?;
    bytes[at..at + 7].copy_from_slice(b"/v1.41/");
    None
}
