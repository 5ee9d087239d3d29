//! A health check made from outside, at the container's own address.

use super::Docker;
use crate::model::{Container, Health, Probe};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

impl Docker {
    /// Probes a running container once. The engine must run on this host: containers have no address elsewhere.
    pub async fn probe(&self, container: &Container, probe: &Probe) -> Health {
        match self.probe_once(container, probe).await {
            Ok(()) => Health::Healthy,
            Err(_) => Health::Unhealthy,
        }
    }

    /// One check, bounded by its timeout; the error says in one line what was seen.
    pub(super) async fn probe_once(&self, container: &Container, probe: &Probe) -> Result<(), String> {
        let address = self.address(container).await?;
        match tokio::time::timeout(probe.timeout, ask(&address, probe)).await {
            Ok(result) => result,
            Err(_) => Err(format!("{address}:{} did not answer within {}", probe.port, short(probe.timeout))),
        }
    }

    async fn address(&self, container: &Container) -> Result<String, String> {
        let joined = match container.spec.network_mode.as_deref() {
            Some("host") => return Ok("127.0.0.1".to_owned()),
            Some(mode) => mode.strip_prefix("container:"),
            None => None,
        };
        let addresses = match joined {
            Some(other) => match self.find(other).await {
                Ok(Some(other)) => other.addresses,
                Ok(None) => return Err(format!("the container {other} whose network it uses is gone")),
                Err(error) => return Err(error.to_string()),
            },
            None => container.addresses.clone(),
        };
        addresses.into_values().next().ok_or_else(|| "the container has no address on any network".to_owned())
    }
}

fn short(time: std::time::Duration) -> String {
    crate::model::duration_text(time)
}

async fn ask(address: &str, probe: &Probe) -> Result<(), String> {
    let target =
        if address.contains(':') { format!("[{address}]:{}", probe.port) } else { format!("{address}:{}", probe.port) };
    let stream = TcpStream::connect(&target).await.map_err(|error| format!("{target}: {error}"))?;
    let Some(path) = &probe.http_path else { return Ok(()) };
    let failed = |error: hyper::Error| format!("http://{target}{path}: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = Request::get(path.as_str())
        .header("host", &target)
        .header("user-agent", "setpoint-probe")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("`{path}` is no HTTP path: {error}"))?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    // Both are dropped together, so neither branch can be lost.
    let response = tokio::select! {
        response = &mut answer => response.map_err(failed)?,
        ended = &mut connection => {
            ended.map_err(failed)?;
            answer.await.map_err(failed)?
        }
    };
    let status = response.status();
    if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(format!("http://{target}{path}: {status}")) }
}
