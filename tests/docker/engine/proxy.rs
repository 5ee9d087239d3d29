//! A proxy in front of an engine. It speaks version 1.44 of the API and nothing older, as a new engine does; it is slow, hands
//! answers on in pieces, and breaks streams of events. At its second socket calls fail besides: with 500, without an answer, with
//! the answer lost after the engine did what was asked; and it restarts now and then.
//!
//! What happens to a call is decided by the seed, by what is called, and by how often it was called before.

use crate::relay;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

const SEED: u64 = 0x5e7_9017;
/// Longest wait before a call is handed on, in milliseconds.
const SLOW: u64 = 12;
/// Shortest and longest life of a stream of events, in milliseconds.
const STREAM: (u64, u64) = (800, 3000);
/// An idle connection is closed after so long.
const IDLE: Duration = Duration::from_millis(700);
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Calls whose answer may pause.
const STREAMS: &[&str] = &["events", "logs", "attach", "build", "create", "push", "exec", "wait"];
/// Of so many calls one fails in one way.
const RARE: u64 = 45;
/// It restarts so often, and is away so long.
const RESTART: (Duration, Duration) = (Duration::from_secs(4), Duration::from_millis(150));

/// Serves both sockets beside the engine's own, from a thread of its own that lasts as long as the process.
#[expect(clippy::print_stderr, reason = "the seed of what failed")]
pub fn start(engine: &Path) -> (PathBuf, PathBuf) {
    let folder = engine.parent().unwrap();
    let (calm, troubled) = (folder.join("calm.sock"), folder.join("troubled.sock"));
    let listeners = [(calm.clone(), false), (troubled.clone(), true)].map(|(path, fails)| {
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        (listener, Arc::new(Proxy { engine: engine.to_owned(), path, fails, calls: Mutex::default() }))
    });
    eprintln!("the proxy's seed is {SEED:#x}");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let [calm, troubled] = listeners.map(|(listener, proxy)| serve(listener, proxy));
            tokio::join!(calm, troubled)
        });
    });
    (calm, troubled)
}

struct Proxy {
    engine: PathBuf,
    path: PathBuf,
    /// Whether calls fail and the proxy restarts.
    fails: bool,
    /// How often each call was made.
    calls: Mutex<HashMap<String, u64>>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    HandedOn,
    /// Answered with 500; the engine never sees it.
    Refused,
    /// The connection breaks; the engine never sees it.
    Dropped,
    /// The engine does it, and the connection breaks instead of an answer.
    AnswerLost,
}

async fn serve(first: std::os::unix::net::UnixListener, proxy: Arc<Proxy>) {
    let mut listener = UnixListener::from_std(first).unwrap();
    loop {
        let stop = CancellationToken::new();
        let restart = Instant::now() + RESTART.0;
        loop {
            let client = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                () = sleep_until(restart), if proxy.fails => break,
            };
            let (stop, proxy) = (stop.clone(), Arc::clone(&proxy));
            relay::spawn(async move {
                tokio::select! {
                    _ = proxy.pass(client) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        stop.cancel();
        drop(listener);
        let _ = std::fs::remove_file(&proxy.path);
        sleep(RESTART.1).await;
        listener = UnixListener::bind(&proxy.path).unwrap();
    }
}

impl Proxy {
    /// A number that belongs to this call.
    fn roll(&self, call: &str) -> u64 {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(call.to_owned()).or_default();
        *count += 1;
        let mut hasher = DefaultHasher::new();
        (SEED, call, *count).hash(&mut hasher);
        hasher.finish()
    }

    fn fate(&self, roll: u64) -> Fate {
        match roll % RARE {
            _ if !self.fails => Fate::HandedOn,
            0 => Fate::Refused,
            1 => Fate::Dropped,
            2 => Fate::AnswerLost,
            _ => Fate::HandedOn,
        }
    }

    /// Hands one connection on. A call begins where a read begins: clients wait for an answer before the next.
    async fn pass(&self, mut client: UnixStream) -> std::io::Result<()> {
        let mut engine = UnixStream::connect(&self.engine).await?;
        let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let (mut lost, mut idle, mut streams) = (false, true, false);
        let mut end = None;
        loop {
            let over = end.unwrap_or_else(|| Instant::now() + if idle { IDLE } else { FOREVER });
            tokio::select! {
                read = client.read(&mut request) => {
                    let bytes = &mut request[..read?];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    idle = false;
                    let Some(call) = relay::call(bytes).map(words) else {
                        engine.write_all(bytes).await?;
                        continue;
                    };
                    let roll = self.roll(&call);
                    sleep(Duration::from_millis((roll >> 8) % SLOW)).await;
                    streams = STREAMS.iter().any(|word| call.contains(word));
                    if call.contains("events") {
                        end = Some(Instant::now() + Duration::from_millis(STREAM.0 + roll % (STREAM.1 - STREAM.0)));
                    }
                    if let Some(own) = relay::modern(bytes) {
                        client.write_all(own.as_bytes()).await?;
                        continue;
                    }
                    match self.fate(roll) {
                        Fate::HandedOn => {}
                        Fate::Refused => return refuse(client, &mut request).await,
                        Fate::Dropped => return Ok(()),
                        Fate::AnswerLost => lost = true,
                    }
                    engine.write_all(bytes).await?;
                }
                read = engine.read(&mut answer) => {
                    let bytes = &answer[..read?];
                    if bytes.is_empty() || lost {
                        return Ok(());
                    }
                    let (first, second) = bytes.split_at(bytes.len() / 2);
                    client.write_all(first).await?;
                    tokio::task::yield_now().await;
                    client.write_all(second).await?;
                    idle = !streams;
                }
                () = sleep_until(over) => return Ok(()),
            }
        }
    }
}

/// What is called, without names and ids, which differ from run to run: `POST containers start`.
fn words((method, path): (&str, &str)) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let is_word = |part: &&str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase());
    path.split('/').filter(is_word).fold(method.to_owned(), |call, word| format!("{call} {word}"))
}

/// Answers 500, and reads what still comes, so that the answer is not lost with it.
async fn refuse(mut client: UnixStream, request: &mut [u8]) -> std::io::Result<()> {
    let body = r#"{"message":"the proxy refuses this call"}"#;
    let head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Type: application/json";
    client.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(20), client.read(request)).await {}
    Ok(())
}
