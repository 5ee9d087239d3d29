//! A health check that Setpoint makes itself (`http`, `tcp`). It chooses a way that is possible from here ([`reach`]), and
//! distinguishes a bad answer, no answer, and a container that cannot be reached from here.

mod inside;
mod reach;

use super::Docker;
use crate::engine::ProbeResult;
use crate::model::{Container, Probe, duration_text};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;
use reach::{Vantage, Way, way};
use std::borrow::Cow;
use std::net::SocketAddr;
use tokio::net::TcpStream;

impl Docker {
    /// Makes one check of a running container, bounded by the check's timeout.
    pub async fn probe(&self, container: &Container, probe: &Probe) -> ProbeResult {
        let holder = match self.network_holder(container).await {
            Ok(holder) => holder,
            Err(gone) => return gone,
        };
        match way(&holder, probe.port, &self.vantage(), reach::source) {
            Way::Dial { target, note } => match tokio::time::timeout(probe.timeout, ask(target, probe)).await {
                Ok(ProbeResult::Good(_)) => ProbeResult::Good(note),
                Ok(result) => result,
                Err(_) => {
                    ProbeResult::Silent(format!("{target} did not answer within {}", duration_text(probe.timeout)))
                }
            },
            Way::Inside { address, why } => self.probe_inside(container, address, probe, &why).await,
        }
    }

    /// The container whose network it uses: its own, or the one that `container:` names.
    async fn network_holder<'c>(&self, container: &'c Container) -> Result<Cow<'c, Container>, ProbeResult> {
        let mode = container.spec.network_mode.as_deref();
        let Some(other) = mode.and_then(|mode| mode.strip_prefix("container:")) else {
            return Ok(Cow::Borrowed(container));
        };
        match self.find(other).await {
            Ok(Some(holder)) => Ok(Cow::Owned(holder)),
            Ok(None) => Err(ProbeResult::Bad(format!("container {other}, whose network it uses, no longer exists"))),
            Err(error) => Err(ProbeResult::Silent(error.to_string())),
        }
    }

    /// Where this process runs, relative to the engine's host.
    fn vantage(&self) -> Vantage {
        let defaults = self.defaults();
        Vantage::new(self.endpoint(), &defaults.hostname, defaults.apart)
    }
}

/// Makes the check at an address.
async fn ask(target: SocketAddr, probe: &Probe) -> ProbeResult {
    let stream = match TcpStream::connect(target).await {
        Ok(stream) => stream,
        Err(error) => return ProbeResult::Silent(format!("{target}: {error}")),
    };
    let Some(path) = &probe.http_path else { return ProbeResult::Good(None) };
    match get(stream, target, path).await {
        Ok(status) => judged(&format!("http://{target}{path}"), status),
        Err(error) => ProbeResult::Silent(format!("http://{target}{path}: {error}")),
    }
}

/// The result that an HTTP status stands for.
fn judged(place: &str, status: u16) -> ProbeResult {
    if (200..400).contains(&status) {
        ProbeResult::Good(None)
    } else {
        ProbeResult::Bad(format!("{place} answered {status}"))
    }
}

async fn get(stream: TcpStream, target: SocketAddr, path: &str) -> Result<u16, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    // The manifest accepts only valid paths.
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    if let Ok(host) = target.to_string().parse() {
        headers.insert("host", host);
    }
    headers.insert("user-agent", hyper::header::HeaderValue::from_static("setpoint-probe"));
    headers.insert("connection", hyper::header::HeaderValue::from_static("close"));
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    // Both are dropped together, so neither branch can be lost.
    let response = tokio::select! {
        response = &mut answer => response?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    Ok(response.status().as_u16())
}
