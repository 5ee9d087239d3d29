//! How calls reach the engine: connections that are kept open, and the version that is spoken now.
//!
//! bollard leaves the version out of a request's path, so an engine answers in its newest form, which may be newer than what is
//! understood here; and what it agrees on it only ever lowers. So the version that was agreed on last is put into each path here.

use super::EngineError;
use super::connect::{Defaults, TIMEOUT};
use bollard::errors::Error as Cause;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Response, Uri};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// Connections kept open to one engine.
const IDLE: usize = 16;

/// Pauses before a request that only reads is sent again.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// Pauses before a connection is tried again, in milliseconds: an engine that is restarted is away for a moment.
const RECONNECT: [u64; 5] = [50, 100, 250, 500, 1000];

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads `1.41`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl From<&ClientVersion> for Version {
    fn from(version: &ClientVersion) -> Self {
        let part = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { major: part(version.major_version), minor: part(version.minor_version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version that is spoken now; 0.0 is none.
#[derive(Debug, Default)]
struct Spoken(AtomicU64);

impl Spoken {
    fn get(&self) -> Option<Version> {
        let packed = self.0.load(Ordering::Relaxed);
        unpacked(packed)
    }

    fn set(&self, version: Version) -> Option<Version> {
        unpacked(self.0.swap(u64::from(version.major) << 32 | u64::from(version.minor), Ordering::Relaxed))
    }
}

fn unpacked(packed: u64) -> Option<Version> {
    let part = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    (packed != 0).then(|| Version { major: part(packed >> 32), minor: part(packed) })
}

/// What is known of the engine at the other end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: String,
    spoken: Arc<Spoken>,
    defaults: RwLock<Arc<Defaults>>,
}

impl Link {
    /// A client for an endpoint. Opens no connection yet.
    pub(super) fn open(endpoint: String) -> Result<(bollard::Docker, Self), EngineError> {
        let spoken = Arc::new(Spoken::default());
        let api = client(&endpoint, Arc::clone(&spoken))?;
        Ok((api, Self { endpoint, spoken, defaults: RwLock::default() }))
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.spoken.get()
    }

    /// Speaks this version from now on; returns the one before.
    pub(super) fn speak(&self, version: Version) -> Option<Version> {
        self.spoken.set(version)
    }

    pub(super) fn defaults(&self) -> Arc<Defaults> {
        Arc::clone(&self.defaults.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn learn(&self, defaults: Defaults) {
        *self.defaults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(defaults);
    }
}

/// A client that keeps its connections: the one that bollard makes opens a new one for each call.
fn client(endpoint: &str, spoken: Arc<Spoken>) -> Result<bollard::Docker, EngineError> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(IDLE);
    let made = if let Some(path) = endpoint.strip_prefix("unix://") {
        let address = Uri::from(hyperlocal::Uri::new(path, "/")).to_string();
        let connector = Reconnecting { inner: hyperlocal::UnixConnector, spoken: Arc::clone(&spoken) };
        over(builder.build(connector), address.trim_end_matches('/'), spoken)
    } else if let Some(host) = endpoint.strip_prefix("tcp://").or_else(|| endpoint.strip_prefix("http://")) {
        let connector = Reconnecting { inner: HttpConnector::new(), spoken: Arc::clone(&spoken) };
        over(builder.build(connector), &format!("http://{}", host.trim_end_matches('/')), spoken)
    } else {
        return Err(EngineError::Endpoint { endpoint: endpoint.to_owned() });
    };
    made.map_err(|source| EngineError::Connect { endpoint: endpoint.to_owned(), source })
}

/// Connects to an engine that was spoken to before with patience. Nothing was sent yet, so that any call may wait here. An engine
/// that was never there is not waited for.
#[derive(Clone)]
struct Reconnecting<C> {
    inner: C,
    spoken: Arc<Spoken>,
}

impl<C> Service<Uri> for Reconnecting<C>
where
    C: Service<Uri, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The clone has not said that it is ready; this one has.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let pauses = if self.spoken.get().is_some() { RECONNECT.as_slice() } else { &[] };
        Box::pin(async move {
            for pause in pauses {
                if let Ok(connection) = inner.call(uri.clone()).await {
                    return Ok(connection);
                }
                tokio::time::sleep(Duration::from_millis(*pause)).await;
                poll_fn(|context| inner.poll_ready(context)).await?;
            }
            inner.call(uri).await
        })
    }
}

type Body = <BollardRequest as IntoBody>::Body;

/// The body of a request, whose type bollard does not name.
trait IntoBody {
    type Body;
}

impl<B> IntoBody for hyper::Request<B> {
    type Body = B;
}

fn over<C>(client: Client<C, Body>, address: &str, spoken: Arc<Spoken>) -> Result<bollard::Docker, Cause>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let send = move |mut request: BollardRequest| {
        if let Some(uri) = versioned(request.uri(), spoken.get()) {
            *request.uri_mut() = uri;
        }
        patient(client.clone(), request)
    };
    bollard::Docker::connect_with_custom_transport(send, Some(address.to_owned()), TIMEOUT, API_DEFAULT_VERSION)
}

/// Sends a request. One that only reads is sent again when the connection breaks or the engine fails: half a look at an engine
/// holds up more than a moment's wait. Any is sent again that the engine cannot have read, because the connection on which it was
/// written was closed already. What could not even connect has waited before.
async fn patient<C>(client: Client<C, Body>, request: BollardRequest) -> Result<Response<Incoming>, Cause>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let only_reads = request.method() == Method::GET;
    let (head, body) = request.into_parts();
    // A stream can be sent only once.
    if body.size_hint().exact().is_none() {
        return client.request(BollardRequest::from_parts(head, body)).await.map_err(plain);
    }
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let request = || BollardRequest::from_parts(head.clone(), bollard::body_full(body.clone()));
    for pause in AGAIN {
        match client.request(request()).await {
            Ok(answer) if !(only_reads && answer.status().is_server_error()) => return Ok(answer),
            Err(error) if error.is_connect() || !only_reads && !was_closed(&error) => return Err(plain(error)),
            Ok(_) | Err(_) => tokio::time::sleep(pause).await,
        }
    }
    client.request(request()).await.map_err(plain)
}

/// Whether the other end had closed the connection before it could read all of a request.
fn was_closed(error: &ClientError) -> bool {
    io_error(error).is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// The address with this version in its path; without one for what is asked before a version is agreed on.
fn versioned(uri: &Uri, version: Option<Version>) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str();
    // What tells the version has to be understood whichever is spoken.
    let version = version.filter(|_| path != "/version")?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/v{version}{path}")).ok()?);
    Uri::from_parts(parts).ok()
}

/// The operating system's own words, where they are the reason.
fn plain(error: ClientError) -> Cause {
    match io_error(&error) {
        Some(io) => std::io::Error::new(io.kind(), io.to_string()).into(),
        None => error.into(),
    }
}

fn io_error(error: &ClientError) -> Option<&std::io::Error> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::rt::{Read as _, Write as _};
    use hyper_util::client::legacy::connect::{Connected, Connection};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    /// An engine whose first answers are lost or say 500; says how often it was asked.
    async fn asked(method: Method, broken: usize) -> (usize, Option<u16>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let engine = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                let before = count.fetch_add(1, Ordering::Relaxed) as usize;
                let status = if before < broken { "500 No" } else { "200 OK" };
                if before > 0 || broken == 0 {
                    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        };
        let mut request = BollardRequest::new(bollard::body_full(Default::default()));
        *request.method_mut() = method;
        *request.uri_mut() = hyperlocal::Uri::new(&path, "/info").into();
        let client = Client::builder(TokioExecutor::new()).build(hyperlocal::UnixConnector);
        let answer = tokio::select! {
            answer = patient(client, request) => answer.ok().map(|answer| answer.status().as_u16()),
            () = engine => None,
        };
        (count.load(Ordering::Relaxed) as usize, answer)
    }

    #[tokio::test]
    async fn what_only_reads_is_asked_again_and_what_changes_is_not() {
        assert_eq!(asked(Method::GET, 0).await, (1, Some(200)));
        assert_eq!(asked(Method::GET, 2).await, (3, Some(200)));
        assert_eq!(asked(Method::GET, 9).await, (3, Some(500)));
        assert_eq!(asked(Method::POST, 1).await, (1, None));
    }

    /// A connection that was closed after its first answer, which is noticed only when something is written on it.
    struct Closed {
        stream: TokioIo<UnixStream>,
        answered: bool,
    }

    impl Connection for Closed {
        fn connected(&self) -> Connected {
            Connected::new()
        }
    }

    impl hyper::rt::Read for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: hyper::rt::ReadBufCursor<'_>,
        ) -> Poll<std::io::Result<()>> {
            if self.answered {
                return Poll::Pending;
            }
            let read = Pin::new(&mut self.stream).poll_read(context, buffer);
            self.answered = read.is_ready();
            read
        }
    }

    impl hyper::rt::Write for Closed {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            if self.answered {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            Pin::new(&mut self.stream).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }

    /// Connects to the engine with a connection of this kind.
    #[derive(Clone)]
    struct ToClosed(std::path::PathBuf);

    impl Service<Uri> for ToClosed {
        type Response = Closed;
        type Error = std::io::Error;
        type Future = Pin<Box<dyn Future<Output = std::io::Result<Closed>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            let path = self.0.clone();
            Box::pin(
                async move { Ok(Closed { stream: TokioIo::new(UnixStream::connect(path).await?), answered: false }) },
            )
        }
    }

    #[tokio::test]
    async fn what_was_written_on_a_closed_connection_is_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let mut count = 0;
        let engine = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                count += 1;
                stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        };
        let client = Client::builder(TokioExecutor::new()).build(ToClosed(path));
        let calls = async {
            for _ in 0..3 {
                let mut request = BollardRequest::new(bollard::body_full("{}".into()));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = Uri::from_static("http://engine/containers/create");
                assert_eq!(patient(client.clone(), request).await.unwrap().status(), 201);
            }
        };
        tokio::select! {
            () = calls => {}
            () = engine => unreachable!("it goes on"),
        }
        assert_eq!(count, 3, "each reached the engine once");
    }

    /// How an engine answers whose socket comes back after so many milliseconds.
    async fn restarted(known: bool, away: u64) -> Result<Response<Incoming>, Cause> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let engine = async {
            tokio::time::sleep(Duration::from_millis(away)).await;
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        };
        let spoken = Arc::new(Spoken::default());
        if known {
            spoken.set(Version { major: 1, minor: 41 });
        }
        let client =
            Client::builder(TokioExecutor::new()).build(Reconnecting { inner: hyperlocal::UnixConnector, spoken });
        let mut request = BollardRequest::new(bollard::body_full(Default::default()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = hyperlocal::Uri::new(&path, "/containers/a/start").into();
        tokio::select! {
            answer = patient(client, request) => answer,
            () = engine => unreachable!("it goes on"),
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_restarted_is_waited_for_also_by_what_changes_something() {
        assert_eq!(restarted(true, 300).await.unwrap().status(), 200);
        let error = restarted(false, 300).await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "one that was never there is not waited for: {error}");
    }

    #[test]
    fn the_version_in_a_path_is_the_one_that_was_agreed_on() {
        let spoken = |path: &str, version: Option<&str>| {
            let uri: Uri = format!("http://h{path}").parse().unwrap();
            versioned(&uri, version.and_then(Version::parse))
                .map_or_else(|| path.to_owned(), |uri| uri.path_and_query().unwrap().to_string())
        };
        assert_eq!(spoken("/containers/json?all=true", Some("1.41")), "/v1.41/containers/json?all=true");
        assert_eq!(spoken("/info", None), "/info");
        assert_eq!(spoken("/version", Some("1.41")), "/version");
        assert!(Version::parse("1.9") < Version::parse("1.41"));
    }
}
