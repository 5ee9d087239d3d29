//! A health check by a program inside the container, if no connection from here is possible: `curl`, `wget` or `nc`, whichever the
//! image has.

use super::judged;
use crate::engine::ProbeResult;
use crate::engine::docker::Docker;
use crate::model::{Container, Probe, duration_text};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The exit code of the script if the image has no program for the check. Shells exit with 126 or 127 if the program to run is
/// missing.
const NO_PROGRAM: i64 = 125;
/// How long the engine may take to start the program, on top of the check's own timeout.
const START: Duration = Duration::from_secs(3);
/// Output beyond this is ignored.
const OUTPUT: usize = 16 << 10;

/// Arguments: address, port, seconds, path. Each program prints the head of the answer. If `wget` cannot run (a static build
/// without its libraries), `nc` is used.
const HTTP: &str = r#"
has() { command -v "$1" >/dev/null 2>&1; }
has curl && exec curl -s -o /dev/null -D - -m "$3" "http://$1:$2$4"
if has wget; then
  wget -q -S -O /dev/null -T "$3" "http://$1:$2$4"
  code=$?
  [ "$code" -lt 126 ] && exit "$code"
fi
has nc || exit 125
printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$4" "$1" "$2" | nc -w "$3" "$1" "$2"
"#;

/// Arguments: address, port, seconds. An `nc` without `-z` stays connected until the server closes: if it is still connected after
/// the time to connect, the check has succeeded too.
const TCP: &str = r#"
has() { command -v "$1" >/dev/null 2>&1; }
if has nc; then
  case "$(nc --help 2>&1)" in *-z*) exec nc -z -w "$3" "$1" "$2" ;; esac
  has timeout || exec nc -w "$3" "$1" "$2" </dev/null
  timeout "$(($3 + 1))" nc -w "$3" "$1" "$2" </dev/null
  code=$?
  case "$code" in 124 | 143) exit 0 ;; *) exit "$code" ;; esac
fi
has bash && exec bash -c ': <>"/dev/tcp/$0/$1"' "$1" "$2"
exit 125
"#;

impl Docker {
    pub(super) async fn probe_inside(
        &self,
        container: &Container,
        address: IpAddr,
        probe: &Probe,
        why: &str,
    ) -> ProbeResult {
        let target = SocketAddr::new(address, probe.port);
        let seconds = probe.timeout.as_secs() + u64::from(probe.timeout.subsec_nanos() > 0);
        let script = if probe.http_path.is_some() { HTTP } else { TCP };
        let mut command: Vec<String> = ["sh", "-c", script, "setpoint-probe"].map(str::to_owned).into();
        command.extend([address.to_string(), probe.port.to_string(), seconds.to_string()]);
        command.extend(probe.http_path.clone());
        let run = self.run_inside(container, command);
        let (code, output) = match tokio::time::timeout(probe.timeout + START, run).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) if is_missing_program(&error) => return unreachable_from_here(why),
            Ok(Err(error)) => return ProbeResult::Silent(format!("inside the container: {error}")),
            Err(_) => {
                let within = duration_text(probe.timeout);
                return ProbeResult::Silent(format!(
                    "{target} did not answer within {within}, checked inside the container"
                ));
            }
        };
        match (code, status(&output)) {
            (NO_PROGRAM..=127, None) => unreachable_from_here(why),
            (_, Some(status)) if probe.http_path.is_some() => {
                let place = format!("http://{target}, checked inside the container,");
                match judged(&place, status) {
                    ProbeResult::Good(_) => ProbeResult::Good(Some("checked inside the container".to_owned())),
                    other => other,
                }
            }
            (0, _) => ProbeResult::Good(Some("checked inside the container".to_owned())),
            _ => ProbeResult::Silent(format!("{target} did not answer, checked inside the container")),
        }
    }

    /// Runs a program in a container to its end: its exit code and what it printed.
    async fn run_inside(
        &self,
        container: &Container,
        command: Vec<String>,
    ) -> Result<(i64, String), bollard::errors::Error> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            ..Default::default()
        };
        let exec = self.api.create_exec(container.id.as_str(), config).await?;
        let options = StartExecOptions { detach: false, tty: false, output_capacity: None };
        let mut text = String::new();
        if let StartExecResults::Attached { mut output, .. } = self.api.start_exec(&exec.id, Some(options)).await? {
            while let Some(part) = output.next().await {
                let part = part?;
                if text.len() < OUTPUT {
                    text.push_str(&String::from_utf8_lossy(&part.into_bytes()));
                }
            }
        }
        let ended = self.api.inspect_exec(&exec.id).await?;
        Ok((ended.exit_code.unwrap_or(-1), text))
    }
}

/// The engine refuses to start a program that the image does not have; only the text distinguishes this from other refusals.
fn is_missing_program(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { message, .. }
        if message.contains("executable file not found") || message.contains("no such file or directory"))
}

fn unreachable_from_here(why: &str) -> ProbeResult {
    ProbeResult::Unreachable(format!(
        "its health check is not possible from here: {why}, and its image has no program for the check (sh with curl, wget or nc). Run setpoint in the network of the engine's host, publish the port, or write the check as `test`"
    ))
}

/// The status of the first HTTP answer in the output of a program.
fn status(output: &str) -> Option<u16> {
    let (_, rest) = output.split_once("HTTP/")?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_what_curl_and_wget_print() {
        assert_eq!(status("HTTP/1.1 200 OK\r\nserver: x\r\n"), Some(200));
        assert_eq!(status("  HTTP/1.0 404 Not Found\n"), Some(404));
        assert_eq!(status("wget: server returned error: HTTP/1.1 503 Service Unavailable\n"), Some(503));
        assert_eq!(status("wget: can't connect to remote host: Connection refused\n"), None);
    }
}
