//! A client of the local API, for the command line and the hooks.

use super::client_error::ClientError;
use super::dto::{
    Accepted, ApplyOrder, Carried, EventsPage, LogItem, LogLine, Plan, Run, RunAsked, RunRecord, Status, TaskFigures,
    Why,
};
use super::exchange::{Exchange, with};
use super::lines::lines;
use crate::daemon::LogsOf;
use crate::model::{DeploymentName, InstanceId, ScheduleName};
use crate::store::EventFilter;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Lines of logs as they come.
pub type Lines = BoxStream<'static, Result<LogLine, ClientError>>;

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

    /// The last plan.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn plan(&self) -> Result<Plan, ClientError> {
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
    pub async fn run(&self, schedule: &ScheduleName) -> Result<RunAsked, ClientError> {
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

    /// The newest runs, of one schedule or of all.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn runs(&self, schedule: Option<&ScheduleName>, limit: usize) -> Result<Vec<Run>, ClientError> {
        let of = schedule.map(|name| format!("&schedule={}", segment(name.as_str()))).unwrap_or_default();
        self.ask(Method::GET, &format!("/v1/runs?limit={limit}{of}"), self.timeout).await
    }

    /// How late the tasks of a schedule start and how long they take.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn figures(&self, schedule: &ScheduleName) -> Result<Vec<TaskFigures>, ClientError> {
        let path = format!("/v1/figures/{}", segment(schedule.as_str()));
        self.ask(Method::GET, &path, self.timeout).await
    }

    /// What instances write: the names of their containers, and the lines as they come.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn logs(&self, of: &LogsOf) -> Result<(Vec<String>, Lines), ClientError> {
        let LogsOf { name, tail, follow, timestamps } = of;
        let tail = tail.map(|count| format!("&tail={count}")).unwrap_or_default();
        let path = format!("/v1/logs?name={}&follow={follow}&timestamps={timestamps}{tail}", segment(name));
        let late = |_| ClientError::Timeout { after: self.timeout };
        let begin = self.exchange(Method::GET, &path, Bytes::new());
        let exchange = tokio::time::timeout(self.timeout, begin).await.map_err(late)??;
        let status = exchange.response.status();
        if !status.is_success() {
            let body = tokio::time::timeout(self.timeout, whole(exchange)).await.map_err(late)??;
            return Err(refused(status, &body));
        }
        let mut items = lines(exchange).map(|line| read(&line?));
        let containers = match items.next().await.transpose()? {
            Some(LogItem::Containers { containers }) => containers,
            other => return Err(ClientError::Answer { what: format!("the logs begin with {other:?}") }),
        };
        let lines = items.map(|item| match item? {
            LogItem::Line(line) => Ok(line),
            LogItem::Problem(problem) => Err(ClientError::Refused { status: 503, problem }),
            LogItem::Containers { .. } => Err(ClientError::Answer { what: "the logs begin twice".to_owned() }),
        });
        Ok((containers, lines.boxed()))
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
        if status.is_success() { read(&body) } else { Err(refused(status, &body)) }
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let exchange = self.exchange(method, path, body).await?;
        let status = exchange.response.status();
        Ok((status, whole(exchange).await?))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Exchange, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| self.unreachable(source))?;
        Exchange::new(stream, method, path, body).await
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

/// The whole body of an answer.
async fn whole(exchange: Exchange) -> Result<Bytes, ClientError> {
    let Exchange { response, mut connection, _sender } = exchange;
    let body = with(&mut connection, Limited::new(response.into_body(), ANSWER_LIMIT).collect()).await?;
    Ok(body.map_err(|error| ClientError::Answer { what: error.to_string() })?.to_bytes())
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(text).map_err(|error| ClientError::Answer { what: error.to_string() })
}

fn refused(status: StatusCode, body: &[u8]) -> ClientError {
    match read(body) {
        Ok(problem) => ClientError::Refused { status: status.as_u16(), problem },
        Err(error) => error,
    }
}

/// Text as one segment of a path or one value of a query.
fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}
