//! A client of the local API, for the command line and the hooks.

use super::{Accepted, EventsPage, Problem};
use crate::daemon::status::Status;
use crate::daemon::timing::Asked;
use crate::daemon::why::Why;
use crate::daemon::{ApplyOrder, Carried};
use crate::model::{DeploymentName, InstanceId, ScheduleName};
use crate::store::{EventFilter, RunRecord, RunRow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::net::UnixStream;

/// What is percent-encoded in one segment of a path or one value of a query: all but the unreserved characters (RFC 3986).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same where slashes separate segments.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');
/// No answer is larger.
const ANSWER_LIMIT: usize = 64 << 20;

/// A client; cheap to make. Each request opens its own connection.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers on {}; start it with `setpoint daemon`, or name its socket with --socket", .socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The socket may not be opened.
    #[error("cannot open {}; only the user that runs the daemon may (and root)", .socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the daemon did not answer within {}s", .after.as_secs())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke.
    #[error("the daemon broke the connection off")]
    Http(#[from] hyper::Error),
    /// The answer is not what it should be: another version, or too large.
    #[error("the daemon gave an answer that this version does not understand: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
    /// The daemon says no.
    #[error("{}", .problem.error)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        problem: Problem,
    },
}

impl Client {
    /// A client of the daemon that listens on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), timeout: Duration::from_secs(10) }
    }

    /// Everything at a glance.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all requests.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/v1/status", self.timeout).await
    }

    /// The last plan, in the JSON form of [`crate::plan::render::View`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn plan(&self) -> Result<serde_json::Value, ClientError> {
        self.ask(Method::GET, "/v1/plan", self.timeout).await
    }

    /// Events; waits for at most `wait` when there are none. The filter's environment is not used.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, filter: &EventFilter, wait: Duration) -> Result<EventsPage, ClientError> {
        let mut path = format!("/v1/events?wait={}&newest={}", wait.as_secs(), filter.newest);
        let values = [
            ("after", filter.after.map(|id| id.to_string())),
            ("limit", (filter.limit > 0).then(|| filter.limit.to_string())),
            ("subject", filter.subject.clone()),
            ("kind", filter.kind.clone()),
            ("since", filter.since.map(|at| at.to_string())),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", segment(&value)));
            }
        }
        self.ask(Method::GET, &path, self.timeout + wait).await
    }

    /// Why an instance is as it is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why(&self, instance: &InstanceId) -> Result<Why, ClientError> {
        self.ask(Method::GET, &format!("/v1/why/{}", utf8_percent_encode(&instance.to_string(), PATH)), self.timeout)
            .await
    }

    /// Runs a schedule of the commit in force, once, now.
    ///
    /// # Errors
    /// See [`ClientError`]; refused when its `overlap` says that it does not run now.
    pub async fn run(&self, schedule: &ScheduleName) -> Result<Asked, ClientError> {
        self.ask(Method::POST, &format!("/v1/run/{}", segment(schedule.as_str())), self.timeout).await
    }

    /// Has a plan carried out, and waits for its end however long that takes.
    ///
    /// # Errors
    /// See [`ClientError`]; refused when it is not the plan that the daemon would carry out.
    pub async fn apply(&self, order: &ApplyOrder) -> Result<Carried, ClientError> {
        let body = serde_json::to_vec(order).map_err(|error| ClientError::Answer { what: error.to_string() })?;
        self.ask_with(Method::POST, "/v1/apply", body.into(), Duration::MAX).await
    }

    /// The newest runs of a schedule.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn runs(&self, schedule: &ScheduleName, limit: usize) -> Result<Vec<RunRow>, ClientError> {
        let path = format!("/v1/runs?schedule={}&limit={limit}", segment(schedule.as_str()));
        self.ask(Method::GET, &path, self.timeout).await
    }

    /// A run with its tasks.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn run_record(&self, id: &str) -> Result<RunRecord, ClientError> {
        self.ask(Method::GET, &format!("/v1/runs/{}", segment(id)), self.timeout).await
    }

    /// Asks for a fetch and a look, now.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn poke(&self) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, "/v1/poke", self.timeout).await
    }

    /// Leaves a deployment alone until it is resumed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn suspend(&self, deployment: &DeploymentName) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, &format!("/v1/suspend/{}", segment(deployment.as_str())), self.timeout).await
    }

    /// Keeps a deployment running again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn resume(&self, deployment: &DeploymentName) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, &format!("/v1/resume/{}", segment(deployment.as_str())), self.timeout).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, limit: Duration) -> Result<T, ClientError> {
        self.ask_with(method, path, Bytes::new(), limit).await
    }

    async fn ask_with<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let asked = tokio::time::timeout(limit, self.request(method, path, body)).await;
        let (status, body) = asked.map_err(|_| ClientError::Timeout { after: limit })??;
        let unreadable = |error: serde_json::Error| ClientError::Answer { what: error.to_string() };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(unreadable);
        }
        let problem = serde_json::from_slice(&body).map_err(unreadable)?;
        Err(ClientError::Refused { status: status.as_u16(), problem })
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| self.unreachable(source))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "setpoint")
            .body(Full::new(body))
            .map_err(|error| ClientError::Answer { what: error.to_string() })?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| ClientError::Answer { what: error.to_string() })?;
            Ok((status, body.to_bytes()))
        };
        let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
        let mut open = true;
        // The connection only moves while it is polled. `exchange` is never dropped before it ends.
        loop {
            tokio::select! {
                answer = &mut exchange => return answer,
                ended = &mut connection, if open => {
                    ended?;
                    open = false;
                }
            }
        }
    }

    fn unreachable(&self, source: std::io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { socket, source }
            }
            _ => ClientError::Connect { socket, source },
        }
    }
}

/// Text as one segment of a path or one value of a query.
fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}
