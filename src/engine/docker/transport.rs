//! How calls reach the engine: open connections, and the API version in use.
//!
//! bollard omits the version from a request's path, so an engine answers in its newest form, which may be newer than this program
//! supports; and bollard only ever lowers the version that it negotiated. So the version that was negotiated last is inserted into
//! each path here.

use super::defaults::{Defaults, TIMEOUT};
use crate::engine::EngineError;
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
    made.map_err(|source: bollard::errors::Error| EngineError::Connect {
        endpoint: endpoint.to_owned(),
        source: source.into(),
    })
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
#[path = "transport_tests.rs"]
mod tests;
